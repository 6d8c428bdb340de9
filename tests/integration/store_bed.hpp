// A Redis server and stores on it, for tests that run one operation after the other.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/run_loop.hpp"
#include "store/redis/redis_store.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/redis_server.hpp"

namespace mpr::test {

// One gateway's client and store.
class StoreOnRedis {
 public:
  StoreOnRedis(const RedisServer& server, RedisStore::Options options, Clock& clock)
      : StoreOnRedis(server.port(), std::move(options), clock) {}
  // Through something in front of the server.
  StoreOnRedis(std::uint16_t port, RedisStore::Options options, Clock& clock)
      : StoreOnRedis(options_for(port), std::move(options), clock) {}
  StoreOnRedis(redis::ClientOptions client, RedisStore::Options options, Clock& clock)
      : client_(std::move(client), metrics) {
    auto opened = loop.run(RedisStore::open(client_, std::move(options), clock, metrics, soon()));
    if (!opened) throw std::runtime_error(opened.error().context);
    store = std::move(*opened);
  }

  static Deadline soon() { return Deadline::after(std::chrono::seconds(60)); }
  redis::Client& client() { return client_; }

  template <class T>
  Result<T> run(Task<Result<T>> task) {
    return loop.run(std::move(task));
  }
  // The outcome of something that has to succeed.
  template <class T>
  T get(Task<Result<T>> task) {
    auto result = loop.run(std::move(task));
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().context);
    if constexpr (!std::is_void_v<T>) return result ? std::move(*result) : T{};
  }

  static redis::ClientOptions options_for(const RedisServer& server) {
    return options_for(server.port());
  }
  static redis::ClientOptions options_for(std::uint16_t port) {
    redis::ClientOptions options;
    options.servers = {{"127.0.0.1", port}};
    return options;
  }

  Metrics metrics;
  RunLoop loop;

 private:
  redis::Client client_;

 public:
  std::unique_ptr<RedisStore> store;
};

inline RedisStore::Options store_options(std::string prefix = "test") {
  RedisStore::Options options;
  options.prefix = std::move(prefix);
  options.partitions = 1;
  options.census_interval = {};
  return options;
}

inline NewMessage message_to(std::string_view to, std::string_view payload = "{}") {
  NewMessage message;
  message.connection.id = ConnectionId(to);
  message.id = MessageId("proposal-of-gateway");
  message.payload = make_payload(std::string(payload));
  message.received_at = FakeClock::kStart;
  return message;
}

inline QueueQuery queue_of(std::string_view of) {
  return {{TenantId(), ConnectionId(of)}, std::nullopt, {}};
}

inline TakeQuery taking(std::string_view from, std::uint64_t limit = 0) {
  TakeQuery query;
  query.queue = queue_of(from);
  query.limit = limit;
  return query;
}

}  // namespace mpr::test
