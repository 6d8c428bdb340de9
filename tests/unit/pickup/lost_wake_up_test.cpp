// Races and failures between store, directory and sockets that must not leave a phone deaf, push a
// phone for nothing, or let one slow socket hold up the others.
#include <gtest/gtest.h>

#include <thread>

#include "tests/support/log_capture.hpp"
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

struct LostWakeUpTest : testing::Test {
  Backend backend;
  InterceptedStore store{backend.store};
  GatewayBed here{backend, "gateway-1", &store};
  GatewayBed there{backend, "gateway-2"};

  AddRequest keyed_message() {
    AddRequest request = GatewayBed::message("c", "1");
    request.message_id = MessageId("chosen-by-caller");
    request.push_token = kToken;
    return request;
  }
  // A gateway stores the message and dies before it tells anyone.
  void store_silently() {
    NewMessage message;
    message.connection = {TenantId(), ConnectionId("c")};
    message.id = MessageId("chosen-by-caller");
    message.id_origin = IdOrigin::caller;
    message.payload = make_payload("1");
    message.push_token = kToken;
    ASSERT_TRUE(here.loop.run(backend.store.add(std::move(message), {})));
  }
  void add_again(GatewayBed& gateway) {
    ASSERT_TRUE(
        gateway.loop.run(gateway.service.add_message(GatewayBed::caller(99), keyed_message(), {})));
  }
};

TEST_F(LostWakeUpTest, ASessionThatIsSupersededWhileItOpensDoesNotStay) {
  here.directory.after_open([&] { there.open("c", 2, "session-2"); });
  here.open("c", 1, "session-1");
  ASSERT_TRUE(here.add("c", "1"));
  EXPECT_TRUE(here.sink.received({1}).empty());
  EXPECT_EQ(there.sink.received({2}), Payloads{"1"});
  EXPECT_EQ(here.sink.replaced(),
            (std::vector<std::pair<SocketId, std::string>>{{{1}, "c/session-1"}}));
}

TEST_F(LostWakeUpTest, WhatATakeReadsTooLateIsThereForTheNext) {
  ASSERT_TRUE(here.add("c", "1"));
  here.open("c", 1);
  const Deadline soon = Deadline::after(milliseconds(20));
  store.after_take([&] { std::this_thread::sleep_until(soon.at); });
  TakeRequest request;
  request.connection_id = ConnectionId("c");
  const auto late = here.loop.run(here.service.take(GatewayBed::caller(1), request, soon));
  ASSERT_FALSE(late) << "it was answered with an error when its time was over";
  EXPECT_EQ(late.error().code, Errc::deadline_exceeded);
  EXPECT_EQ(here.count("c", 1), 1u);
  EXPECT_EQ(here.take("c", 1), Payloads{"1"});
}

TEST_F(LostWakeUpTest, AGapRevealsASessionThatWasSupersededUnheard) {
  here.open("c", 1, "session-1");
  here.directory.deafen(true);
  there.open("c", 2, "session-2");
  here.directory.deafen(false);
  here.service.on_gap();
  here.pass(milliseconds(100));
  ASSERT_TRUE(here.add("c", "1"));
  EXPECT_TRUE(here.sink.received({1}).empty());
  EXPECT_EQ(there.sink.received({2}), Payloads{"1"});
}

TEST_F(LostWakeUpTest, AMessageThatAReplacedSessionHadReachesTheNewOne) {
  here.open("c", 1, "session-1");
  here.directory.deafen(true);
  there.open("c", 2, "session-2");
  ASSERT_TRUE(here.add("c", "1"));
  EXPECT_EQ(here.sink.received({1}), Payloads{"1"}) << "the notice has not come yet";
  EXPECT_TRUE(there.sink.received({2}).empty());
  here.directory.deafen(false);
  here.service.on_gap();
  here.pass(milliseconds(100));
  EXPECT_EQ(there.sink.received({2}), Payloads{"1"});
}

TEST_F(LostWakeUpTest, AnAnnouncementToAnEarlierEpochOfTheSameSessionCounts) {
  here.open("c", 1);
  NewMessage message;
  message.connection = {TenantId(), ConnectionId("c")};
  message.id = MessageId("message-9");
  message.payload = make_payload("1");
  const Position position = here.loop.run(backend.store.add(std::move(message), {}))->position;
  here.open("c", 1);  // the same session again, under a new epoch
  Executor::Scope scope(here.loop);
  here.service.on_announced({TenantId(), ConnectionId("c")}, position);
  EXPECT_EQ(here.sink.received({1}), Payloads{"1"});
}

TEST_F(LostWakeUpTest, AnAnnouncementIsReadOnceHoweverOftenItComes) {
  here.open("c", 1);
  ASSERT_TRUE(there.add("c", "1"));
  const std::size_t before = store.takes();
  const Position position =
      here.loop.run(backend.store.tail({TenantId(), ConnectionId("c")}, {})).value();
  for (int i = 0; i < 10; ++i) here.service.on_announced({TenantId(), ConnectionId("c")}, position);
  EXPECT_EQ(here.sink.received({1}), Payloads{"1"});
  EXPECT_EQ(store.takes(), before);
}

TEST_F(LostWakeUpTest, AGapPutsBackTheRecordsThatTheDirectoryLost) {
  here.open("c", 1);
  here.service.on_gap();
  here.pass(milliseconds(100));
  EXPECT_EQ(here.directory.renewals(), 1u);
}

