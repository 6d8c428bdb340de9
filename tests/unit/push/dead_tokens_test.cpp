#include "push/dead_tokens.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace mpr {
namespace {

using namespace std::chrono_literals;
using SteadyPoint = DeadTokens::SteadyPoint;

constexpr SteadyPoint kStart{1h};
constexpr TimePoint kDied{1'750'000'000'000ms};

TEST(DeadTokens, AreRememberedForAWhile) {
  DeadTokens dead(10, 1h);
  dead.add("a", kStart);
  EXPECT_TRUE(dead.contains("a", kStart + 59min));
  EXPECT_FALSE(dead.contains("b", kStart));
  EXPECT_FALSE(dead.contains("a", kStart + 1h));
}

TEST(DeadTokens, AreBoundedAndForgetTheOldestFirst) {
  DeadTokens dead(3, 1h);
  for (int i = 0; i < 1'000; ++i) {
    dead.add(std::to_string(i), kStart + std::chrono::milliseconds(i));
  }
  EXPECT_EQ(dead.size(), 3U);
  EXPECT_TRUE(dead.contains("997", kStart + 1s));
  EXPECT_FALSE(dead.contains("996", kStart + 1s));
}

TEST(DeadTokens, AddedAgainAreKeptFromThenOn) {
  DeadTokens dead(2, 1h);
  dead.add("a", kStart);
  dead.add("a", kStart + 1min);
  dead.add("b", kStart + 2min);
  EXPECT_TRUE(dead.contains("a", kStart + 60min + 30s));
}

TEST(DeadTokens, DoubtedAreDeadWhenTheSameIsSaidAgain) {
  DeadTokens dead(10, 1h);
  EXPECT_FALSE(dead.doubt("a", kDied, kStart));
  EXPECT_FALSE(dead.contains("a", kStart));
  EXPECT_TRUE(dead.doubt("a", kDied, kStart + 1min));
}

TEST(DeadTokens, DoubtedAboutAnotherMomentAreDoubtedAnew) {
  DeadTokens dead(10, 1h);
  EXPECT_FALSE(dead.doubt("a", kDied, kStart));
  EXPECT_FALSE(dead.doubt("a", kDied + 1ms, kStart + 1min));
  EXPECT_TRUE(dead.doubt("a", kDied + 1ms, kStart + 2min));
}

}  // namespace
}  // namespace mpr
