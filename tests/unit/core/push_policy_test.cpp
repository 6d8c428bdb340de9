#include "core/push_policy.hpp"

#include <gtest/gtest.h>

namespace mpr {

// gtest prints outcomes by name.
static void PrintTo(const PushPolicy::Outcome& o, std::ostream* out) {
  *out << "decision " << static_cast<int>(o.decision) << ", window "
       << (o.next ? std::to_string(o.next->began.time_since_epoch().count()) : "none")
       << (o.next && o.next->trailing ? " trailing" : "");
}

namespace {

constexpr PushPolicy kPolicy{std::chrono::milliseconds(5000)};
constexpr TimePoint at(int ms) { return TimePoint(std::chrono::milliseconds(ms)); }
using Outcome = PushPolicy::Outcome;

TEST(PushPolicy, TheFirstMessagePushesAtOnce) {
  EXPECT_EQ(kPolicy.on_message(false, std::nullopt, at(100)),
            (Outcome{PushDecision::now, PushWindow{at(100), false}}));
}

TEST(PushPolicy, AMessageWithinTheWindowPlansOnePushAtItsEnd) {
  EXPECT_EQ(kPolicy.on_message(false, PushWindow{at(100), false}, at(5099)),
            (Outcome{PushDecision::at_window_end, PushWindow{at(100), true}}));
}

TEST(PushPolicy, FurtherMessagesWithinTheWindowAddNothing) {
  EXPECT_EQ(kPolicy.on_message(false, PushWindow{at(100), true}, at(200)),
            (Outcome{PushDecision::none, PushWindow{at(100), true}}));
}

TEST(PushPolicy, AfterTheWindowAMessagePushesAtOnceAgain) {
  EXPECT_EQ(kPolicy.on_message(false, PushWindow{at(100), false}, at(5100)),
            (Outcome{PushDecision::now, PushWindow{at(5100), false}}));
}

TEST(PushPolicy, NobodyIsWokenWhoIsLive) {
  EXPECT_EQ(kPolicy.on_message(true, std::nullopt, at(0)), (Outcome{PushDecision::none, {}}));
  EXPECT_EQ(kPolicy.on_message(true, PushWindow{at(0), true}, at(10)),
            (Outcome{PushDecision::none, PushWindow{at(0), true}}));
}

TEST(PushPolicy, TheWindowsEndPushesOnlyIfPlannedAndStillNeeded) {
  const PushWindow planned{at(100), true};
  EXPECT_EQ(kPolicy.on_window_end(planned, false, true, at(5100)),
            (Outcome{PushDecision::now, PushWindow{at(5100), false}}));
  EXPECT_EQ(kPolicy.on_window_end(planned, true, true, at(5100)).decision, PushDecision::none);
  EXPECT_EQ(kPolicy.on_window_end(planned, false, false, at(5100)).decision, PushDecision::none);
  EXPECT_EQ(kPolicy.on_window_end({at(100), false}, false, true, at(5100)).decision,
            PushDecision::none);
}

}  // namespace
}  // namespace mpr
