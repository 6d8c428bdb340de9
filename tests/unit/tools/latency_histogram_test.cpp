#include "tools/bench/latency_histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace mpr::bench {
namespace {

using std::chrono::hours;
using std::chrono::nanoseconds;

TEST(LatencyHistogram, IsZeroWhenNothingWasRecorded) {
  const LatencyHistogram empty;

  EXPECT_EQ(empty.count(), 0u);
  EXPECT_EQ(empty.quantile(0.99), nanoseconds(0));
  EXPECT_EQ(empty.largest(), nanoseconds(0));
  EXPECT_EQ(empty.mean_seconds(), 0.0);
}

TEST(LatencyHistogram, KeepsSmallDurationsExactly) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 200; ++i) histogram.record(nanoseconds(i));

  EXPECT_EQ(histogram.quantile(0.0), nanoseconds(1));
  EXPECT_EQ(histogram.quantile(0.5), nanoseconds(100));
  EXPECT_EQ(histogram.quantile(0.99), nanoseconds(198));
  EXPECT_EQ(histogram.quantile(1.0), nanoseconds(200));
  EXPECT_EQ(histogram.total(), nanoseconds(20100));
}

TEST(LatencyHistogram, IsWithinOnePercentOfSortedValues) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> magnitude(0.0, 40.0);
  LatencyHistogram histogram;
  std::vector<std::int64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(static_cast<std::int64_t>(std::exp2(magnitude(random))));
    histogram.record(nanoseconds(values.back()));
  }
  std::ranges::sort(values);

  for (const double fraction : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(fraction * 20'000.0)) - 1;
    const auto found = histogram.quantile(fraction).count();
    EXPECT_GE(found, values[rank]) << fraction;
    EXPECT_LE(static_cast<double>(found), static_cast<double>(values[rank]) * 1.01 + 1) << fraction;
  }
}

TEST(LatencyHistogram, TakesTheExtremes) {
  LatencyHistogram histogram;
  histogram.record(nanoseconds(-5));
  histogram.record(nanoseconds::max());
  histogram.record(hours(10));

  EXPECT_EQ(histogram.quantile(0.1), nanoseconds(0));
  EXPECT_EQ(histogram.quantile(1.0), LatencyHistogram::kMost);
  EXPECT_EQ(histogram.count(), 3u);
}

TEST(LatencyHistogram, ForgetsEverythingWhenCleared) {
  LatencyHistogram histogram;
  histogram.record(hours(1));
  histogram.clear();
  histogram.record(nanoseconds(7));

  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_EQ(histogram.largest(), nanoseconds(7));
  EXPECT_EQ(histogram.quantile(1.0), nanoseconds(7));
}

}  // namespace
}  // namespace mpr::bench
