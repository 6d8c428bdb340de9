#include "store/redis/client.hpp"

#include <algorithm>
#include <atomic>
#include <future>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "net/io_thread.hpp"
#include "store/redis/lane.hpp"
#include "store/redis/queue_answers.hpp"
#include "store/redis/scripts.hpp"
#include "store/redis/shared.hpp"
#include "store/redis/subscription.hpp"
#include "store/redis/watch.hpp"

namespace mpr::redis {

namespace {

// Threads and clients are told apart by numbers, because addresses are used again.
std::uint64_t next_number() {
  static std::atomic<std::uint64_t> next = 1;
  return next.fetch_add(1, std::memory_order_relaxed);
}

std::uint64_t thread_number() {
  thread_local const std::uint64_t number = next_number();
  return number;
}

// The lane that this thread used last.
struct LastLane {
  std::uint64_t client = 0;
  Lane* lane = nullptr;
};
thread_local LastLane last_lane;

// Suspends a coroutine until its request is done.
class RequestWait final : private Waiter {
 public:
  // `shared_lane`: null when the lane is that of this thread.
  RequestWait(Lane& lane, bool same_thread, Request request, Deadline deadline, Lane::Target target)
      : lane_(lane),
        same_thread_(same_thread),
        request_(std::move(request)),
        deadline_(deadline),
        target_(std::move(target)) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    handle_ = handle;
    executor_ = Executor::current();
    if (same_thread_) {
      start();
    } else {
      lane_.thread().run([this] { start(); });
    }
  }
  Outcome<std::vector<Value>> await_resume() { return std::move(outcome_); }

 private:
  void start() { lane_.start(std::move(request_), deadline_, *this, std::move(target_)); }
  void done(Outcome<std::vector<Value>> outcome) override {
    outcome_ = std::move(outcome);
    lane_.wake(*executor_, handle_);
  }

  Lane& lane_;
  const bool same_thread_;
  Request request_;
  const Deadline deadline_;
  Lane::Target target_;
  std::coroutine_handle<> handle_;
  Executor* executor_ = nullptr;
  Outcome<std::vector<Value>> outcome_;
};

// Suspends a coroutine until the servers are ready.
class ReadyWait final : private Watch::ReadyWaiter {
 public:
  ReadyWait(Lane& lane, Watch& watch, Deadline deadline)
      : lane_(lane), watch_(watch), deadline_(deadline) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    handle_ = handle;
    executor_ = Executor::current();
    lane_.thread().run([this] { watch_.wait_ready(*this, deadline_); });
  }
  Result<void> await_resume() { return std::move(outcome_); }

 private:
  void done(Result<void> outcome) override {
    outcome_ = std::move(outcome);
    lane_.wake(*executor_, handle_);
  }

  Lane& lane_;
  Watch& watch_;
  const Deadline deadline_;
  std::coroutine_handle<> handle_;
  Executor* executor_ = nullptr;
  Result<void> outcome_;
};

Failure unavailable(std::string context) {
  return {.error = {Errc::unavailable, std::move(context)}, .maybe_executed = false};
}

}  // namespace

class Client::Parts {
 public:
  Parts(ClientOptions options, Metrics& metrics)
      : shared(std::move(options), metrics), thread("mpr-redis") {
    shared.links.login = shared.options.login;
    shared.links.connect_timeout = shared.options.connect_timeout;
    shared.links.resolver = &shared.resolver;
    // Adds of one connection are sent without waiting for each other.
    shared.links.scripts = {&queue_script<scripts::add_once>()};
    if (shared.options.login.tls == Tls::on) {
      auto tls = TlsContext::create(shared.options.login.ca_file);
      if (tls) {
        shared.links.tls = std::move(*tls);
      } else {
        shared.links.tls_problem = tls.error().context;
      }
    }
    own = std::make_unique<Lane>(thread, shared, Lane::Log::on);
    watch = std::make_unique<Watch>(*own, shared);
    own->on_tick([this] {
      watch->look();
      for (std::size_t i = 0; i < subscriptions.size(); ++i) subscriptions[i]->look();
    });
    own->tick_at(own->now());
    shared.wake_watch = [this] { thread.run([this] { own->tick_soon(); }); };
    thread.start();
  }

  ~Parts() {
    thread.stop();
    thread.join();
  }

  // The lane of this thread, if it is an io thread; else the client's own.
  Lane& lane() {
    if (last_lane.client == number) return *last_lane.lane;
    auto* executor = dynamic_cast<IoThread*>(Executor::current());
    if (executor == nullptr || executor == &thread) return *own;
    std::lock_guard lock(mutex_);
    std::unique_ptr<Lane>& lane = lanes_[thread_number()];
    if (!lane) lane = std::make_unique<Lane>(*executor, shared, Lane::Log::off);
    last_lane = {number, lane.get()};
    return *lane;
  }

  RequestWait request(Request request, Deadline deadline, Lane::Target target = {}) {
    Lane& at = lane();
    return {at, Executor::current() == &at.thread(), std::move(request), deadline,
            std::move(target)};
  }

  Outcome<std::vector<ServerAddress>> primaries() const {
    if (!shared.is_cluster()) return shared.options.servers;
    const auto map = shared.map();
    if (!map) return std::unexpected(unavailable("the slots of the cluster are not known yet"));
    return map->primaries;
  }

