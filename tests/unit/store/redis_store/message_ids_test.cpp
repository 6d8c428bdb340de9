#include "store/redis/message_ids.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

#include "core/limits.hpp"

namespace mpr::redis {

namespace {

Connection phone(std::string_view id, std::string_view tenant = "") {
  return {TenantId(tenant), ConnectionId(id)};
}

constexpr Position kSome{(1'750'000'000'000ULL << 20U) + 3};

}  // namespace

TEST(MessageIds, APositionIsAnEntryOfTheStream) {
  EXPECT_EQ(entry_of(kSome), "1750000000000-3");
  EXPECT_EQ(position_of("1750000000000-3"), kSome);
  EXPECT_EQ(entry_of(Position{}), "0-0");
  const Position last{std::numeric_limits<std::uint64_t>::max()};
  EXPECT_EQ(position_of(entry_of(last)), last);
}

TEST(MessageIds, WhatIsNoEntryHasNoPosition) {
  for (const char* text : {"", "-", "1", "1-", "-1", "a-1", "1-a", "1-1-1", " 1-1", "1-1048576",
                           "17592186044416-0", "99999999999999999999-0"}) {
    EXPECT_EQ(position_of(text), std::nullopt) << text;
  }
}

TEST(MessageIds, AnIdStaysAsItIsForAllTime) {
  const MessageId id = encode_message_id(phone("c", "t"), {kSome, 1100});
  EXPECT_EQ(id.value, "0_rFVr----21WgUGB");
  const auto decoded = decode_message_id(phone("c", "t"), id.value);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->position, kSome);
  EXPECT_EQ(decoded->size, 1100U);
}

TEST(MessageIds, IdsAreWhatWalletsAccept) {
  const MessageId id = encode_message_id(phone("c"), {Position{1}, 0});
  EXPECT_GE(id.value.size(), limits::kMessageIdRun);
  EXPECT_LE(id.value.size(), limits::kIdBytes);
  EXPECT_EQ(id.value.find_first_not_of(
                "-_./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
            std::string::npos);
}

TEST(MessageIds, EveryPositionAndSizeComesBackAndIdsSortAsPositions) {
  std::mt19937_64 dice(7);
  const Connection c = phone("c");
  for (int i = 0; i < 2000; ++i) {
    const ServerMessageId one{Position{dice()}, dice() >> (dice() % 64)};
    const ServerMessageId other{Position{dice()}, dice() >> (dice() % 64)};
    const MessageId id = encode_message_id(c, one);
    const auto decoded = decode_message_id(c, id.value);
    if (one.size >> 58U != 0) continue;  // no payload is that large
    ASSERT_TRUE(decoded.has_value()) << id.value;
    ASSERT_EQ(decoded->position, one.position);
    ASSERT_EQ(decoded->size, one.size);
    if (one.position != other.position) {
      ASSERT_EQ(one.position < other.position, id < encode_message_id(c, other));
    }
  }
}

TEST(MessageIds, IdsOfOthersAndAlteredIdsMeanNothing) {
  const MessageId id = encode_message_id(phone("c", "t"), {kSome, 1100});
  EXPECT_EQ(decode_message_id(phone("d", "t"), id.value), std::nullopt);
  EXPECT_EQ(decode_message_id(phone("tc"), id.value), std::nullopt);
  for (std::size_t i = 0; i < id.value.size(); ++i) {
    std::string altered = id.value;
    altered[i] = altered[i] == 'x' ? 'y' : 'x';
    EXPECT_EQ(decode_message_id(phone("c", "t"), altered), std::nullopt) << altered;
  }
  for (const char* text : {"", "m-1", "01234567890123456", "0_rFVr----21WgUGB-"}) {
    EXPECT_EQ(decode_message_id(phone("c", "t"), text), std::nullopt) << text;
  }
}

TEST(MessageIds, AConnectionIsOneText) {
  for (const Connection& c :
       {phone("c"), phone("", ""), phone("b:c", "a:"), phone("1:x", "2"), phone("\0x{}")}) {
    EXPECT_EQ(decode_connection(encode_connection(c)), c);
  }
  EXPECT_EQ(encode_connection(phone("ab", "c")), "1:cab");
  for (const char* text : {"", "x", ":x", "5:x", "x:x"}) {
    EXPECT_EQ(decode_connection(text), std::nullopt) << text;
  }
}

}  // namespace mpr::redis
