// Runs the store's scripts on a real server: queues are arranged with raw commands, and answers
// and what is stored are compared as texts.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/run_loop.hpp"
#include "store/redis/client.hpp"
#include "store/redis/queue_answers.hpp"
#include "store/redis/scripts.hpp"
#include "tests/support/redis_server.hpp"

namespace mpr::redis {

class ScriptBed : public testing::Test {
 protected:
  using Words = std::vector<std::string>;

  static void SetUpTestSuite() { server_ = new test::RedisServer(); }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  ScriptBed() {
    ClientOptions options;
    options.servers = {{"127.0.0.1", server_->port()}};
    client_ = std::make_unique<Client>(std::move(options), metrics_);
    run({"FLUSHALL"});
  }

  // What one command is answered, as a text: 1, word, nil, [1 [a b]], !ERR.
  std::string run(const Words& words) {
    Request request("{t}");
    request.add(words);
    return answer_to(std::move(request));
  }

  // A script with the seven keys of a queue, then further ones.
  std::string eval(const Script& script, const Words& arguments, const Words& more_keys = {}) {
    Words keys = {"{t}q", "{t}n", "{t}c", "{t}m", "{t}g", "{t}x", "{t}i"};
    keys.insert(keys.end(), more_keys.begin(), more_keys.end());
    return eval_keys(script, keys, arguments);
  }
  std::string eval_keys(const Script& script, const Words& keys, const Words& arguments) {
    Request request(keys.front());
    request.eval(script, keys, arguments);
    return answer_to(std::move(request));
  }

  // Adds an entry as a plain add does.
  void add(const std::string& entry, const std::string& description, const std::string& payload) {
    run({"XADD", "{t}q", entry, "m", description, "p", payload});
    run({"INCRBY", "{t}n", std::to_string((1ULL << 40U) + payload.size())});
  }
  // One that was accepted at this moment.
  void add_at(const std::string& entry, int at, std::size_t size = 10) {
    add(entry, "1|" + std::to_string(at) + "|||n" + entry + "||||||", std::string(size, 'x'));
  }
  // One with an id of its caller.
  void add_named(const std::string& entry, const std::string& id, int at = 100) {
    const std::string size = std::to_string(id.size());
    add(entry, "1|" + std::to_string(at) + "|||n|" + size + "|||||" + id, "0123456789");
    run({"HSET", "{t}i", id, entry + " " + std::to_string(at)});
  }
  // One that expires.
  void add_expiring(const std::string& entry, int expires, int at = 100) {
    add(entry, "1|" + std::to_string(at) + "||" + std::to_string(expires) + "|n||||||", "01234");
    run({"ZADD", "{t}x", std::to_string(expires), entry});
  }

  // The entries that are in the queue, and what the counter says: "1-0 2-0 / 2 20".
  std::string queue() {
    Request request("{t}");
    request.add({"XRANGE", "{t}q", "-", "+"});
    const auto items = loop_.run(client_->run_one(std::move(request), soon())).value().items;
    std::string text;
    for (const Value& item : items) text += item.items.at(0).text + " ";
    const std::string counter = run({"GET", "{t}n"});
    const std::uint64_t counted = counter == "nil" ? 0 : std::stoull(counter);
    return text + "/ " + std::to_string(counted >> 40U) + " " +
           std::to_string(counted & ((1ULL << 40U) - 1));
  }

  static std::string show(const Value& value) {
    switch (value.kind) {
      case Value::Kind::null:
        return "nil";
      case Value::Kind::integer:
        return std::to_string(value.integer);
      case Value::Kind::text:
        return value.text.empty() ? "''" : value.text;
      case Value::Kind::error:
        return "!" + value.text;
      case Value::Kind::array:
        break;
    }
    std::string text = "[";
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      text += (i > 0 ? " " : "") + show(value.items[i]);
    }
    return text + "]";
  }

 private:
  static Deadline soon() { return Deadline::after(std::chrono::seconds(10)); }

  std::string answer_to(Request request) {
    const auto value = loop_.run(client_->run_one(std::move(request), soon()));
    return value ? show(*value) : "!! " + value.error().error.context;
  }

  static inline test::RedisServer* server_ = nullptr;
  Metrics metrics_;
  RunLoop loop_;
  std::unique_ptr<Client> client_;
};

}  // namespace mpr::redis
