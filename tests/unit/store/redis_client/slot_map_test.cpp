#include "store/redis/slot_map.hpp"

#include <gtest/gtest.h>

#include "store/redis/resp_reader.hpp"

namespace mpr::redis {
namespace {

const ServerAddress kAsked{"seed", 7000};

Value value_of(std::string_view resp) {
  RespReader reader;
  reader.feed(resp);
  Value value;
  EXPECT_EQ(reader.next(value), RespReader::Next::value) << resp;
  return value;
}

TEST(SlotMap, IsReadFromClusterSlots) {
  const Value answer = value_of(
      "*3\r\n"
      "*4\r\n:0\r\n:5460\r\n*4\r\n$8\r\n10.0.0.1\r\n:7000\r\n+id\r\n*0\r\n*3\r\n$8\r\n10.0.0.2\r\n:"
      "7000\r\n+id\r\n"
      "*3\r\n:5461\r\n:5461\r\n*3\r\n$-1\r\n:7001\r\n+id\r\n"
      "*3\r\n:5462\r\n:16383\r\n*3\r\n$8\r\n10.0.0.1\r\n:7000\r\n+id\r\n");
  const auto map = parse_slot_map(answer, kAsked, {{"10.0.0.1:7000", "nat:1"}});
  ASSERT_TRUE(map.has_value()) << map.error().context;
  EXPECT_EQ(map->primaries, (std::vector<ServerAddress>{{"nat", 1}, {"seed", 7001}}));
  EXPECT_EQ(map->replicas, (std::vector<ServerAddress>{{"10.0.0.2", 7000}}));
  EXPECT_EQ(map->owner[0], 0);
  EXPECT_EQ(map->owner[5460], 0);
  EXPECT_EQ(map->owner[5461], 1);
  EXPECT_EQ(map->owner[5462], 0);
  EXPECT_EQ(map->owner[16383], 0);
  EXPECT_EQ(map->first_unserved(), kSlots);
}

TEST(SlotMap, KnowsWhatNobodyServes) {
  const auto map =
      parse_slot_map(value_of("*1\r\n*3\r\n:0\r\n:99\r\n*3\r\n+h\r\n:7000\r\n+id\r\n"), kAsked, {});
  ASSERT_TRUE(map.has_value());
  EXPECT_EQ(map->first_unserved(), 100u);
  const auto none = parse_slot_map(value_of("*0\r\n"), kAsked, {});
  ASSERT_TRUE(none.has_value());
  EXPECT_EQ(none->first_unserved(), 0u);
  EXPECT_TRUE(none->primaries.empty());
}

TEST(SlotMap, IsRefusedInAnyOtherForm) {
  for (const std::string_view answer :
       {"+OK\r\n", "*1\r\n:1\r\n", "*1\r\n*2\r\n:0\r\n:1\r\n",
        "*1\r\n*3\r\n:-1\r\n:1\r\n*2\r\n+h\r\n:1\r\n", "*1\r\n*3\r\n:2\r\n:1\r\n*2\r\n+h\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n+h\r\n:1\r\n", "*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n+h\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n+h\r\n:65536\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n:1\r\n:1\r\n",
        "*1\r\n*4\r\n:0\r\n:1\r\n*2\r\n+h\r\n:1\r\n+x\r\n"}) {
    EXPECT_FALSE(parse_slot_map(value_of(answer), kAsked, {}).has_value()) << answer;
  }
}

}  // namespace
}  // namespace mpr::redis
