// What the tests of the Redis client share: options for a server, requests, an io thread that runs
// tasks.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/run_loop.hpp"
#include "base/task.hpp"
#include "net/io_thread.hpp"
#include "store/redis/client.hpp"
#include "tests/support/redis_server.hpp"

namespace mpr::redis {

using namespace std::chrono_literals;

inline ClientOptions options_for(const test::RedisServer& server) {
  ClientOptions options;
  options.servers = {{"127.0.0.1", server.port()}};
  return options;
}

inline ClientOptions options_for(test::RedisCluster& cluster) {
  ClientOptions options;
  options.mode = ClientOptions::Mode::cluster;
  for (std::size_t i = 0; i < test::RedisCluster::kNodes; ++i) {
    options.servers.push_back({"127.0.0.1", cluster.node(i).port()});
  }
  return options;
}

// For tests in which no server falls silent: a pause of the machine must not look like that.
template <class Servers>
ClientOptions patient_options_for(Servers& servers) {
  ClientOptions options = options_for(servers);
  options.silence_limit = std::chrono::seconds(20);
  return options;
}

// One command; its second word is the key.
inline Request words(std::initializer_list<std::string_view> all, Repeat repeat = Repeat::never) {
  Request request(all.size() > 1 ? *(all.begin() + 1) : std::string_view());
  request.add(all, repeat);
  return request;
}

// Polls until the condition holds; false after `limit`.
inline bool eventually(std::chrono::milliseconds limit, const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

// An io thread on which a test runs tasks, as the gateway does.
class TestThread {
 public:
  TestThread() { thread_.start(); }
  ~TestThread() { end(); }
  TestThread(const TestThread&) = delete;
  TestThread& operator=(const TestThread&) = delete;

  // Runs the task that `make` yields on the thread; the future holds its outcome.
  template <class T>
  std::future<T> start(std::function<Task<T>()> make) {
    auto promise = std::make_shared<std::promise<T>>();
    thread_.run([this, make = std::move(make), promise] { group_.spawn(keep(make(), promise)); });
    return promise->get_future();
  }
  template <class T>
  T run(std::function<Task<T>()> make) {
    return start<T>(std::move(make)).get();
  }

  void end() {
    thread_.stop();
    thread_.join();
  }

 private:
  template <class T>
  static Task<void> keep(Task<T> task, std::shared_ptr<std::promise<T>> promise) {
    promise->set_value(co_await task);
  }

  TaskGroup group_{[](std::exception_ptr) { ADD_FAILURE() << "a task threw"; }};
  IoThread thread_{"test-io"};
};

// What became of numbered pushes to one list.
struct Pushes {
  std::vector<std::string> answered;
  std::vector<std::string> uncertain;  // maybe executed
  std::vector<std::string> failed;     // certainly not executed
  std::vector<std::string> errors;     // what the server answered instead
};

inline Task<Pushes> push_numbers(Client& client, std::string key, int first, int count,
                                 Repeat repeat, std::chrono::milliseconds timeout) {
  std::vector<Task<Outcome<Value>>> tasks;
  for (int i = first; i < first + count; ++i) {
    Request request(key);
    const std::string number = std::to_string(i);
    request.add({"RPUSH", key, number}, repeat);
    tasks.push_back(client.run_one(std::move(request), Deadline::after(timeout)));
  }
  const std::vector<Outcome<Value>> outcomes = co_await when_all(std::move(tasks));
  Pushes pushes;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const std::string number = std::to_string(first + static_cast<int>(i));
    const auto& outcome = outcomes[i];
    if (outcome && outcome->is_error()) {
      pushes.errors.push_back(outcome->text);
    } else if (outcome) {
      pushes.answered.push_back(number);
    } else if (outcome.error().maybe_executed) {
      pushes.uncertain.push_back(number);
    } else {
      pushes.failed.push_back(number);
    }
  }
  co_return pushes;
}

inline std::vector<std::string> list_at(Client& client, const std::string& key) {
  RunLoop loop;
  const auto value = loop.run(
      client.run_one(words({"LRANGE", key, "0", "-1"}, Repeat::safe), Deadline::after(10s)));
  EXPECT_TRUE(value.has_value()) << (value ? "" : value.error().error.context);
  std::vector<std::string> list;
  if (value) {
    EXPECT_FALSE(value->is_error()) << value->text;
    for (const Value& item : value->items) list.push_back(item.text);
  }
  return list;
}

inline bool ascends(const std::vector<std::string>& numbers) {
  for (std::size_t i = 1; i < numbers.size(); ++i) {
    if (std::stoi(numbers[i]) <= std::stoi(numbers[i - 1])) return false;
  }
  return true;
}

// What a channel brought.
class Heard {
 public:
  void message(std::string_view payload) {
    std::lock_guard lock(mutex_);
    messages_.emplace_back(payload);
  }
  void connected() {
    std::lock_guard lock(mutex_);
    ++connections_;
  }
  int connections() const {
    std::lock_guard lock(mutex_);
    return connections_;
  }
  std::vector<std::string> messages() const {
    std::lock_guard lock(mutex_);
    return messages_;
  }
  void listen(Client& client, std::string channel) {
    client.subscribe(
        std::move(channel), [this](std::string_view p) { message(p); }, [this] { connected(); });
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> messages_;
  int connections_ = 0;
};

}  // namespace mpr::redis
