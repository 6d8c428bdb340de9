#include <gtest/gtest.h>

#include "tests/unit/pickup/gateway_bed.hpp"

namespace mpr {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Backend;
using test::GatewayBed;
using test::kToken;
using Payloads = std::vector<std::string>;

struct LiveDeliveryTest : testing::Test {
  Backend backend;
  GatewayBed gateway{backend};

  Payloads received(std::uint64_t socket) const { return gateway.sink.received({socket}); }
  void add(const char* payload) { ASSERT_TRUE(gateway.add("c", payload)); }
};

TEST_F(LiveDeliveryTest, OpeningASessionDeliversNothingByItself) {
  add("1");
  gateway.open("c", 1);
  EXPECT_TRUE(received(1).empty());
  EXPECT_EQ(gateway.count("c", 1), 1u);
}

TEST_F(LiveDeliveryTest, AMessageAcceptedAfterwardsIsDeliveredAtOnce) {
  gateway.open("c", 1);
  add("1");
  add("2");
  EXPECT_EQ(received(1), (Payloads{"1", "2"}));
}

TEST_F(LiveDeliveryTest, WhatIsInFlightIsNeitherCountedNorTaken) {
  add("backlog");
  gateway.open("c", 1);
  add("live");
  EXPECT_EQ(gateway.count("c", 1), 1u);
  EXPECT_EQ(gateway.take("c", 1), Payloads{"backlog"});
  EXPECT_EQ(gateway.count("c", 1), 0u) << "what the holder took is in flight as well";
}

TEST_F(LiveDeliveryTest, AWalletsBurstBringsNoDuplicates) {
  gateway.open("c", 1);
  for (int i = 0; i < 60; ++i) add(std::to_string(i).c_str());
  EXPECT_EQ(received(1).size(), 60u);
  // The wallet acknowledges some and asks for the count at once; what is still on its way to it
  // must not be counted, or it would ask for it again.
  gateway.acknowledge("c", {MessageId("message-1"), MessageId("message-2")}, 1);
  EXPECT_EQ(gateway.count("c", 1), 0u);
  EXPECT_TRUE(gateway.take("c", 1, 10).empty());
}

TEST_F(LiveDeliveryTest, TheNewestSessionTakesOverAndTheOldHolderIsTold) {
  gateway.open("c", 1, "session-1");
  add("1");
  gateway.open("c", 2, "session-2");
  EXPECT_EQ(gateway.count("c", 2), 1u) << "what was in flight to the old session is pending again";
  add("2");
  EXPECT_EQ(received(1), Payloads{"1"});
  EXPECT_EQ(received(2), Payloads{"2"});
  EXPECT_EQ(gateway.sink.replaced(),
            (std::vector<std::pair<SocketId, std::string>>{{{1}, "c/session-1"}}));
  EXPECT_FALSE(gateway.close("c", 1)) << "a late removal by the old holder";
  EXPECT_TRUE(gateway.live("c"));
}

TEST_F(LiveDeliveryTest, AResumedSessionYieldsToOneWithAnotherId) {
  gateway.open("c", 1, "session-1");
  gateway.open("c", 2, "session-2");
  EXPECT_FALSE(gateway.resume("c", 1, "session-1"));
  EXPECT_EQ(gateway.sink.replaced().size(), 1u) << "the present holder notices nothing";
  add("1");
  EXPECT_EQ(received(2), Payloads{"1"});
  EXPECT_TRUE(received(1).empty());
}

TEST_F(LiveDeliveryTest, AResumedSessionYieldsToAnOrphanWithAnotherId) {
  gateway.open("c", 2, "session-2");
  gateway.service.socket_closed({2});
  EXPECT_FALSE(gateway.resume("c", 1, "session-1"));
}

TEST_F(LiveDeliveryTest, AResumedSessionIsOpenedWhenItIsThereOrNoneIs) {
  EXPECT_TRUE(gateway.resume("c", 1));
  EXPECT_TRUE(gateway.resume("c", 2)) << "from another socket";
  gateway.service.socket_closed({2});
  EXPECT_TRUE(gateway.resume("c", 3));
  add("1");
  EXPECT_EQ(received(3), Payloads{"1"});
}

TEST_F(LiveDeliveryTest, RemoveAndAddBackToBackLeaveTheSessionOpen) {
  gateway.open("c", 1, "session-1");
  EXPECT_TRUE(gateway.close("c", 1));
  gateway.open("c", 1, "session-2");
  add("1");
  EXPECT_EQ(received(1), Payloads{"1"});
}

TEST_F(LiveDeliveryTest, AFullSocketLeavesMessagesPendingUntilItDrains) {
  gateway.open("c", 1);
  add("1");
  gateway.sink.fill({1});
  add("2");
  add("3");
  EXPECT_EQ(received(1), Payloads{"1"});
  EXPECT_EQ(gateway.count("c", 1), 2u) << "pending, so the wallet may ask for them";
  gateway.drain_socket(1);
  EXPECT_EQ(received(1), (Payloads{"1", "2", "3"}));
  add("4");
  EXPECT_EQ(received(1), (Payloads{"1", "2", "3", "4"}));
}

TEST_F(LiveDeliveryTest, ADrainIsFoundByTheSweepToo) {
  gateway.open("c", 1);
  gateway.sink.fill({1});
  add("1");
  gateway.sink.drain({1});
  gateway.pass(seconds(2));
  EXPECT_EQ(received(1), Payloads{"1"});
}

TEST_F(LiveDeliveryTest, MoreThanTheInFlightBoundFlowsAsItIsAcknowledged) {
  gateway.open("c", 1);
  for (int i = 0; i < 1500; ++i) add(std::to_string(i).c_str());
  EXPECT_EQ(received(1).size(), 1000u);
  std::vector<MessageId> ids;
  for (int i = 1; i <= 1000; ++i) ids.push_back(MessageId("message-" + std::to_string(i)));
  gateway.acknowledge("c", ids, 1);
  const Payloads all = received(1);
  ASSERT_EQ(all.size(), 1500u);
  for (int i = 0; i < 1500; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)], std::to_string(i));
}

