// The Redis client against real single servers: logins, TLS, deadlines, broken connections.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/run_loop.hpp"
#include "store/redis/client.hpp"
#include "tests/support/redis_server.hpp"

namespace mpr::redis {
namespace {

using namespace std::chrono_literals;
using test::RedisServer;

ClientOptions options_for(const RedisServer& server) {
  ClientOptions options;
  options.servers = {{"127.0.0.1", server.port()}};
  return options;
}

Request words(std::initializer_list<std::string_view> all, Repeat repeat = Repeat::never) {
  Request request(all.size() > 1 ? *(all.begin() + 1) : std::string_view());
  request.add(all, repeat);
  return request;
}

TEST(RedisClient, AnswersEveryCommandOfARequestInOrder) {
  RedisServer server;
  Metrics metrics;
  Client client(options_for(server), metrics);
  RunLoop loop;

  Request request("a");
  request.add({"SET", "a", "1"}).add({"INCR", "a"}).add({"GET", "a"}).add({"LPUSH", "a", "x"});
  const auto values = loop.run(client.run(std::move(request), Deadline::after(5s)));

  ASSERT_TRUE(values.has_value()) << values.error().error.context;
  ASSERT_EQ(values->size(), 4u);
  EXPECT_EQ((*values)[0].text, "OK");
  EXPECT_EQ((*values)[1].integer, 2);
  EXPECT_EQ((*values)[2].text, "2");
  EXPECT_TRUE((*values)[3].is_error());
  EXPECT_TRUE((*values)[3].text.starts_with("WRONGTYPE"));
}

TEST(RedisClient, SendsTheTextOfAScriptThatTheServerDoesNotKnow) {
  RedisServer server;
  Metrics metrics;
  Client client(options_for(server), metrics);
  RunLoop loop;
  const Script script("echo", "return {KEYS[1], ARGV[1]}");

  for (int i = 0; i < 2; ++i) {
    const auto value =
        loop.run(client.eval(script, {"k"}, {"v"}, Repeat::never, Deadline::after(5s)));
    ASSERT_TRUE(value.has_value()) << value.error().error.context;
    ASSERT_EQ(value->items.size(), 2u);
    EXPECT_EQ(value->items[0].text, "k");
    EXPECT_EQ(value->items[1].text, "v");
  }
}

TEST(RedisClient, FailsAtTheDeadlineWhenNobodyListens) {
  RedisServer server;
  server.kill9();
  Metrics metrics;
  Client client(options_for(server), metrics);
  RunLoop loop;

  const auto begin = std::chrono::steady_clock::now();
  const auto value = loop.run(client.run_one(words({"GET", "a"}), Deadline::after(300ms)));
  const auto took = std::chrono::steady_clock::now() - begin;

  ASSERT_FALSE(value.has_value());
  EXPECT_EQ(value.error().error.code, Errc::deadline_exceeded);
  EXPECT_FALSE(value.error().maybe_executed);
  EXPECT_TRUE(value.error().error.context.contains("Connection refused"))
      << value.error().error.context;
  EXPECT_GE(took, 300ms);
  EXPECT_LT(took, 2s);
}

}  // namespace
}  // namespace mpr::redis
