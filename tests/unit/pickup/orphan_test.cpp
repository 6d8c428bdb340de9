// Sessions whose socket vanished: nothing is lost on the way to the socket that carries on, and a
// flood of them costs bounded work at a time.
#include <gtest/gtest.h>

#include "tests/unit/pickup/gateway_bed.hpp"

namespace mpr {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Backend;
using test::GatewayBed;
using test::InterceptedStore;
using test::kToken;
using Payloads = std::vector<std::string>;

struct OrphanTest : testing::Test {
  Backend backend;
  InterceptedStore store{backend.store};
  GatewayBed gateway{backend, "gateway-1", &store};

  Payloads received(std::uint64_t socket) const { return gateway.sink.received({socket}); }
  void add(const char* payload) { ASSERT_TRUE(gateway.add("c", payload)); }
  // As many sessions as an earlier incarnation left, each with one message pending.
  void restore(std::size_t sessions) {
    std::vector<RecoveredSession> recovered;
    for (std::size_t i = 0; i < sessions; ++i) {
      const std::string name = "c" + std::to_string(i);
      ASSERT_TRUE(gateway.add(name.c_str(), name, kToken));
      recovered.push_back({{TenantId(), ConnectionId(name)}, SessionId("s"), {1}, {0}});
    }
    gateway.directory.recovered(std::move(recovered));
    ASSERT_EQ(*gateway.loop.run(gateway.service.restore_sessions()), sessions);
  }
};

TEST_F(OrphanTest, WhatWasBroadcastStaysVisibleUntilSomebodyAdoptsTheSession) {
  gateway.subscribe(2);
  gateway.open("c", 1);
  add("1");
  add("2");
  gateway.close_socket(1);
  gateway.pass(milliseconds(100));
  EXPECT_EQ(received(2), (Payloads{"1", "2"}));
  EXPECT_EQ(gateway.count("c", 3), 2u) << "the phone may come back anywhere and ask";
  EXPECT_EQ(gateway.take("c", 3), (Payloads{"1", "2"}));
  gateway.acknowledge("c", {MessageId("message-1")}, 2);
  EXPECT_EQ(gateway.count("c", 2), 0u) << "in flight to the adopter";
}

// A client that comes back sends the acknowledgements that waited before it subscribes.
TEST_F(OrphanTest, WhoAcknowledgesBeforeItListensHearsWhatWentToTheOthers) {
  gateway.subscribe(2);
  gateway.open("c", 1);
  add("1");
  gateway.close_socket(1);
  add("2");
  ASSERT_EQ(received(2), (Payloads{"1", "2"}));
  gateway.acknowledge("c", {MessageId("message-1")}, 3);
  EXPECT_EQ(received(3), Payloads{"2"});
  gateway.subscribe(3);
  gateway.acknowledge("c", {MessageId("message-2")}, 3);
  add("3");
  EXPECT_EQ(received(2), (Payloads{"1", "2"})) << "it is 3 that has the session now";
  EXPECT_EQ(received(3), (Payloads{"2", "3"}));
}

TEST_F(OrphanTest, WhoComesBackWithTheSessionHearsOnceWhatWentToTheOthers) {
  gateway.subscribe(2);
  gateway.open("c", 1, "session");
  add("1");
  gateway.close_socket(1);
  add("2");
  gateway.acknowledge("c", {MessageId("message-1")}, 3);
  gateway.open("c", 3, "session");
  EXPECT_EQ(received(3), Payloads{"2"});
}

TEST_F(OrphanTest, AnAcknowledgementThatRemovesNothingAdoptsNothing) {
  gateway.open("c", 1);
  gateway.close_socket(1);
  gateway.acknowledge("c", {}, 2);
  gateway.acknowledge("c", {MessageId("unknown-id")}, 2);
  add("1");
  EXPECT_TRUE(received(2).empty());
  gateway.pass(seconds(10));
  EXPECT_FALSE(gateway.live("c"));
}

TEST_F(OrphanTest, ASlowReadForTheLostSocketDoesNotOvertakeWhatItLeftUnacknowledged) {
  gateway.open("c", 1);
  add("1");
  add("2");
  gateway.sink.fill({1});
  add("3");
  add("4");
  store.hold_takes(true);
  gateway.drain_socket(1);  // a pump reads 3 and 4, and its answer takes its time
  gateway.close_socket(1);
  gateway.subscribe(2);  // another pump reads 1 to 4
  store.release_takes();
  while (gateway.loop.poll() > 0) {
  }
  EXPECT_EQ(received(2), (Payloads{"1", "2", "3", "4"}));
}

TEST_F(OrphanTest, EverySocketThatSubscribesHearsWhatNobodyAcknowledged) {
  gateway.open("c", 1);
  add("1");
  gateway.close_socket(1);
  gateway.subscribe(2);
  ASSERT_EQ(received(2), Payloads{"1"});
  gateway.subscribe(3);  // the mediator that has the phone
  EXPECT_EQ(received(3), Payloads{"1"});
}

TEST_F(OrphanTest, ASocketThatIsSubscribedAlreadyHearsSoonOfWhatFlowsAgain) {
  gateway.subscribe(2);
  gateway.open("c", 1);
  add("1");
  gateway.close_socket(1);
  gateway.pass(milliseconds(100));
  EXPECT_EQ(received(2), Payloads{"1"});
}

TEST_F(OrphanTest, APhoneNobodyCanReachIsPushedEvenIfAnEarlierMessageHasNoToken) {
  gateway.open("c", 1);
  gateway.close_socket(1);
  add("no token");
  ASSERT_TRUE(gateway.add("c", "token", kToken));
  EXPECT_EQ(gateway.push.reasons(), std::vector{PushReason::message_added});
}

TEST_F(OrphanTest, ARestartPushesNobodyBeforeTheGraceIsOver) {
  restore(10);
  const std::size_t pushed_before = gateway.push.reasons().size();
  gateway.pass(seconds(2));
  gateway.pass(seconds(2));
  EXPECT_EQ(gateway.push.reasons().size(), pushed_before);
  gateway.subscribe(1);
  EXPECT_EQ(received(1).size(), 10u);
}

TEST_F(OrphanTest, AddsForAPhoneNobodyCanReachDoNotReadItsQueue) {
  gateway.open("c", 1);
  gateway.close_socket(1);
  add("1");
  const std::size_t before = store.takes();
  for (int i = 0; i < 100; ++i) add("more");
  EXPECT_LE(store.takes() - before, 1u);
}

TEST_F(OrphanTest, AFloodOfOrphansIsServedInPortions) {
  constexpr std::size_t kSessions = 20'000;
  restore(kSessions);
  const std::size_t before = store.takes();
  gateway.subscribe(1);
  EXPECT_LE(store.takes() - before, 10'000u) << "on the thread of the socket that subscribed";
  for (int tick = 0; tick < 10; ++tick) gateway.pass(milliseconds(100));
  EXPECT_EQ(received(1).size(), kSessions);
}

TEST_F(OrphanTest, AFloodOfSessionsEndsInPortions) {
  constexpr std::size_t kSessions = 20'000;
  restore(kSessions);
  const std::size_t before = gateway.push.reasons().size();
  gateway.pass(seconds(10));
  EXPECT_LE(gateway.push.reasons().size() - before, 10'000u) << "one tick stays short";
  for (int tick = 0; tick < 10; ++tick) gateway.pass(milliseconds(100));
  EXPECT_EQ(gateway.push.reasons().size() - before, kSessions);
}

// The mediator's socket vanished at one gateway, and its client is back at another one.
struct OrphanElsewhereTest : testing::Test {
  Backend backend;
  GatewayBed here{backend, "gateway-1"};
  GatewayBed there{backend, "gateway-2"};
  Executor::Scope scope{here.loop};

  Payloads received_there(std::uint64_t socket) const { return there.sink.received({socket}); }
  void orphan() {
    here.open("c", 1);
    here.close_socket(1);
  }
};

TEST_F(OrphanElsewhereTest, ItsMessagesReachTheSocketsThatListenAtOtherGateways) {
  there.subscribe(2);
  orphan();
  ASSERT_TRUE(here.add("c", "1"));
  ASSERT_TRUE(there.add("c", "2"));
  here.pass(seconds(1));
  EXPECT_EQ(received_there(2), (Payloads{"1", "2"}));
}

TEST_F(OrphanElsewhereTest, WhoAcknowledgesThereTakesTheSessionOn) {
  there.subscribe(2);
  orphan();
  const auto receipt = here.add("c", "1");
  there.acknowledge("c", {receipt->id}, 2);
  EXPECT_TRUE(there.live("c"));
  ASSERT_TRUE(here.add("c", "2"));
  EXPECT_EQ(received_there(2), (Payloads{"1", "2"}));
  EXPECT_EQ(there.count("c", 2), 0u) << "in flight to its new holder";
  EXPECT_TRUE(there.close("c", 2, SessionId("session-1"))) << "whatever its id was";
  EXPECT_FALSE(here.live("c"));
}

TEST_F(OrphanElsewhereTest, AListenerThatComesLaterHearsWhatNobodyAcknowledged) {
  there.subscribe(2);
  orphan();
  ASSERT_TRUE(here.add("c", "1"));
  ASSERT_EQ(received_there(2), Payloads{"1"});
  there.subscribe(3);  // the mediator that has the phone
  here.pass(seconds(1));
  EXPECT_EQ(received_there(3), Payloads{"1"});
}

TEST_F(OrphanElsewhereTest, NobodyHearsAMessageTwice) {
  there.subscribe(2);
  orphan();
  ASSERT_TRUE(here.add("c", "1"));
  for (int second = 0; second < 5; ++second) here.pass(seconds(1));
  EXPECT_EQ(received_there(2), Payloads{"1"});
}

TEST_F(OrphanElsewhereTest, AfterTheGraceAnAcknowledgementTakesNothingOn) {
  there.subscribe(2);
  orphan();
  const auto receipt = here.add("c", "1");
  here.pass(seconds(10));
  there.acknowledge("c", {receipt->id}, 2);
  EXPECT_FALSE(there.live("c"));
}

TEST_F(OrphanElsewhereTest, ANewerSessionIsNotTakenOn) {
  there.subscribe(2);
  orphan();
  const auto receipt = here.add("c", "1");
  here.open("c", 5, "session-2");
  there.acknowledge("c", {receipt->id}, 2);
  EXPECT_FALSE(there.close("c", 2));
  ASSERT_TRUE(there.add("c", "2"));
  EXPECT_EQ(here.sink.received({5}), Payloads{"2"});
}

TEST_F(OrphanElsewhereTest, AGatewayThatDiedLeavesOrphansToTheOthers) {
  here.open("c", 1);
  there.subscribe(2);
  there.directory.lose("gateway-1");
  const auto receipt = there.add("c", "1", kToken);
  EXPECT_EQ(received_there(2), Payloads{"1"});
  EXPECT_EQ(there.push.reasons(), std::vector{PushReason::message_added})
      << "the mediator may never come back";
  there.acknowledge("c", {receipt->id}, 2);
  EXPECT_TRUE(there.close("c", 2));
}

}  // namespace
}  // namespace mpr
