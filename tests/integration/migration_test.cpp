// Taking over the queues of the service that MPR replaces, on a real Redis.
#include "app/migration.hpp"

#include <gtest/gtest.h>

#include "app/redis_storage.hpp"
#include "base/run_loop.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/redis_server.hpp"

namespace mpr {
namespace {

using Texts = std::vector<std::string>;

struct MigrationTest : testing::Test {
  MigrationTest() {
    settings.redis_url = Secret("redis://" + server.address());
    settings.redis_type = RedisType::single;
    settings.redis_prefix = "mpr";
    settings.redis_partitions = 16;
    settings.max_queue_messages = 1000;
    settings.max_queue_bytes = 1 << 20;
    settings.idempotency_window = std::chrono::minutes(10);
    open(MigrationTarget::Purpose::fill);
  }
  void open(MigrationTarget::Purpose purpose) {
    auto opened = MigrationTarget::open(settings, purpose, clock, metrics);
    if (!opened) throw std::runtime_error(opened.error().context);
    target = std::move(*opened);
  }

  static std::string old_text(const std::string& connection, int number) {
    return R"({"messageId":"message-)" + std::to_string(number) + R"(","connectionId":")" +
           connection + R"(","recipientDids":["did:a"],"encryptedMessage":{"n":)" +
           std::to_string(number) + R"(},"state":"pending","receivedAt":"2026-01-31T12:00:00Z"})";
  }
  static std::string key_of(const std::string& connection) {
    return "connectionId:" + connection + ":queuemessages";
  }
  void push_old(const std::string& connection, const std::string& text) {
    server.cli({"RPUSH", key_of(connection), text});
  }
  std::string length(const std::string& key) { return server.cli({"LLEN", key}); }

  Result<MigrationProgress> migrate(bool dry_run = false) {
    OldQueues queues(target->client());
    Migration migration({.queues = queues,
                         .store = target->store_to_fill(),
                         .clock = clock,
                         .on_progress = [](const MigrationProgress&) {},
                         .on_unreadable = [this](std::string s) { complaints.push_back(s); }});
    return dry_run ? loop.run(migration.dry_run()) : loop.run(migration.run());
  }
  Texts payloads(const std::string& connection) {
    TakeQuery query;
    query.queue.connection = {TenantId(), ConnectionId(connection)};
    Texts texts;
    for (const auto& m : *loop.run(target->store_to_fill()->take(query, Deadline::never()))) {
      texts.push_back(m.id.value + " " + *m.payload);
    }
    return texts;
  }

