#include "ops/activity.hpp"

#include <gtest/gtest.h>

namespace mpr {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Activity::SteadyPoint kStart{std::chrono::hours(1)};

TEST(Activity, IsNothingBeforeTheSecondSample) {
  Metrics metrics;
  Activity activity(metrics);
  EXPECT_EQ(activity.recent().added, 0);
  metrics.messages_added.add(5);
  activity.sample(kStart);
  EXPECT_EQ(activity.recent().added, 0);
}

TEST(Activity, IsWhatHappenedPerSecond) {
  Metrics metrics;
  metrics.messages_added.add(1000);  // before the history begins
  Activity activity(metrics);
  activity.sample(kStart);
  metrics.messages_added.add(40);
  metrics.messages_delivered.add(20);
  metrics.messages_acknowledged.add(10);
  metrics.calls.add(100);
  metrics.calls_failed.add(2);
  for (int i = 0; i < 100; ++i) metrics.call_seconds.observe(milliseconds(2));
  activity.sample(kStart + seconds(4));
  const Activity::Recent recent = activity.recent();
  EXPECT_DOUBLE_EQ(recent.added, 10);
  EXPECT_DOUBLE_EQ(recent.delivered, 5);
  EXPECT_DOUBLE_EQ(recent.acknowledged, 2.5);
  EXPECT_DOUBLE_EQ(recent.calls, 25);
  EXPECT_DOUBLE_EQ(recent.failed, 0.5);
  EXPECT_GT(recent.call_p50, 0.001);
  EXPECT_LE(recent.call_p99, 0.0025);
  EXPECT_EQ(recent.commit_p99, 0);
}

TEST(Activity, ForgetsWhatIsOlderThanItsWindow) {
  Metrics metrics;
  Activity activity(metrics);
  activity.sample(kStart);
  metrics.messages_added.add(1'000'000);
  for (int second = 1; second <= 30; ++second) {
    activity.sample(kStart + seconds(second));
    if (second >= 5) metrics.messages_added.add(7);
  }
  EXPECT_DOUBLE_EQ(activity.recent().added, 7);
}

TEST(Activity, SurvivesTwoSamplesAtOneMoment) {
  Metrics metrics;
  Activity activity(metrics);
  activity.sample(kStart);
  metrics.messages_added.add(7);
  activity.sample(kStart);
  EXPECT_EQ(activity.recent().added, 0);
}

}  // namespace
}  // namespace mpr
