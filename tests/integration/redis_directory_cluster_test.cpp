// The directory on a real cluster: failover of the node that holds the membership, and channels
// whose slots move.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "store/redis/slot.hpp"
#include "tests/integration/directory_bed.hpp"

namespace mpr::test {
namespace {

using std::chrono::steady_clock;

// One cluster for all tests of this file, because it takes seconds to make.
class RedisDirectoryClusterTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = new RedisCluster(); }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }
  void SetUp() override { cluster().wait_until_ok(); }

  static RedisCluster& cluster() { return *cluster_; }
  // Keys of its own for each test.
  redis::Keys keys_{testing::UnitTest::GetInstance()->current_test_info()->name(), 16};
  redis::ClientOptions client_ = redis::options_for(cluster());

  std::unique_ptr<Gateway> join(RedisDirectory::Options options) {
    return std::make_unique<Gateway>(client_, keys_, std::move(options));
  }

 private:
  static RedisCluster* cluster_;
};

RedisCluster* RedisDirectoryClusterTest::cluster_ = nullptr;

RedisDirectory::Options usual(const std::string& gateway) {
  RedisDirectory::Options options;
  options.self = GatewayId(gateway);
  return options;
}

}  // namespace

TEST_F(RedisDirectoryClusterTest, AFailoverOfTheMembershipKillsNobodyAndSessionsAreRenewed) {
  const auto here = join(usual("here"));
  const auto there = join(usual("there"));
  constexpr int kSessions = 60;  // on all primaries
  std::vector<Epoch> epochs;
  for (int i = 0; i < kSessions; ++i) epochs.push_back(there->open(std::to_string(i)));
  const SessionPlace place{GatewayId("there"), epochs.front()};
  std::this_thread::sleep_for(13s);  // judgement begins
  const std::size_t gaps = there->listener.gaps();
  const std::size_t victim = cluster().owner_of(redis::slot_of(keys_.of_installation("gateways")));

  cluster().node(victim).kill9();
  const auto end = steady_clock::now() + 25s;
  while (steady_clock::now() < end) {
    ASSERT_EQ(here->directory.presence(place), Presence::live);
    ASSERT_EQ(there->directory.presence({GatewayId("here"), Epoch{1}}), Presence::live);
    std::this_thread::sleep_for(50ms);
  }

  EXPECT_TRUE(here->directory.ready().has_value()) << here->directory.ready().error().context;
  EXPECT_GT(there->listener.gaps(), gaps) << "the node served channels or the membership";
  for (int i = 0; i < kSessions; ++i) {
    const auto id = std::to_string(i);
    const auto epoch = epochs[static_cast<std::size_t>(i)];
    const auto renewed = there->renew(id, epoch);
    ASSERT_TRUE(renewed.has_value()) << renewed.error().context;
    EXPECT_EQ(*renewed, (SessionPlace{GatewayId("there"), epoch}));
    EXPECT_EQ(here->find(id), *renewed);
    EXPECT_GT(here->open(id), epoch);
    EXPECT_TRUE(there->hears("superseded " + id));
  }
  cluster().node(victim).start();
  cluster().wait_until_ok();
}

TEST_F(RedisDirectoryClusterTest, WhileAChannelMovesEachAnnouncementIsHeardOrFollowedByAGap) {
  const auto here = join(quick("here"));
  const auto there = join(quick("there"));
  const SessionPlace place{GatewayId("there"), there->open("c")};
  const unsigned slot = redis::slot_of(keys_.gateway_channel(GatewayId("there")));
  std::uint64_t position = 0;
  for (int move = 0; move < 4; ++move) {
    const std::size_t from = cluster().owner_of(slot);
    const std::size_t to = cluster().another_primary(from);
    std::thread mover([&] { cluster().move_slot(slot, to); });
    for (int i = 0; i < 150; ++i) {
      const std::size_t gaps = there->listener.gaps();
      const auto announced = here->announce("c", place, ++position, 5000ms);
      const std::string event = "announced c at " + std::to_string(position);
      EXPECT_TRUE(eventually(10s, [&] {
        if (!announced || there->listener.gaps() > gaps) return true;
        const auto events = there->listener.events();
        return std::find(events.rbegin(), events.rend(), event) != events.rend();
      })) << position;
    }
    mover.join();
    cluster().wait_until_ok();
    // And it recovers.
    EXPECT_TRUE(eventually(
        10s, [&] { return here->announce("c", place, ++position, 5000ms).has_value(); }));
    EXPECT_TRUE(there->hears("announced c at " + std::to_string(position)));
  }
}

TEST_F(RedisDirectoryClusterTest, EpochsGrowOverFailoversOfTheSessionsNode) {
  const auto here = join(quick("here"));
  const auto there = join(quick("there"));
  Epoch last;
  const unsigned slot = redis::slot_of(keys_.session(phone("c")));
  for (int i = 0; i < 2; ++i) {
    for (int n = 0; n < 20; ++n) {
      const Epoch epoch = (n % 2 == 0 ? here : there)->open("c");
      ASSERT_GT(epoch, last);
      last = epoch;
    }
    const std::size_t victim = cluster().owner_of(slot);
    cluster().node(victim).kill9();
    const Epoch after = here->open("c");
    EXPECT_GT(after, last);
    last = after;
    cluster().node(victim).start();
    cluster().wait_until_ok();
  }
}

TEST_F(RedisDirectoryClusterTest, AKilledGatewayIsFoundDead) {
  const auto here = join(quick("here"));
  GatewayProcess there(client_, keys_.prefix(), quick("there"));
  const SessionPlace place{GatewayId("there"), there.open("c")};
  ASSERT_EQ(here->find("c"), place);
  there.kill9();
  EXPECT_TRUE(eventually(10s, [&] { return here->directory.presence(place) != Presence::live; }));
}

}  // namespace mpr::test