  test::RedisServer server;
  test::FakeClock clock;
  Metrics metrics;
  Settings settings;
  RunLoop loop;
  std::unique_ptr<MigrationTarget> target;
  Texts complaints;
};

TEST_F(MigrationTest, ADryRunCountsAndChangesNothing) {
  push_old("phone", old_text("phone", 1));
  push_old("phone", "broken");
  const auto progress = migrate(true);
  ASSERT_TRUE(progress);
  EXPECT_EQ(*progress, (MigrationProgress{.queues = 1, .messages = 2, .unreadable = 1}));
  EXPECT_EQ(length(key_of("phone")), "2");
  EXPECT_TRUE(payloads("phone").empty());
}

TEST_F(MigrationTest, ADryRunBeforeTheFirstStartLeavesNothingBehind) {
  server.cli({"FLUSHALL"});
  push_old("phone", old_text("phone", 1));
  open(MigrationTarget::Purpose::look);
  const auto progress = migrate(true);
  ASSERT_TRUE(progress) << progress.error().context;
  EXPECT_EQ(*progress, (MigrationProgress{.queues = 1, .messages = 1}));
  EXPECT_EQ(server.cli({"DBSIZE"}), "1");
}

TEST_F(MigrationTest, KeysThatAreNoQueuesAreNamedAndLeftAlone) {
  push_old("phone", old_text("phone", 1));
  push_old("", old_text("nobody", 2));
  server.cli({"SET", key_of("text"), "hello"});
  const Texts expected = {"connectionId::queuemessages names no connection",
                          "connectionId:text:queuemessages is not a list"};
  const auto looked = migrate(true);
  ASSERT_TRUE(looked) << looked.error().context;
  EXPECT_EQ(*looked, (MigrationProgress{.queues = 1, .messages = 1, .foreign = 2}));
  EXPECT_EQ(std::exchange(complaints, {}), expected);
  const auto progress = migrate();
  ASSERT_TRUE(progress) << progress.error().context;
  EXPECT_EQ(*progress,
            (MigrationProgress{
                .queues = 1, .queues_done = 1, .messages = 1, .taken_over = 1, .foreign = 2}));
  EXPECT_EQ(complaints, expected);
  EXPECT_EQ(server.cli({"GET", key_of("text")}), "hello");
  EXPECT_EQ(length(key_of("")), "1");
}

TEST_F(MigrationTest, MessagesComeInOrderUnderTheirOwnIdsAndTheOldOnesAreKeptAside) {
  for (int i = 1; i <= 250; ++i) push_old("phone", old_text("phone", i));
  push_old("other", old_text("other", 1000));
  const auto progress = migrate();
  ASSERT_TRUE(progress) << progress.error().context;
  EXPECT_EQ(*progress,
            (MigrationProgress{.queues = 2, .queues_done = 2, .messages = 251, .taken_over = 251}));
  const Texts taken = payloads("phone");
  ASSERT_EQ(taken.size(), 250U);
  for (int i = 1; i <= 250; ++i) {
    const std::string number = std::to_string(i);
    EXPECT_EQ(taken[static_cast<std::size_t>(i - 1)],
              "message-" + number + " {\"n\":" + number + "}");
  }
  EXPECT_EQ(payloads("other"), Texts{"message-1000 {\"n\":1000}"});
  EXPECT_EQ(length(key_of("phone")), "0");
  EXPECT_EQ(length("{" + key_of("phone") + "}:taken-over"), "250");
}

TEST_F(MigrationTest, ARunAfterAnInterruptedOneStoresNothingTwice) {
  push_old("phone", old_text("phone", 1));
  ASSERT_TRUE(migrate());
  // It had been stored, and the process died before it was set aside.
  push_old("phone", old_text("phone", 1));
  push_old("phone", old_text("phone", 2));
  const auto progress = migrate();
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->known, 1U);
  EXPECT_EQ(progress->taken_over, 1U);
  EXPECT_EQ(payloads("phone").size(), 2U);
}

TEST_F(MigrationTest, WhatCannotBeReadIsSetAsideAndNamed) {
  push_old("phone", R"({"messageId":"m","secret":"payload"})");
  push_old("phone", old_text("somebody-else", 7));
  push_old("phone", old_text("phone", 8));
  const auto progress = migrate();
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->unreadable, 2U);
  EXPECT_EQ(progress->taken_over, 1U);
  EXPECT_EQ(length("{" + key_of("phone") + "}:unreadable"), "2");
  ASSERT_EQ(complaints.size(), 2U);
  EXPECT_EQ(complaints[0].find("secret"), std::string::npos);
  EXPECT_TRUE(payloads("somebody-else").empty());
}

TEST(OldQueues, LongKeysAreShownShortened) {
  EXPECT_EQ(OldQueues::shown("connectionId:a\n\x1b:queuemessages"),
            "connectionId:a??:queuemessages");
  const std::string key = "connectionId:" + std::string(300, 'x') + ":queuemessages";
  EXPECT_EQ(OldQueues::shown(key),
            "connectionId:" + std::string(47, 'x') + "...xxxxxx:queuemessages (327 bytes)");
}

TEST(OldQueues, KeepTheSlotOfTheOldKey) {
  using enum OldQueues::Fate;
  EXPECT_EQ(OldQueues::aside_key("connectionId:a:queuemessages", taken_over),
            "{connectionId:a:queuemessages}:taken-over");
  EXPECT_EQ(OldQueues::aside_key("connectionId:{a}b:queuemessages", unreadable),
            "connectionId:{a}b:queuemessages:unreadable");
  EXPECT_EQ(OldQueues::connection_of("connectionId:a:b:queuemessages"), ConnectionId("a:b"));
  EXPECT_EQ(OldQueues::connection_of("connectionId::queuemessages"), std::nullopt);
  EXPECT_EQ(OldQueues::connection_of("liveSession:a"), std::nullopt);
}

}  // namespace
}  // namespace mpr
