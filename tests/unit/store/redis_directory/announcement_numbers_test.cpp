#include "store/redis/announcement_numbers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace mpr::redis {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{1000};
const Speaker kA{GatewayId("a"), 1};
const Speaker kB{GatewayId("b"), 1};
const SteadyPoint kStart{std::chrono::hours(1)};

}  // namespace

TEST(HeardNumbers, NothingIsLostWhileAllComeInOrder) {
  HeardNumbers numbers(kPatience);
  for (std::uint64_t n = 1; n <= 100; ++n) {
    numbers.heard(kA, n, kStart);
    numbers.heard(kB, n, kStart);
  }
  numbers.beacon(kA, 100, kStart);
  EXPECT_FALSE(numbers.lost(kStart + std::chrono::hours(1)));
}

TEST(HeardNumbers, AJumpIsLostAfterTheirPatienceAndReportedOnce) {
  HeardNumbers numbers(kPatience);
  numbers.heard(kA, 1, kStart);
  numbers.heard(kA, 3, kStart + milliseconds(10));
  EXPECT_FALSE(numbers.lost(kStart + milliseconds(1009)));
  EXPECT_TRUE(numbers.lost(kStart + milliseconds(1010)));
  EXPECT_FALSE(numbers.lost(kStart + std::chrono::hours(1)));
  numbers.heard(kA, 4, kStart + std::chrono::hours(1));
  EXPECT_FALSE(numbers.lost(kStart + std::chrono::hours(2)));
}

TEST(HeardNumbers, TheFirstNumberHasToBeOne) {
  HeardNumbers numbers(kPatience);
  numbers.heard(kA, 2, kStart);
  EXPECT_TRUE(numbers.lost(kStart + kPatience));
}

TEST(HeardNumbers, ALateNumberIsNotLost) {
  HeardNumbers numbers(kPatience);
  for (const std::uint64_t n : {3U, 5U, 4U, 2U}) numbers.heard(kA, n, kStart);
  numbers.heard(kA, 1, kStart + milliseconds(999));
  EXPECT_FALSE(numbers.lost(kStart + std::chrono::hours(1)));
}

TEST(HeardNumbers, PatienceBeginsAnewWhenTheMissingOneComesAndAnotherIsMissing) {
  HeardNumbers numbers(kPatience);
  numbers.heard(kA, 2, kStart);
  numbers.heard(kA, 4, kStart);
  numbers.heard(kA, 1, kStart + milliseconds(900));
  EXPECT_FALSE(numbers.lost(kStart + milliseconds(1800)));
  EXPECT_TRUE(numbers.lost(kStart + milliseconds(1900)));
}

TEST(HeardNumbers, ABeaconShowsThatTheLastOnesAreMissing) {
  HeardNumbers numbers(kPatience);
  numbers.heard(kA, 1, kStart);
  numbers.beacon(kA, 3, kStart);
  EXPECT_FALSE(numbers.lost(kStart + milliseconds(999)));
  EXPECT_TRUE(numbers.lost(kStart + kPatience));
}

TEST(HeardNumbers, ABeaconOfANewSenderShowsThatAllAreMissing) {
  HeardNumbers numbers(kPatience);
  numbers.beacon(kA, 1, kStart);
  EXPECT_TRUE(numbers.lost(kStart + kPatience));
}

TEST(HeardNumbers, AnotherIncarnationCountsFromOne) {
  HeardNumbers numbers(kPatience);
  for (std::uint64_t n = 1; n <= 5; ++n) numbers.heard(kA, n, kStart);
  numbers.heard({GatewayId("a"), 2}, 1, kStart);
  EXPECT_FALSE(numbers.lost(kStart + std::chrono::hours(1)));
}

