#include "store/redis/keys.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "store/redis/slot.hpp"

namespace mpr::redis {
namespace {

Connection connection(std::string_view tenant, std::string_view id) {
  return {TenantId(tenant), ConnectionId(id)};
}

// Stored data is found by these numbers: if one of them changes, messages are lost.
TEST(Keys, NeverChangeTheirPartitions) {
  const Keys keys("mpr", 1024);
  EXPECT_EQ(keys.partition_of(connection("", "")), 468u);
  EXPECT_EQ(keys.partition_of(connection("", "a")), 142u);
  EXPECT_EQ(keys.partition_of(connection("", "3fa85f64-5717-4562-b3fc-2c963f66afa6")), 148u);
  EXPECT_EQ(keys.partition_of(connection("tenant", "3fa85f64-5717-4562-b3fc-2c963f66afa6")), 239u);
  EXPECT_EQ(keys.partition_of(connection("a", "b")), 396u);
  EXPECT_EQ(keys.partition_of(connection("ab", "")), 70u);
  EXPECT_EQ(keys.partition_of(connection("", "\xc3\xa9\xff")), 757u);
  EXPECT_EQ(Keys("mpr", 16).partition_of(connection("", "a")), 14u);
  EXPECT_EQ(Keys("other", 1024).partition_of(connection("", "a")),
            keys.partition_of(connection("", "a")));
}

TEST(Keys, KeepTheirForm) {
  const Keys keys("mpr", 1024);
  EXPECT_EQ(keys.queue(connection("", "a")), "{mpr:p0142}:q:0:a");
  EXPECT_EQ(keys.session(connection("tenant", "a")), "{mpr:p0560}:s:6:tenanta");
  EXPECT_EQ(keys.of_connection("x", connection("", "a{b}:c")), "{mpr:p0049}:x:0:a{b}:c");
  EXPECT_EQ(keys.of_partition("due", 7), "{mpr:p0007}:due");
  EXPECT_EQ(keys.of_partition("due", 12345), "{mpr:p12345}:due");
  EXPECT_EQ(keys.of_installation("meta"), "mpr:meta");
  EXPECT_EQ(keys.gateway_channel(GatewayId("g1")), "mpr:gateway:g1");
}

TEST(Keys, OfOneConnectionShareASlotWithTheirPartition) {
  const Keys keys("mpr", 1024);
  const Connection c = connection("t", "some{thing}else");
  const auto slot = slot_of(keys.queue(c));
  EXPECT_EQ(slot_of(keys.session(c)), slot);
  EXPECT_EQ(slot_of(keys.of_connection("x", c)), slot);
  EXPECT_EQ(slot_of(keys.of_partition("due", keys.partition_of(c))), slot);
}

TEST(Keys, TellTenantAndConnectionApart) {
  const Keys keys("mpr", 1);
  std::set<std::string> seen;
  for (const auto& [tenant, id] : std::vector<std::pair<std::string, std::string>>{
           {"", "ab"}, {"a", "b"}, {"ab", ""}, {"", "1:ab"}, {"1:", "ab"}}) {
    seen.insert(keys.queue(connection(tenant, id)));
  }
  EXPECT_EQ(seen.size(), 5u);
}

TEST(Keys, SpreadConnectionsEvenly) {
  const Keys keys("mpr", 64);
  std::vector<int> counts(64);
  for (int i = 0; i < 64'000; ++i) {
    ++counts[keys.partition_of(connection("", "connection-" + std::to_string(i)))];
  }
  for (const int count : counts) {
    EXPECT_GT(count, 800);
    EXPECT_LT(count, 1200);
  }
}

}  // namespace
}  // namespace mpr::redis
