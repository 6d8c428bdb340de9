#include "core/live_sessions.hpp"

#include <gtest/gtest.h>
#include <malloc.h>

#include <set>
#include <string>

namespace mpr {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Connection kPhone{TenantId(), ConnectionId("phone-1")};
const SessionId kSession("session-1");
constexpr SocketId kSocket{7};
constexpr SocketId kOtherSocket{8};
constexpr SteadyPoint kStart{};

MessageRef ref(std::uint64_t position) {
  return {MessageId("message-" + std::to_string(position)), {position}};
}

StoredMessage stored(std::uint64_t position) {
  StoredMessage message;
  message.id = ref(position).id;
  message.position = {position};
  return message;
}

struct LiveSessionsTest : testing::Test {
  LiveSessions::Limits limits{3, 10, seconds(15), seconds(10)};
  LiveSessions sessions{limits};

  void open(std::uint64_t tail = 0, SocketId holder = kSocket, std::uint64_t epoch = 1) {
    sessions.open(kPhone, kSession, holder, {epoch}, {tail});
  }
  Offer offer(std::uint64_t position, std::uint64_t previous, SteadyPoint now = kStart) {
    return sessions.offer(kPhone, ref(position), {previous}, std::nullopt, now);
  }
};

TEST_F(LiveSessionsTest, NobodyIsLiveAtFirst) {
  EXPECT_EQ(offer(1, 0), Offer::no_session);
  EXPECT_FALSE(sessions.contains(kPhone));
  EXPECT_EQ(sessions.size(), 0u);
}

TEST_F(LiveSessionsTest, DeliversWhatWasAcceptedAfterTheSessionOpened) {
  open(5);
  EXPECT_EQ(offer(4, 3), Offer::done);
  EXPECT_EQ(offer(6, 5), Offer::deliver);
  EXPECT_EQ(offer(7, 6), Offer::deliver);
  EXPECT_EQ(sessions.in_flight(kPhone), (std::vector{ref(6), ref(7)}));
}

TEST_F(LiveSessionsTest, NeverDeliversAMessageTwice) {
  open();
  EXPECT_EQ(offer(1, 0), Offer::deliver);
  EXPECT_EQ(offer(1, 0), Offer::done);
}

TEST_F(LiveSessionsTest, WaitsWhenAnEarlierMessageWasNotOfferedYet) {
  open();
  EXPECT_EQ(offer(2, 1), Offer::wait);
  EXPECT_TRUE(sessions.find(kPhone)->behind);
  EXPECT_EQ(offer(1, 0), Offer::wait) << "the pump brings both, in order";
}

TEST_F(LiveSessionsTest, WaitsWhenTooMuchIsInFlight) {
  open();
  EXPECT_EQ(offer(1, 0), Offer::deliver);
  EXPECT_EQ(offer(2, 1), Offer::deliver);
  EXPECT_EQ(offer(3, 2), Offer::deliver);
  EXPECT_EQ(offer(4, 3), Offer::wait);
  EXPECT_FALSE(sessions.begin_pump(kPhone)) << "no room";
  EXPECT_TRUE(sessions.settle(kPhone, {{1}, {2}})) << "room again";
  const auto step = sessions.begin_pump(kPhone);
  ASSERT_TRUE(step);
  EXPECT_EQ(step->cursor, Position{3});
  EXPECT_EQ(step->room, 2u);
}

TEST_F(LiveSessionsTest, AMessageRemovedBeforeItsOfferIsNotDelivered) {
  open();
  EXPECT_FALSE(sessions.settle(kPhone, {{1}}));
  EXPECT_EQ(offer(1, 0), Offer::done);
  EXPECT_EQ(offer(2, 1), Offer::deliver) << "the removed one does not hold up the next";
}

TEST_F(LiveSessionsTest, ARemovalDuringAPumpHoldsForALateOfferToo) {
  open();
  ASSERT_EQ(offer(2, 1), Offer::wait);
  const auto step = sessions.begin_pump(kPhone);
  ASSERT_TRUE(step);
  sessions.settle(kPhone, {{1}, {2}});
  EXPECT_FALSE(sessions.pump_offer(kPhone, *step, ref(1), std::nullopt, kStart));
  EXPECT_FALSE(sessions.end_pump(kPhone, *step, LiveSessions::PumpEnd::drained));
  EXPECT_EQ(offer(2, 0), Offer::done);
  EXPECT_EQ(offer(3, 2), Offer::deliver);
}

TEST_F(LiveSessionsTest, APumpDeliversInOrderAndCatchesUp) {
  open();
  ASSERT_EQ(offer(2, 1), Offer::wait);
  auto step = sessions.begin_pump(kPhone);
  ASSERT_TRUE(step);
  EXPECT_FALSE(sessions.begin_pump(kPhone)) << "one pump at a time";
  EXPECT_TRUE(sessions.pump_offer(kPhone, *step, ref(1), std::nullopt, kStart));
  EXPECT_TRUE(sessions.pump_offer(kPhone, *step, ref(2), std::nullopt, kStart));
  EXPECT_EQ(offer(1, 0), Offer::done);
  EXPECT_TRUE(sessions.end_pump(kPhone, *step, LiveSessions::PumpEnd::more));
  step = sessions.begin_pump(kPhone);
  ASSERT_TRUE(step);
  EXPECT_FALSE(sessions.end_pump(kPhone, *step, LiveSessions::PumpEnd::drained));
  EXPECT_EQ(offer(3, 2), Offer::deliver) << "caught up: direct delivery again";
}

TEST_F(LiveSessionsTest, AMessageAcceptedWhileThePumpReadsMakesItReadAgain) {
  open();
  ASSERT_EQ(offer(2, 1), Offer::wait);
  const auto step = sessions.begin_pump(kPhone);
  EXPECT_EQ(offer(3, 2), Offer::wait);
  EXPECT_TRUE(sessions.end_pump(kPhone, *step, LiveSessions::PumpEnd::drained));
}

TEST_F(LiveSessionsTest, APostponedMessageIsPendingAgainAndComesFirst) {
  open();
  ASSERT_EQ(offer(1, 0), Offer::deliver);
  sessions.postpone(kPhone, {1}, ref(1));
  EXPECT_TRUE(sessions.in_flight(kPhone).empty());
  EXPECT_EQ(offer(2, 1), Offer::blocked);
  const auto step = sessions.begin_pump(kPhone);
  ASSERT_TRUE(step);
  EXPECT_EQ(step->cursor, Position{0});
}

TEST_F(LiveSessionsTest, AStepThatReadForALostSocketIsVoid) {
  open();
  ASSERT_EQ(offer(1, 0), Offer::deliver);
  ASSERT_EQ(offer(3, 2), Offer::wait);
  const auto lost = sessions.begin_pump(kPhone);
  sessions.orphan(kSocket, kStart);
  const auto step = sessions.begin_pump(kPhone);
  ASSERT_TRUE(step);
  EXPECT_FALSE(sessions.pump_offer(kPhone, *lost, ref(2), std::nullopt, kStart));
  EXPECT_FALSE(sessions.end_pump(kPhone, *lost, LiveSessions::PumpEnd::drained));
  EXPECT_TRUE(sessions.pump_offer(kPhone, *step, ref(1), std::nullopt, kStart));
}

TEST_F(LiveSessionsTest, MoreRemovalsThanItRemembersMakeItReadAgain) {
  open();
  ASSERT_EQ(offer(100, 99), Offer::wait);
  const auto step = sessions.begin_pump(kPhone);
  std::vector<Position> removed;
  for (std::uint64_t i = 1; i <= limits.max_taken + 5; ++i) removed.push_back({i});
  EXPECT_TRUE(sessions.settle(kPhone, removed)) << "start anew";
  EXPECT_FALSE(sessions.pump_offer(kPhone, *step, ref(1), std::nullopt, kStart));
  EXPECT_FALSE(sessions.pump_offer(kPhone, *step, ref(15), std::nullopt, kStart));
}

TEST_F(LiveSessionsTest, ASweepComesRoundToEveryone) {
  for (const SocketId socket : {kSocket, kOtherSocket}) {
    for (int i = 0; i < 5; ++i) {
      const Connection phone{TenantId(std::to_string(socket.value)),
                             ConnectionId(std::to_string(i))};
      sessions.open(phone, kSession, socket, {1}, {0});
      ASSERT_EQ(sessions.offer(phone, ref(2), {1}, std::nullopt, kStart), Offer::wait);
    }
  }
  std::set<Connection> seen;
  for (int sweep = 0; sweep < 6; ++sweep) {
    const auto found = sessions.sweep(2, LiveSessions::Blocked::skip).to_pump;
    EXPECT_LE(found.size(), 2u);
    seen.insert(found.begin(), found.end());
  }
  EXPECT_EQ(seen.size(), 10u);
}

TEST_F(LiveSessionsTest, AFullSessionSettlesWhatTheStoreHasNoMore) {
  open();
  for (const std::uint64_t n : {1U, 2U, 3U}) ASSERT_EQ(offer(n, n - 1), Offer::deliver);
  EXPECT_FALSE(sessions.begin_look(kPhone)) << "nothing waits";
  ASSERT_EQ(offer(4, 3), Offer::wait);
  EXPECT_EQ(sessions.sweep(10, LiveSessions::Blocked::skip).full, kPhone);
  const auto look = sessions.begin_look(kPhone);
  ASSERT_TRUE(look);
  EXPECT_EQ(look->after, Position{0});
  EXPECT_TRUE(sessions.end_look(kPhone, *look, {stored(2), stored(4)})) << "there is room";
  EXPECT_EQ(sessions.in_flight(kPhone), std::vector{ref(2)});
  EXPECT_FALSE(sessions.begin_look(kPhone)) << "not full any more";
}

TEST_F(LiveSessionsTest, AMessageThatWasMovedInTheStoreIsNotMissing) {
  open();
  for (const std::uint64_t n : {1U, 2U, 3U}) ASSERT_EQ(offer(n, n - 1), Offer::deliver);
  ASSERT_EQ(offer(4, 3), Offer::wait);
  const auto look = sessions.begin_look(kPhone);
  StoredMessage moved = stored(2);
  moved.position = {9};
  EXPECT_TRUE(sessions.end_look(kPhone, *look, {stored(3), stored(4), moved}));
  EXPECT_EQ(sessions.in_flight(kPhone), (std::vector{ref(2), ref(3)}));
}

TEST_F(LiveSessionsTest, LooksGoOnWhereTheLastOneEndedAndBeginAnew) {
  open();
  for (const std::uint64_t n : {1U, 2U, 3U}) ASSERT_EQ(offer(n, n - 1), Offer::deliver);
  ASSERT_EQ(offer(4, 3), Offer::wait);
  // The store's answers are cut off behind one message.
  const std::pair<std::uint64_t, std::uint64_t> after_and_found[] = {
      {0, 1}, {1, 2}, {2, 3}, {0, 1}};
  for (const auto& [after, found] : after_and_found) {
    const auto look = sessions.begin_look(kPhone);
    ASSERT_TRUE(look);
    EXPECT_EQ(look->after, Position{after});
    EXPECT_FALSE(sessions.end_look(kPhone, *look, {stored(found)}));
  }
  const auto look = sessions.begin_look(kPhone);
  EXPECT_TRUE(sessions.end_look(kPhone, *look, {})) << "2 and 3 are gone";
  EXPECT_EQ(sessions.in_flight(kPhone), std::vector{ref(1)});
}

TEST_F(LiveSessionsTest, ALookForASessionThatWasReplacedSettlesNothing) {
  open();
  for (const std::uint64_t n : {1U, 2U, 3U}) ASSERT_EQ(offer(n, n - 1), Offer::deliver);
  ASSERT_EQ(offer(4, 3), Offer::wait);
  const auto look = sessions.begin_look(kPhone);
  sessions.open(kPhone, SessionId("session-2"), kOtherSocket, {2}, {0});
  ASSERT_EQ(offer(1, 0), Offer::deliver);
  EXPECT_FALSE(sessions.end_look(kPhone, *look, {}));
  EXPECT_EQ(sessions.in_flight(kPhone), std::vector{ref(1)});
}

TEST_F(LiveSessionsTest, AllFullSessionsAreLookedAtInTurn) {
  std::set<Connection> seen;
  for (int i = 0; i < 5; ++i) {
    const Connection phone{TenantId(), ConnectionId(std::to_string(i))};
    sessions.open(phone, kSession, kSocket, {1}, {0});
    for (const std::uint64_t n : {1U, 2U, 3U, 4U}) {
      sessions.offer(phone, ref(n), {n - 1}, std::nullopt, kStart);
    }
  }
  for (int sweep = 0; sweep < 5; ++sweep) {
    const auto full = sessions.sweep(10, LiveSessions::Blocked::retry).full;
    ASSERT_TRUE(full);
    ASSERT_TRUE(sessions.begin_look(*full));
    seen.insert(*full);
  }
  EXPECT_EQ(seen.size(), 5u);
}

TEST_F(LiveSessionsTest, AfterAGapNoSessionIsSureToBeTheNewest) {
  open();
  sessions.all_fall_behind();
  auto step = sessions.begin_pump(kPhone);
  ASSERT_TRUE(step);
  EXPECT_TRUE(step->unverified);
  sessions.end_pump(kPhone, *step, LiveSessions::PumpEnd::more);
  step = sessions.begin_pump(kPhone);
  ASSERT_TRUE(step);
  EXPECT_FALSE(step->unverified);
}

TEST_F(LiveSessionsTest, ABlockedPumpStopsAndLeavesTheSessionBehind) {
  open();
  ASSERT_EQ(offer(2, 1), Offer::wait);
  const auto step = sessions.begin_pump(kPhone);
  EXPECT_FALSE(sessions.end_pump(kPhone, *step, LiveSessions::PumpEnd::blocked));
  EXPECT_EQ(sessions.behind(kSocket, 10), std::vector{kPhone});
  EXPECT_TRUE(sessions.sweep(10, LiveSessions::Blocked::skip).to_pump.empty());
  EXPECT_EQ(sessions.sweep(10, LiveSessions::Blocked::retry).to_pump, std::vector{kPhone});
  EXPECT_TRUE(sessions.behind(kOtherSocket, 10).empty());
}

TEST_F(LiveSessionsTest, TheNewestSessionWins) {
  open();
  ASSERT_EQ(offer(1, 0), Offer::deliver);
  const auto opened = sessions.open(kPhone, SessionId("session-2"), kOtherSocket, {2}, {1});
  EXPECT_TRUE(opened.replaced);
  EXPECT_FALSE(opened.resumed);
  EXPECT_EQ(opened.replaced_holder, kSocket);
  EXPECT_EQ(opened.replaced_session, kSession);
  EXPECT_TRUE(sessions.in_flight(kPhone).empty()) << "pending again";
  EXPECT_EQ(sessions.size(), 1u);
  EXPECT_EQ(sessions.close(kPhone, kSocket, std::nullopt), std::nullopt) << "a late removal";
  EXPECT_TRUE(sessions.contains(kPhone));
}

TEST_F(LiveSessionsTest, AnOutdatedOpenChangesNothing) {
  open(0, kOtherSocket, 5);
  const auto opened = sessions.open(kPhone, SessionId("late"), kSocket, {4}, {0});
  EXPECT_TRUE(opened.outdated);
  EXPECT_EQ(sessions.find(kPhone)->holder, kOtherSocket);
}

TEST_F(LiveSessionsTest, TheSameSessionOnANewSocketGoesOnWhereItWas) {
  open();
  ASSERT_EQ(offer(1, 0), Offer::deliver);
  ASSERT_EQ(offer(2, 1), Offer::deliver);
  sessions.settle(kPhone, {{1}});
  const auto opened = sessions.open(kPhone, kSession, kOtherSocket, {2}, {2});
  EXPECT_TRUE(opened.resumed);
  const auto step = sessions.begin_pump(kPhone);
  ASSERT_TRUE(step) << "what the old socket did not acknowledge flows again";
  EXPECT_EQ(step->cursor, Position{1});
  EXPECT_EQ(step->holder, kOtherSocket);
}

TEST_F(LiveSessionsTest, TheSameSessionOnTheSameSocketKeepsWhatIsInFlight) {
  open();
  ASSERT_EQ(offer(1, 0), Offer::deliver);
  open(1, kSocket, 2);
  EXPECT_EQ(sessions.in_flight(kPhone), std::vector{ref(1)});
  EXPECT_EQ(sessions.find(kPhone)->epoch, Epoch{2});
}

TEST_F(LiveSessionsTest, OnlyTheHolderClosesASession) {
  open();
  EXPECT_EQ(sessions.close(kPhone, kOtherSocket, std::nullopt), std::nullopt);
  EXPECT_EQ(sessions.close(kPhone, kSocket, SessionId("another")), std::nullopt);
  EXPECT_EQ(sessions.close(kPhone, kSocket, kSession), Epoch{1});
  EXPECT_EQ(sessions.close(kPhone, kSocket, std::nullopt), std::nullopt);
  EXPECT_EQ(sessions.size(), 0u);
}

TEST_F(LiveSessionsTest, AVanishedSocketLeavesOrphansWhoseMessagesFlowAgain) {
  open();
  ASSERT_EQ(offer(1, 0), Offer::deliver);
  EXPECT_EQ(sessions.orphan(kSocket, kStart), 1u);
  EXPECT_EQ(sessions.orphans(), 1u);
  EXPECT_TRUE(sessions.in_flight(kPhone).empty());
  EXPECT_EQ(sessions.welcome(TenantId(), 10), std::vector{kPhone});
  EXPECT_TRUE(sessions.welcome(TenantId("other"), 10).empty());
  EXPECT_EQ(sessions.begin_pump(kPhone)->cursor, Position{0});
}

TEST_F(LiveSessionsTest, AnOrphanIsAdoptedOnce) {
  open();
  sessions.orphan(kSocket, kStart);
  EXPECT_TRUE(sessions.adopt(kPhone, kOtherSocket, LiveSessions::Heard::everything));
  EXPECT_FALSE(sessions.adopt(kPhone, kSocket, LiveSessions::Heard::everything));
  EXPECT_EQ(sessions.find(kPhone)->holder, kOtherSocket);
  EXPECT_TRUE(sessions.expire(kStart + seconds(60), 10).ended.empty()) << "no grace runs any more";
}

TEST_F(LiveSessionsTest, WhatAnAdopterDidNotHearFlowsAgain) {
  for (const auto heard : {LiveSessions::Heard::everything, LiveSessions::Heard::nothing}) {
    const bool again = heard == LiveSessions::Heard::nothing;
    const std::uint64_t n = again ? 2 : 1;
    open(n - 1, kSocket, n);
    sessions.orphan(kSocket, kStart);
    ASSERT_EQ(offer(n, n - 1), Offer::deliver) << "to those who listen";
    ASSERT_TRUE(sessions.adopt(kPhone, kOtherSocket, heard));
    EXPECT_EQ(sessions.in_flight(kPhone).empty(), again);
    EXPECT_EQ(sessions.find(kPhone)->behind, again);
    EXPECT_EQ(sessions.find(kPhone)->cursor, (Position{again ? n - 1 : n}));
    sessions.close(kPhone, kOtherSocket, std::nullopt);
  }
}

TEST_F(LiveSessionsTest, AnyoneMayCloseAnOrphan) {
  open();
  sessions.orphan(kSocket, kStart);
  EXPECT_EQ(sessions.close(kPhone, kOtherSocket, std::nullopt), Epoch{1});
  EXPECT_EQ(sessions.orphans(), 0u);
}

TEST_F(LiveSessionsTest, AnOrphanEndsWithItsGrace) {
  open();
  sessions.orphan(kSocket, kStart);
  EXPECT_TRUE(sessions.expire(kStart + milliseconds(9999), 10).ended.empty());
  const auto expired = sessions.expire(kStart + seconds(10), 10);
  ASSERT_EQ(expired.ended.size(), 1u);
  EXPECT_EQ(expired.ended[0].connection, kPhone);
  EXPECT_EQ(expired.ended[0].epoch, Epoch{1});
  EXPECT_FALSE(sessions.contains(kPhone));
}

TEST_F(LiveSessionsTest, ARestoredSessionIsAnOrphanThatLooksIntoItsQueue) {
  sessions.restore(kPhone, kSession, {3}, {4}, kStart);
  EXPECT_EQ(sessions.orphans(), 1u);
  EXPECT_EQ(sessions.welcome(TenantId(), 10), std::vector{kPhone});
  EXPECT_EQ(sessions.begin_pump(kPhone)->cursor, Position{4});
}

TEST_F(LiveSessionsTest, AMessageInFlightTooLongIsVisibleAgain) {
  open();
  PushToken token{PushProvider::apns, "secret", ""};
  sessions.offer(kPhone, ref(1), {0}, token, kStart);
  sessions.offer(kPhone, ref(2), {1}, std::nullopt, kStart + seconds(1));
  EXPECT_TRUE(sessions.expire(kStart + milliseconds(14'999), 10).overdue.empty());
  const auto expired = sessions.expire(kStart + seconds(15), 10);
  ASSERT_EQ(expired.overdue.size(), 1u);
  EXPECT_EQ(expired.overdue[0].message, ref(1));
  EXPECT_EQ(expired.overdue[0].push_token, token);
  EXPECT_EQ(sessions.in_flight(kPhone), std::vector{ref(2)});
  EXPECT_EQ(sessions.expire(kStart + seconds(16), 10).overdue.size(), 1u);
  EXPECT_EQ(offer(2, 1), Offer::done) << "not delivered again by itself";
}

TEST_F(LiveSessionsTest, ExpireStopsAtItsBoundAndSaysSo) {
  for (int i = 0; i < 5; ++i) {
    const Connection phone{TenantId(), ConnectionId("phone-" + std::to_string(i))};
    sessions.open(phone, kSession, kSocket, {1}, {0});
  }
  sessions.orphan(kSocket, kStart);
  const auto first = sessions.expire(kStart + seconds(10), 3);
  EXPECT_EQ(first.ended.size(), 3u);
  EXPECT_TRUE(first.more);
  const auto second = sessions.expire(kStart + seconds(10), 3);
  EXPECT_EQ(second.ended.size(), 2u);
  EXPECT_FALSE(second.more);
}

TEST_F(LiveSessionsTest, WhatTheHolderTookIsInFlightToo) {
  open(9);
  std::vector<StoredMessage> messages = {stored(1), stored(2)};
  sessions.mark_taken(kPhone, kSocket, messages, kStart);
  EXPECT_EQ(messages.size(), 2u);
  EXPECT_EQ(sessions.in_flight(kPhone), (std::vector{ref(1), ref(2)}));
  sessions.orphan(kSocket, kStart);
  EXPECT_FALSE(sessions.begin_pump(kPhone)) << "taken messages are not delivered by themselves";
}

TEST_F(LiveSessionsTest, WhatSomebodyElseTookIsNotInFlight) {
  open(9);
  std::vector<StoredMessage> messages = {stored(1)};
  sessions.mark_taken(kPhone, kOtherSocket, messages, kStart);
  EXPECT_EQ(messages.size(), 1u);
  EXPECT_TRUE(sessions.in_flight(kPhone).empty());
}

TEST_F(LiveSessionsTest, ATakeDropsWhatWasDeliveredLiveMeanwhile) {
  open();
  ASSERT_EQ(offer(1, 0), Offer::deliver);
  std::vector<StoredMessage> messages = {stored(1), stored(2)};
  sessions.mark_taken(kPhone, kSocket, messages, kStart);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].id, ref(2).id);
}

TEST_F(LiveSessionsTest, ATakenMessageIsNotDeliveredLiveAsWell) {
  open();
  std::vector<StoredMessage> messages = {stored(1)};
  sessions.mark_taken(kPhone, kSocket, messages, kStart);
  EXPECT_EQ(offer(1, 0), Offer::done);
  EXPECT_EQ(offer(2, 1), Offer::deliver);
}

TEST_F(LiveSessionsTest, ANewerSessionElsewhereEndsThisOne) {
  open(0, kSocket, 3);
  EXPECT_FALSE(sessions.supersede(kPhone, {3}));
  const auto lost = sessions.supersede(kPhone, {4});
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->holder, kSocket);
  EXPECT_EQ(lost->session_id, kSession);
  EXPECT_FALSE(sessions.contains(kPhone));
}

TEST_F(LiveSessionsTest, APumpOfAnEarlierSessionHasNoEffectOnTheNext) {
  open();
  ASSERT_EQ(offer(2, 1), Offer::wait);
  const auto step = sessions.begin_pump(kPhone);
  sessions.open(kPhone, SessionId("session-2"), kOtherSocket, {2}, {2});
  EXPECT_FALSE(sessions.pump_offer(kPhone, *step, ref(1), std::nullopt, kStart));
  EXPECT_FALSE(sessions.end_pump(kPhone, *step, LiveSessions::PumpEnd::more));
  EXPECT_EQ(offer(3, 2), Offer::deliver);
}

TEST_F(LiveSessionsTest, TenantsDoNotShareSessions) {
  open();
  EXPECT_FALSE(sessions.contains({TenantId("tenant"), kPhone.id}));
  EXPECT_FALSE(sessions.contains({TenantId("phone"), ConnectionId("-1")}));
}

TEST(LiveSessionsMemory, AnIdleSessionStaysWithin190Bytes) {
  constexpr std::size_t kSessions = 100'000;
  const std::size_t before = mallinfo2().uordblks;
  LiveSessions sessions({});
  for (std::size_t i = 0; i < kSessions; ++i) {
    const std::string number = std::to_string(1'000'000 + i);
    sessions.open({TenantId(), ConnectionId("aaaaaaaa-bbbb-cccc-dddd-eeeee" + number)},
                  SessionId("11111111-2222-3333-4444-55555" + number), kSocket, {i + 1}, {i});
  }
  const std::size_t after = mallinfo2().uordblks;
  if (after > before) {  // sanitizers' allocators do not report here
    EXPECT_LE((after - before) / kSessions, 190u);
  }
  EXPECT_EQ(sessions.size(), kSessions);
}

}  // namespace
}  // namespace mpr
