#include "store/embedded/record.hpp"

#include <gtest/gtest.h>

#include <random>

#include "base/keyed_hash.hpp"
#include "store/embedded/bytes.hpp"
#include "store/embedded/crc32c.hpp"
#include "store/embedded/segment.hpp"

namespace mpr {

namespace {

NewMessage full_message() {
  NewMessage m;
  m.connection = {TenantId("tenant"), ConnectionId("connection")};
  m.id = MessageId("message-1");
  m.id_origin = IdOrigin::caller;
  m.recipient_dids = {RecipientDid("did:a"), RecipientDid("did:b")};
  m.payload = make_payload("{\"x\":1}");
  m.received_at = TimePoint(std::chrono::milliseconds(1234567890123));
  m.expires_at = TimePoint(std::chrono::milliseconds(1234567899999));
  m.push_token = PushToken{PushProvider::apns, "token", "project"};
  return m;
}

std::string sealed_add(const NewMessage& m, std::uint64_t position) {
  std::string bytes;
  append_add(bytes, m, position);
  seal(bytes, 0, 64, 7);
  return bytes;
}

}  // namespace

TEST(Crc32c, HasTheKnownValuesOfItsStandard) {
  EXPECT_EQ(crc32c(0, "123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(0, std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(0, std::string(32, '\xff')), 0x62a8ab43U);
  EXPECT_EQ(crc32c(crc32c(0, "1234"), "56789"), crc32c(0, "123456789"));
}

TEST(Crc32c, IsTheSameWithAndWithoutTheInstruction) {
  std::mt19937 dice(7);
  std::string bytes;
  for (int size = 0; size < 300; ++size) {
    const auto seed = static_cast<std::uint32_t>(dice());
    EXPECT_EQ(crc32c(seed, bytes), crc32c_by_table(seed, bytes)) << size;
    bytes.push_back(static_cast<char>(dice()));
  }
}

TEST(Record, AnAddComesBackAsItWasWritten) {
  const NewMessage m = full_message();
  const std::string bytes = sealed_add(m, 42);
  EXPECT_EQ(bytes.size(), add_record_bytes(m));
  EXPECT_EQ(bytes.size() % kRecordAlignment, 0U);
  EXPECT_TRUE(verify(bytes, 7));
  EXPECT_FALSE(verify(bytes, 8)) << "another segment's seed";
  const auto header = decode_header(bytes, 128);
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->length, bytes.size());
  EXPECT_EQ(header->group, 64U);
  const auto add = decode_add(bytes);
  ASSERT_TRUE(add.has_value());
  EXPECT_EQ(add->position, 42U);
  EXPECT_EQ(add->tenant, "tenant");
  EXPECT_EQ(add->connection, "connection");
  EXPECT_EQ(add->id, "message-1");
  EXPECT_EQ(add->id_origin, IdOrigin::caller);
  EXPECT_EQ(add->received_at, m.received_at);
  EXPECT_EQ(add->expires_at, m.expires_at);
  EXPECT_EQ(add->recipient_dids, (std::vector<std::string_view>{"did:a", "did:b"}));
  EXPECT_EQ(add->token->provider, PushProvider::apns);
  EXPECT_EQ(add->token->token, "token");
  EXPECT_EQ(add->token->project, "project");
  EXPECT_EQ(add->payload, "{\"x\":1}");
}

TEST(Record, RemovalsComeBackSortedWithTheirCallersIds) {
  std::vector<Removal> removals(3);
  removals[0].position = 1ULL << 60;
  removals[1].position = 5;
  removals[1].caller_id =
      Removal::CallerId{{0x1111, 0x2222}, TimePoint(std::chrono::milliseconds(99))};
  removals[2].position = 1'000'000;
  std::string bytes;
  append_remove(bytes, TimePoint(std::chrono::milliseconds(77)), removals);
  EXPECT_LE(bytes.size(), kRecordOverheadBytes + 3 * kMaxRemovalBytes);
  const auto back = decode_remove(bytes);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->removed_at, TimePoint(std::chrono::milliseconds(77)));
  ASSERT_EQ(back->removals.size(), 3U);
  EXPECT_EQ(back->removals[0].position, 5U);
  EXPECT_EQ(back->removals[0].caller_id->key, (Hash128{0x1111, 0x2222}));
  EXPECT_EQ(back->removals[1].position, 1'000'000U);
  EXPECT_EQ(back->removals[2].position, 1ULL << 60);
  EXPECT_FALSE(back->removals[2].caller_id.has_value());
}

TEST(Record, RememberedIdsComeBack) {
  const std::vector<RememberedId> ids = {{{1, 2},
                                          3,
                                          TimePoint(std::chrono::milliseconds(4)),
                                          TimePoint(std::chrono::milliseconds(5))}};
  std::string bytes;
  append_remembered(bytes, ids);
  const auto back = decode_remembered(bytes);
  ASSERT_TRUE(back.has_value());
  ASSERT_EQ(back->size(), 1U);
  EXPECT_EQ(back->front().key, (Hash128{1, 2}));
  EXPECT_EQ(back->front().position, 3U);
  EXPECT_EQ(back->front().removed_at, TimePoint(std::chrono::milliseconds(5)));
}

TEST(Record, EveryFlippedBitIsNoticed) {
  const std::string bytes = sealed_add(full_message(), 42);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto header = decode_header(flipped, 128);
    const bool accepted = header && header->length == flipped.size() && verify(flipped, 7);
    ASSERT_FALSE(accepted) << "bit " << bit;
  }
}