TEST(HeardNumbers, DuplicatesAndOldOnesChangeNothing) {
  HeardNumbers numbers(kPatience);
  for (const std::uint64_t n : {1U, 2U, 2U, 1U, 4U, 4U, 3U, 4U}) numbers.heard(kA, n, kStart);
  numbers.heard(kA, 0, kStart);
  numbers.beacon(kA, 2, kStart);
  EXPECT_FALSE(numbers.lost(kStart + std::chrono::hours(1)));
}

TEST(HeardNumbers, CountingGoesOnWithWhatComesAfterAResubscription) {
  HeardNumbers numbers(kPatience);
  numbers.heard(kA, 1, kStart);
  numbers.heard(kA, 5, kStart);
  numbers.resubscribed();
  numbers.heard(kA, 9, kStart);
  numbers.heard(kA, 10, kStart);
  EXPECT_FALSE(numbers.lost(kStart + std::chrono::hours(1)));
  numbers.heard(kA, 12, kStart);
  EXPECT_TRUE(numbers.lost(kStart + kPatience));
}

TEST(HeardNumbers, TooManyEarlyOnesAreLostAtOnce) {
  HeardNumbers numbers(kPatience);
  for (std::uint64_t n = 2; n < 2 + HeardNumbers::kMostEarly; ++n) numbers.heard(kA, n, kStart);
  EXPECT_TRUE(numbers.lost(kStart));
}

TEST(HeardNumbers, FindExactlyWhatARandomNetworkLost) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 dice(seed);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::uint64_t> sent(1 + dice() % 60);
    std::iota(sent.begin(), sent.end(), 1);
    const std::uint64_t last = sent.back();
    const bool loses = dice() % 2 == 0;
    if (loses) sent.erase(sent.begin() + static_cast<std::ptrdiff_t>(dice() % sent.size()));
    for (std::size_t i = 1; i < sent.size(); ++i) {
      if (dice() % 3 == 0) std::swap(sent[i], sent[i - 1 - dice() % std::min<std::size_t>(i, 4)]);
    }
    HeardNumbers numbers(kPatience);
    for (const std::uint64_t n : sent) numbers.heard(kA, n, kStart);
    numbers.beacon(kA, last, kStart);
    ASSERT_EQ(numbers.lost(kStart + kPatience), loses);
  }
}

TEST(SentNumbers, CountForEachReceiver) {
  SentNumbers numbers;
  EXPECT_EQ(numbers.next(GatewayId("a")), 1U);
  EXPECT_EQ(numbers.next(GatewayId("a")), 2U);
  EXPECT_EQ(numbers.next(GatewayId("b")), 1U);
}

TEST(SentNumbers, ABeaconIsDueUntilItReachedTheReceiver) {
  SentNumbers numbers;
  EXPECT_TRUE(numbers.due().empty());
  numbers.next(GatewayId("a"));
  numbers.next(GatewayId("a"));
  ASSERT_EQ(numbers.due().size(), 1U);
  EXPECT_EQ(numbers.due()[0].receiver, GatewayId("a"));
  EXPECT_EQ(numbers.due()[0].last, 2U);
  numbers.next(GatewayId("a"));
  numbers.beaconed(GatewayId("a"), 2);
  ASSERT_EQ(numbers.due().size(), 1U);
  EXPECT_EQ(numbers.due()[0].last, 3U);
  numbers.beaconed(GatewayId("a"), 3);
  EXPECT_TRUE(numbers.due().empty());
}

TEST(SentNumbers, ADoubtfulReceiverIsAskedAndThenForgotten) {
  SentNumbers numbers;
  numbers.next(GatewayId("a"));
  numbers.beaconed(GatewayId("a"), 1);
  numbers.doubt(GatewayId("a"));
  numbers.doubt(GatewayId("nobody"));
  EXPECT_EQ(numbers.due().size(), 1U);
  numbers.forget(GatewayId("a"));
  numbers.beaconed(GatewayId("a"), 1);
  EXPECT_TRUE(numbers.due().empty());
  EXPECT_EQ(numbers.next(GatewayId("a")), 1U);
}

}  // namespace mpr::redis