TEST_F(LostWakeUpTest, ADirectoryThatRefusedToCloseIsAskedAgain) {
  here.open("c", 1);
  ASSERT_TRUE(here.add("c", "1", kToken));
  here.directory.refuse_close(true);
  EXPECT_TRUE(here.close("c", 1));
  here.directory.refuse_close(false);
  EXPECT_TRUE(there.live("c")) << "a zombie, for a moment";
  here.pass(seconds(2));
  EXPECT_FALSE(there.live("c"));
  ASSERT_TRUE(there.add("c", "2", kToken));
  EXPECT_EQ(there.push.reasons(), std::vector{PushReason::message_added});
}

TEST_F(LostWakeUpTest, ADirectoryThatAnswersNobodyIsNotALineForEachMessage) {
  const test::LogCapture logs;
  here.directory.refuse_find(true);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(here.add("c", "1"));
  const auto lines = logs.with("could not look up a live session").size();
  EXPECT_GE(lines, 1U);
  EXPECT_LT(lines, 10U);
}

TEST_F(LostWakeUpTest, AStoreThatFailedWhenASessionEndedIsAskedAgainForThePush) {
  here.open("c", 1);
  ASSERT_TRUE(here.add("c", "1", kToken));
  store.refuse(true);
  EXPECT_TRUE(here.close("c", 1));
  EXPECT_TRUE(here.push.reasons().empty());
  store.refuse(false);
  here.pass(seconds(2));
  EXPECT_EQ(here.push.reasons(), std::vector{PushReason::session_ended});
}

TEST_F(LostWakeUpTest, ASessionThatEndsHereAndIsLiveElsewhereIsNotPushed) {
  here.open("c", 1);
  ASSERT_TRUE(here.add("c", "1", kToken));
  here.directory.deafen(true);
  there.open("c", 2, "session-2");
  EXPECT_TRUE(here.close("c", 1));
  EXPECT_TRUE(here.push.reasons().empty());
}

TEST_F(LostWakeUpTest, AnAddThatIsRepeatedAnnouncesWhatTheFirstCouldNot) {
  here.open("c", 1);
  store_silently();
  add_again(there);
  EXPECT_EQ(here.sink.received({1}), Payloads{"1"});
  add_again(there);
  add_again(here);
  EXPECT_EQ(here.sink.received({1}), Payloads{"1"}) << "once";
  EXPECT_TRUE(there.push.reasons().empty());
}

TEST_F(LostWakeUpTest, AnAddThatIsRepeatedPushesOnlyWhileItsMessageIsPending) {
  store_silently();
  add_again(there);
  EXPECT_EQ(there.push.reasons(), std::vector{PushReason::message_added});
  there.acknowledge("c", {MessageId("chosen-by-caller")});
  add_again(there);
  EXPECT_EQ(there.push.reasons().size(), 1u);
}

TEST_F(LostWakeUpTest, WhatWasAcknowledgedThroughAnotherGatewayIsNotOverdue) {
  here.open("c", 1);
  const auto receipt = here.add("c", "1", kToken);
  there.acknowledge("c", {receipt->id});
  here.pass(seconds(15));
  EXPECT_TRUE(here.push.reasons().empty());
}

TEST_F(LostWakeUpTest, ASlowSocketsPhonesDoNotHoldUpOthersInASweep) {
  constexpr int kSlowPhones = 10'000;
  here.sink.fill({1});
  for (int i = 0; i < kSlowPhones; ++i) {
    const std::string name = "slow" + std::to_string(i);
    here.open(name.c_str(), 1);
    ASSERT_TRUE(here.add(name.c_str(), "1"));
  }
  here.open("c", 2);
  store_silently();
  here.service.on_gap();
  for (int i = 0; i < 30; ++i) here.pass(milliseconds(100));
  EXPECT_EQ(here.sink.received({2}), Payloads{"1"});
}

TEST_F(LostWakeUpTest, AGapIsSearchedInAllSessionsWithinSeconds) {
  constexpr int kPhones = 20'000;
  for (int i = 0; i < kPhones; ++i) here.open(("phone" + std::to_string(i)).c_str(), 1);
  here.open("c", 2);
  here.service.on_gap();
  store_silently();
  for (int i = 0; i < 10; ++i) here.pass(milliseconds(100));
  EXPECT_EQ(here.sink.received({2}), Payloads{"1"});
}

TEST_F(LostWakeUpTest, AddsForAFullSocketDoNotReadItsQueue) {
  here.open("c", 1);
  here.sink.fill({1});
  ASSERT_TRUE(here.add("c", "0"));
  const std::size_t before = store.takes();
  for (int i = 1; i < 100; ++i) ASSERT_TRUE(here.add("c", std::to_string(i)));
  EXPECT_LE(store.takes() - before, 1u);
  here.drain_socket(1);
  EXPECT_EQ(here.sink.received({1}).size(), 100u);
}

TEST_F(LostWakeUpTest, AStoreThatRefusesAPumpIsAskedAgain) {
  here.open("c", 1);
  here.sink.fill({1});
  ASSERT_TRUE(here.add("c", "1"));
  here.sink.drain({1});
  store.refuse(true);
  here.drain_socket(1);
  store.refuse(false);
  here.pass(seconds(2));
  EXPECT_EQ(here.sink.received({1}), Payloads{"1"});
}

}  // namespace
}  // namespace mpr