TEST_F(LiveDeliveryTest, AVanishedSocketsSessionGoesOnWithWhoeverSubscribes) {
  gateway.open("c", 1);
  add("1");
  gateway.close_socket(1);
  EXPECT_TRUE(gateway.live("c")) << "its grace runs";
  EXPECT_EQ(gateway.count("c"), 1u) << "pending again";
  gateway.subscribe(2);
  EXPECT_EQ(received(2), Payloads{"1"}) << "what the lost socket did not acknowledge";
  add("2");
  EXPECT_EQ(received(2), (Payloads{"1", "2"}));
}

TEST_F(LiveDeliveryTest, TheSocketThatAcknowledgesAdoptsTheSession) {
  gateway.open("c", 1);
  gateway.close_socket(1);
  gateway.subscribe(2);
  gateway.subscribe(3);
  add("1");
  EXPECT_EQ(received(2), Payloads{"1"});
  EXPECT_EQ(received(3), Payloads{"1"});
  gateway.acknowledge("c", {MessageId("message-1")}, 3);
  add("2");
  EXPECT_EQ(received(2), Payloads{"1"});
  EXPECT_EQ(received(3), (Payloads{"1", "2"}));
  gateway.pass(seconds(60));
  EXPECT_TRUE(gateway.live("c")) << "an adopted session is nobody's orphan";
}

TEST_F(LiveDeliveryTest, AnOrphansGraceEndsAndThePhoneIsPushed) {
  gateway.open("c", 1);
  gateway.close_socket(1);
  ASSERT_TRUE(gateway.add("c", "1", kToken));
  EXPECT_EQ(gateway.push.reasons(), std::vector{PushReason::message_added})
      << "nobody is there who could deliver it";
  gateway.pass(seconds(10));
  EXPECT_FALSE(gateway.live("c"));
  EXPECT_EQ(gateway.push.reasons(),
            (std::vector{PushReason::message_added, PushReason::session_ended}));
  EXPECT_EQ(gateway.count("c"), 1u);
}

TEST_F(LiveDeliveryTest, ASessionOpenedByASocketThatIsGoneIsAnOrphanAtOnce) {
  gateway.close_socket(1);
  gateway.open("c", 1);
  gateway.pass(seconds(10));
  EXPECT_FALSE(gateway.live("c"));
}

TEST_F(LiveDeliveryTest, TheSameSessionReopenedOnANewSocketGetsWhatWasUnacknowledged) {
  gateway.open("c", 1);
  add("1");
  add("2");
  gateway.acknowledge("c", {MessageId("message-1")}, 1);
  gateway.close_socket(1);
  gateway.open("c", 2);
  EXPECT_EQ(received(2), Payloads{"2"});
}

