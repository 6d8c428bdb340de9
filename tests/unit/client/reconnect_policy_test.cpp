#include "client/reconnect_policy.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mpr::client {
namespace {

using namespace std::chrono_literals;

TEST(ReconnectPolicy, TriesAllAddressesBeforeItWaitsAndDoublesEachRound) {
  ReconnectPolicy policy(2, {.base = 100ms, .cap = 350ms});
  std::vector<std::size_t> addresses = {policy.first().address};
  std::vector<std::chrono::milliseconds> delays;

  for (int i = 0; i < 8; ++i) {
    const auto attempt = policy.after_failure(1);
    addresses.push_back(attempt.address);
    delays.push_back(attempt.delay);
  }

  EXPECT_EQ(addresses, (std::vector<std::size_t>{0, 1, 0, 1, 0, 1, 0, 1, 0}));
  EXPECT_EQ(delays, (std::vector<std::chrono::milliseconds>{0ms, 100ms, 100ms, 200ms, 200ms, 350ms,
                                                            350ms, 350ms}));
}

TEST(ReconnectPolicy, LeavesHalfOfTheWaitToChance) {
  ReconnectPolicy policy(1, {.base = 100ms, .cap = 1000ms});

  EXPECT_EQ(policy.after_failure(0).delay, 50ms);
  EXPECT_EQ(policy.after_failure(0.5).delay, 150ms);
}

TEST(ReconnectPolicy, StartsAnewAfterAGoodConnectionOnly) {
  ReconnectPolicy policy(1, {.base = 100ms, .cap = 1000ms, .stable = 1000ms});

  EXPECT_EQ(policy.after_loss(10ms, 1).delay, 100ms);
  EXPECT_TRUE(policy.all_failed());
  EXPECT_EQ(policy.after_loss(1000ms, 1).delay, 0ms);
  EXPECT_FALSE(policy.all_failed());
}

}  // namespace
}  // namespace mpr::client