TEST(Record, APositionThatNoStoreReachesIsNone) {
  EXPECT_TRUE(decode_header(sealed_add(full_message(), kMaxPosition), 128));
  for (const std::uint64_t position : {std::uint64_t{0}, kMaxPosition + 1, ~std::uint64_t{0}}) {
    EXPECT_FALSE(decode_header(sealed_add(full_message(), position), 128)) << position;
  }
}

TEST(Record, CutOffRecordsDoNotDecode) {
  const std::string bytes = sealed_add(full_message(), 42);
  for (std::size_t size = 0; size + kRecordAlignment <= bytes.size(); ++size) {
    ASSERT_FALSE(decode_add(std::string_view(bytes).substr(0, size)).has_value()) << size;
  }
}

TEST(SegmentHeader, ComesBackAndNoticesDamage) {
  SegmentHeader header;
  header.sequence = 3;
  header.salt = 4;
  header.previous_sequence = 2;
  header.previous_end = 640;
  header.first_position = 99;
  std::string bytes = encode_segment_header(header);
  ASSERT_EQ(bytes.size(), kSegmentHeaderBytes);
  const auto back = decode_segment_header(bytes);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->sequence, 3U);
  EXPECT_EQ(back->salt, 4U);
  EXPECT_EQ(back->previous_sequence, 2U);
  EXPECT_EQ(back->previous_end, 640U);
  EXPECT_EQ(back->first_position, 99U);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= 1;
    EXPECT_FALSE(decode_segment_header(bytes).has_value()) << i;
    bytes[i] ^= 1;
  }
  EXPECT_EQ(parse_segment_name(segment_name(12)), 12U);
  for (const char* name : {"log-.seg", "log-12", "log-1x.seg", "spare-1.seg", ""}) {
    EXPECT_FALSE(parse_segment_name(name).has_value()) << name;
  }
}

TEST(ByteReader, FailsAtTheEndAndStaysFailed) {
  ByteReader reader(
      "\x05"
      "ab");
  EXPECT_EQ(reader.text(), "");
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.number<std::uint8_t>(), 0);
  ByteReader endless(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10));
  EXPECT_EQ(endless.varint(), 0U);
  EXPECT_FALSE(endless.ok());
  std::string largest;
  put_varint(largest, ~0ULL);
  EXPECT_EQ(ByteReader(largest).varint(), ~0ULL);
}

TEST(KeyedHash, TellsListsAndKeysApart) {
  const KeyedHash hash(Hash128{1, 2});
  EXPECT_EQ(hash({"a", "b"}), hash({"a", "b"}));
  EXPECT_NE(hash({"a", "b"}), hash({"ab", ""}));
  EXPECT_NE(hash({"a", "b"}), hash({"ab"}));
  EXPECT_NE(hash({"a"}), hash({std::string_view("a\0", 2)}));
  EXPECT_NE(hash({"a"}), KeyedHash(Hash128{1, 3})({"a"}));
  EXPECT_NE(KeyedHash::random().key(), KeyedHash::random().key());
}

}  // namespace mpr
