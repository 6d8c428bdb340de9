#include "app/random_ids.hpp"

#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <thread>
#include <vector>

#include "tests/support/fake_clock.hpp"

namespace mpr {
namespace {

TEST(RandomIds, AreUuidsOfVersion7) {
  test::FakeClock clock;
  RandomIds ids(clock);
  const std::regex form("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  for (int i = 0; i < 1000; ++i) {
    const std::string id = ids.next_message_id().value;
    EXPECT_TRUE(std::regex_match(id, form)) << id;
  }
}

TEST(RandomIds, BeginWithTheTime) {
  test::FakeClock clock;
  RandomIds ids(clock);
  // FakeClock starts at 1,750,000,000,000 ms = 0x01977420dc00.
  EXPECT_EQ(ids.next_message_id().value.substr(0, 13), "01977420-dc00");
  clock.advance(std::chrono::milliseconds(255));
  EXPECT_EQ(ids.next_message_id().value.substr(0, 13), "01977420-dcff");
}

TEST(RandomIds, AreUniqueOverThreads) {
  test::FakeClock clock;
  RandomIds ids(clock);
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kEach = 10'000;
  std::vector<std::vector<std::string>> made(kThreads);
  {
    std::vector<std::jthread> threads;
    for (auto& list : made) {
      threads.emplace_back([&ids, &list] {
        for (std::size_t i = 0; i < kEach; ++i) list.push_back(ids.next_message_id().value);
      });
    }
  }
  std::set<std::string> all;
  for (const auto& list : made) all.insert(list.begin(), list.end());
  EXPECT_EQ(all.size(), kThreads * kEach);
}

}  // namespace
}  // namespace mpr
