#include "store/redis/session_record.hpp"

#include <gtest/gtest.h>

namespace mpr::redis {

TEST(SessionRecord, IsReadAsItWasWritten) {
  const SessionRecord records[] = {
      {Epoch{1'760'000'000'123'456}, Position{42}, GatewayId("g-1"), SessionId("session")},
      {Epoch{1}, Position{}, GatewayId(""), SessionId("")},
      {Epoch{~0ULL}, Position{~0ULL}, GatewayId("7 3:x"), SessionId("1 2 3:\n\0x")},
  };
  for (const SessionRecord& record : records) {
    EXPECT_EQ(decode_session_record(encode(record)), record) << encode(record);
  }
}

TEST(SessionRecord, LooksLikeThis) {
  EXPECT_EQ(encode({Epoch{17}, Position{5}, GatewayId("gw"), SessionId("s-1")}), "1 17 5 2:gws-1");
}

TEST(SessionRecord, IsNotReadFromAnythingElse) {
  for (const char* text : {"", "1", "1 ", "2 17 5 2:gws", "1 17 5 9:gw", "1 x 5 2:gw", "1 17 5 2",
                           "1 17 52:gw", "1  17 5 2:gw", "1 -17 5 2:gw",
                           "1 99999999999999999999999 5 2:gw", "{\"gateway\":\"gw\"}"}) {
    EXPECT_EQ(decode_session_record(text), std::nullopt) << text;
  }
}

TEST(SessionRecord, BeginsWithAPrefixThatNoOtherEpochHas) {
  const SessionRecord record{Epoch{17}, Position{5}, GatewayId("gw"), SessionId("s")};
  EXPECT_TRUE(encode(record).starts_with(record_prefix(Epoch{17})));
  EXPECT_FALSE(encode(record).starts_with(record_prefix(Epoch{1})));
  EXPECT_FALSE(encode(record).starts_with(record_prefix(Epoch{175})));
}

}  // namespace mpr::redis