  const std::uint64_t number = next_number();
  Shared shared;
  IoThread thread;
  std::unique_ptr<Lane> own;
  std::unique_ptr<Watch> watch;
  std::vector<std::unique_ptr<Subscription>> subscriptions;  // of the own thread

 private:
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Lane>> lanes_;  // by thread; guarded by mutex_
};

Client::Client(ClientOptions options, Metrics& metrics)
    : parts_(std::make_unique<Parts>(std::move(options), metrics)) {}

Client::~Client() = default;

ClientOptions::Mode Client::mode() const noexcept { return parts_->shared.options.mode; }

Task<Outcome<std::vector<Value>>> Client::run(Request request, Deadline deadline) {
  co_return co_await parts_->request(std::move(request), deadline);
}

Task<Outcome<Value>> Client::run_one(Request request, Deadline deadline) {
  Outcome<std::vector<Value>> values = co_await parts_->request(std::move(request), deadline);
  if (!values) co_return std::unexpected(std::move(values.error()));
  co_return std::move(values->front());
}

Task<Outcome<Value>> Client::eval(const Script& script, std::vector<std::string> keys,
                                  std::vector<std::string> arguments, Repeat repeat,
                                  Deadline deadline) {
  Request request(keys.empty() ? std::string_view() : keys.front());
  request.eval(script, keys, arguments, repeat);
  Outcome<std::vector<Value>> values = co_await parts_->request(std::move(request), deadline);
  if (!values) co_return std::unexpected(std::move(values.error()));
  co_return std::move(values->front());
}

namespace {

Task<Client::NodeAnswer> run_at(RequestWait wait, std::string node) {
  Client::NodeAnswer answer{std::move(node), co_await wait};
  co_return answer;
}

}  // namespace

Task<Outcome<std::vector<Client::NodeAnswer>>> Client::run_everywhere(Request request,
                                                                      Deadline deadline) {
  const auto nodes = parts_->primaries();
  if (!nodes) co_return std::unexpected(nodes.error());
  std::vector<Task<NodeAnswer>> tasks;
  for (const ServerAddress& node : *nodes) {
    Request copy = request;
    Lane::Target target;
    target.node = node;
    tasks.push_back(
        run_at(parts_->request(std::move(copy), deadline, std::move(target)), to_text(node)));
  }
  std::vector<NodeAnswer> answers = co_await when_all(std::move(tasks));
  co_return answers;
}

Task<Outcome<std::vector<Value>>> Client::run_on(std::string node, Request request,
                                                 Deadline deadline) {
  const auto nodes = parts_->primaries();
  if (!nodes) co_return std::unexpected(nodes.error());
  const auto found =
      std::ranges::find(*nodes, node, [](const ServerAddress& a) { return to_text(a); });
  if (found == nodes->end()) {
    co_return std::unexpected(unavailable("Redis at " + node + " is no primary any more"));
  }
  Lane::Target target;
  target.node = *found;
  co_return co_await parts_->request(std::move(request), deadline, std::move(target));
}

void Client::subscribe(std::string channel,
                       std::function<void(std::string_view payload)> on_message,
                       std::function<void()> on_connected) {
  parts_->thread.run([parts = parts_.get(), channel = std::move(channel),
                      on_message = std::move(on_message),
                      on_connected = std::move(on_connected)]() mutable {
    parts->subscriptions.push_back(std::make_unique<Subscription>(
        *parts->own, std::move(channel), std::move(on_message), std::move(on_connected)));
    parts->own->tick_soon();
  });
}

Task<Outcome<std::int64_t>> Client::publish(std::string channel, std::string payload,
                                            Deadline deadline) {
  Request request(channel);
  request.add({parts_->shared.is_cluster() ? "SPUBLISH" : "PUBLISH", channel, payload});
  Outcome<std::vector<Value>> values = co_await parts_->request(std::move(request), deadline);
  if (!values) co_return std::unexpected(std::move(values.error()));
  const Value& value = values->front();
  if (value.is_error()) {
    co_return std::unexpected(Failure{.error = error_of(value), .maybe_executed = false});
  }
  co_return value.integer;
}

Result<void> Client::ready() const { return parts_->shared.ready(); }

Task<Result<void>> Client::connect(Deadline deadline) {
  co_return co_await ReadyWait(*parts_->own, *parts_->watch, deadline);
}

Error error_of(const Value& error_answer) {
  const std::string text = error_answer.text.substr(0, 200);
  const std::string code = text.substr(0, text.find(' '));
  if (code == "OOM") {
    return {Errc::quota_exceeded, "Redis has reached its memory limit (maxmemory)"};
  }
  if (code == "MISCONF" || code == "NOREPLICAS" || code == "NOAUTH" || code == "NOPERM" ||
      code == "BUSY" || code == "LOADING" || code == "CLUSTERDOWN" || code == "READONLY" ||
      code == "MASTERDOWN" || code == "TRYAGAIN") {
    return {Errc::unavailable, "Redis refuses: " + text};
  }
  return {Errc::internal, "unexpected answer of Redis: " + text};
}

}  // namespace mpr::redis
