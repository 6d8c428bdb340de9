#include "base/log_limit.hpp"

#include <gtest/gtest.h>

namespace mpr {
namespace {

using std::chrono::seconds;

TEST(LogLimit, OneLineInAnIntervalStandsForAllThatHappened) {
  log::Limit limit{seconds(5)};
  const log::Limit::Time begin{seconds(1000)};
  EXPECT_EQ(limit.happened(begin), 1U);
  for (int i = 1; i <= 30; ++i) EXPECT_EQ(limit.happened(begin + seconds(4)), 0U);
  EXPECT_EQ(limit.happened(begin + seconds(5)), 31U);
  EXPECT_EQ(limit.happened(begin + seconds(60)), 1U);
}

}  // namespace
}  // namespace mpr
