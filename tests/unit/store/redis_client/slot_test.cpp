#include "store/redis/slot.hpp"

#include <gtest/gtest.h>

namespace mpr::redis {
namespace {

TEST(Slot, HasTheChecksumOfTheSpecification) { EXPECT_EQ(crc16("123456789"), 0x31C3); }

// As `redis-cli CLUSTER KEYSLOT` says.
TEST(Slot, IsWhatRedisSays) {
  struct Case {
    std::string_view key;
    unsigned slot;
  };
  for (const Case& c :
       {Case{"", 0}, Case{"foo", 12182}, Case{"bar", 5061}, Case{"{foo}bar", 12182},
        Case{"x{foo}y{bar}", 12182}, Case{"foo{}{bar}", 8363}, Case{"foo{{bar}}zap", 4015},
        Case{"a{b", 13340}, Case{"a}b{", 6027}, Case{"{}", 15257}}) {
    EXPECT_EQ(slot_of(c.key), c.slot) << c.key;
  }
}

}  // namespace
}  // namespace mpr::redis