TEST_F(LiveDeliveryTest, AGapIsSearchedByTheNextSweep) {
  GatewayBed other(backend, "gateway-2");
  gateway.open("c", 1);
  // A gateway stored the message and died before it announced it.
  NewMessage lost;
  lost.connection = {TenantId(), ConnectionId("c")};
  lost.id = MessageId("lost-message");
  lost.payload = make_payload("lost");
  ASSERT_TRUE(gateway.loop.run(backend.store.add(std::move(lost), {})));
  EXPECT_TRUE(received(1).empty());
  gateway.service.on_gap();
  gateway.pass(milliseconds(1));
  EXPECT_EQ(received(1), Payloads{"lost"});
}

TEST_F(LiveDeliveryTest, AnEarlierPendingMessageTravelsWithTheNextInOrder) {
  gateway.open("c", 1);
  NewMessage lost;
  lost.connection = {TenantId(), ConnectionId("c")};
  lost.id = MessageId("lost-message");
  lost.payload = make_payload("lost");
  ASSERT_TRUE(gateway.loop.run(backend.store.add(std::move(lost), {})));
  add("next");
  EXPECT_EQ(received(1), (Payloads{"lost", "next"}));
}

struct TwoGatewaysTest : testing::Test {
  Backend backend;
  GatewayBed here{backend, "gateway-1"};
  GatewayBed there{backend, "gateway-2"};
};

TEST_F(TwoGatewaysTest, AMessageReachesTheGatewayThatHoldsTheSession) {
  here.open("c", 1);
  EXPECT_TRUE(there.live("c"));
  Executor::Scope scope(here.loop);
  ASSERT_TRUE(there.add("c", "1", kToken));
  EXPECT_EQ(here.sink.received({1}), Payloads{"1"});
  EXPECT_TRUE(there.push.reasons().empty());
}

TEST_F(TwoGatewaysTest, ANewerSessionElsewhereEndsTheOldOne) {
  here.open("c", 1, "session-1");
  there.open("c", 1, "session-2");
  EXPECT_EQ(here.sink.replaced(),
            (std::vector<std::pair<SocketId, std::string>>{{{1}, "c/session-1"}}));
  EXPECT_FALSE(here.close("c", 1));
  EXPECT_TRUE(here.live("c")) << "on the other gateway";
  ASSERT_TRUE(here.add("c", "1"));
  EXPECT_TRUE(here.sink.received({1}).empty());
  EXPECT_EQ(there.sink.received({1}), Payloads{"1"});
}

TEST_F(TwoGatewaysTest, AResumedSessionYieldsToOneElsewhere) {
  there.open("c", 1, "session-2");
  EXPECT_FALSE(here.resume("c", 1, "session-1"));
  EXPECT_TRUE(there.sink.replaced().empty());
  ASSERT_TRUE(here.add("c", "1"));
  EXPECT_EQ(there.sink.received({1}), Payloads{"1"});

  EXPECT_TRUE(here.resume("c", 1, "session-2")) << "the same mediator is back, here";
  EXPECT_EQ(there.sink.replaced().size(), 1u);
}

TEST_F(TwoGatewaysTest, WhatIsAcknowledgedElsewhereMakesRoomWithinSeconds) {
  here.open("c", 1);
  std::vector<MessageId> ids;
  for (int i = 0; i < 1'200; ++i) ids.push_back(here.add("c", std::to_string(i))->id);
  ASSERT_EQ(here.sink.received({1}).size(), 1'000u);
  const MessageId kept = ids[500];
  ids.resize(1'000);
  std::erase(ids, kept);
  there.acknowledge("c", ids);
  for (int i = 0; i < 30; ++i) here.pass(milliseconds(100));
  EXPECT_EQ(here.sink.received({1}).size(), 1'200u);
  there.acknowledge("c", {kept});
  EXPECT_EQ(there.count("c"), 200u);
}

TEST_F(TwoGatewaysTest, AMessageAcknowledgedThroughAnotherGatewayIsNotCountedHere) {
  here.open("c", 1);
  const auto receipt = here.add("c", "1");
  there.acknowledge("c", {receipt->id});
  EXPECT_EQ(here.count("c", 1), 0u);
  EXPECT_EQ(there.count("c"), 0u);
}

}  // namespace
}  // namespace mpr
