#include "net/websocket/frame_reader.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "net/websocket/frame_writer.hpp"

namespace mpr::websocket {
namespace {

using Kind = Event::Kind;

constexpr std::size_t kLimit = 1 << 20;

// An event with its text copied.
struct Seen {
  Kind kind = Kind::need_more;
  std::string payload;
  CloseCode code = CloseCode::none;

  bool operator==(const Seen&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Seen& seen) {
  return out << "{" << static_cast<int>(seen.kind) << ", " << seen.payload.substr(0, 40) << " ("
             << seen.payload.size() << " bytes), " << static_cast<int>(seen.code) << "}";
}

Seen message(std::string text) { return {Kind::message, std::move(text), CloseCode::none}; }
Seen ping(std::string text) { return {Kind::ping, std::move(text), CloseCode::none}; }
Seen closed(CloseCode code) { return {Kind::close, "", code}; }
Seen failed(CloseCode code) { return {Kind::failed, "", code}; }

void drain(FrameReader& reader, std::vector<Seen>& seen) {
  for (Event e = reader.next(); e.kind != Kind::need_more; e = reader.next()) {
    seen.push_back({e.kind, std::string(e.payload), e.code});
  }
}

// What a reader sees of `bytes` when they come in pieces of `piece` bytes.
std::vector<Seen> read(Role role, std::string bytes, std::size_t piece = SIZE_MAX,
                       std::size_t limit = kLimit) {
  FrameReader reader(role, limit);
  std::vector<Seen> seen;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = std::min(piece, bytes.size() - at);
    std::string input = bytes.substr(at, size);  // of its own, so that a sanitizer sees overreach
    reader.feed(input);
    drain(reader, seen);
    at += size;
  }
  return seen;
}

constexpr std::uint32_t kKey = 0x5aa5c33c;

// One masked frame with any first byte and any way of writing the length.
std::string raw_frame(std::uint8_t first, std::string payload, std::size_t length_bytes,
                      bool masked = true) {
  std::string out;
  out += static_cast<char>(first);
  const std::uint8_t mask_bit = masked ? 0x80 : 0;
  if (length_bytes == 0) {
    out += static_cast<char>(mask_bit | payload.size());
  } else {
    out += static_cast<char>(mask_bit | (length_bytes == 2 ? 126 : 127));
    for (std::size_t i = length_bytes; i-- > 0;) {
      out += static_cast<char>(static_cast<std::uint64_t>(payload.size()) >> (8 * i));
    }
  }
  if (masked) {
    out.append(reinterpret_cast<const char*>(&kKey), sizeof kKey);
    apply_mask(payload.data(), payload.size(), kKey);
  }
  return out + payload;
}

std::string masked(std::uint8_t first, std::string payload) {
  const std::size_t size = payload.size();
  return raw_frame(first, std::move(payload), size < 126 ? 0 : size < 65536 ? 2 : 8);
}

constexpr std::uint8_t kText = 0x81;
constexpr std::uint8_t kTextBegin = 0x01;
constexpr std::uint8_t kMore = 0x00;
constexpr std::uint8_t kLast = 0x80;
constexpr std::uint8_t kClose = 0x88;
constexpr std::uint8_t kPing = 0x89;

TEST(FrameReader, ReadsTheExamplesOfTheStandard) {
  EXPECT_EQ(read(Role::server, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
            std::vector{message("Hello")});
  EXPECT_EQ(read(Role::client, "\x81\x05Hello"), std::vector{message("Hello")});
  EXPECT_EQ(read(Role::client, std::string("\x01\x03Hel\x80\x02lo", 9)),
            std::vector{message("Hello")});
  EXPECT_EQ(read(Role::client, "\x89\x05Hello"), std::vector{ping("Hello")});
}

TEST(FrameReader, ReadsEveryLengthWholeAndInPieces) {
  for (const std::size_t size : {0u, 1u, 2u, 3u, 7u, 8u, 124u, 125u, 126u, 127u, 128u, 1000u,
                                 65534u, 65535u, 65536u, 65537u, 200'000u}) {
    std::string text(size, 'x');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 26);
    for (const std::size_t piece : {SIZE_MAX, std::size_t{1}, std::size_t{5}, std::size_t{4096}}) {
      EXPECT_EQ(read(Role::server, masked(kText, text), piece), std::vector{message(text)})
          << size << " bytes in pieces of " << piece;
    }
  }
}

TEST(FrameReader, IsIndifferentToWhereTheInputIsCut) {
  const std::string bytes = masked(kText, "first") + masked(kTextBegin, "a") + masked(kPing, "p") +
                            masked(kMore, std::string(130, 'b')) + masked(kLast, "c") +
                            masked(kText, "") + masked(kClose, "\x03\xe8 bye");
  const std::vector<Seen> whole = read(Role::server, bytes);
  ASSERT_EQ(whole,
            (std::vector{message("first"), ping("p"), message("a" + std::string(130, 'b') + "c"),
                         message(""), closed(CloseCode::normal)}));
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    FrameReader reader(Role::server, kLimit);
    std::vector<Seen> seen;
    std::string head = bytes.substr(0, cut);
    std::string tail = bytes.substr(cut);
    reader.feed(head);
    drain(reader, seen);
    reader.feed(tail);
    drain(reader, seen);
    EXPECT_EQ(seen, whole) << "cut at " << cut;
  }
}

TEST(FrameReader, HandsOutWholeMessagesWithoutCopying) {
  FrameReader reader(Role::server, kLimit);
  std::string input = masked(kText, "0123456789");
  reader.feed(input);
  const Event event = reader.next();
  EXPECT_GE(event.payload.data(), input.data());
  EXPECT_LT(event.payload.data(), input.data() + input.size());
  EXPECT_LE(reader.buffered_bytes(), std::string().capacity());
}

TEST(FrameReader, GivesItsBufferBackBehindAMessage) {
  FrameReader reader(Role::server, kLimit);
  std::string bytes = masked(kText, std::string(100'000, 'x'));
  std::string head = bytes.substr(0, 50'000);
  std::string tail = bytes.substr(50'000);
  reader.feed(head);
  ASSERT_EQ(reader.next().kind, Kind::need_more);
  EXPECT_GE(reader.buffered_bytes(), 40'000u);
  reader.feed(tail);
  ASSERT_EQ(reader.next().kind, Kind::message);
  ASSERT_EQ(reader.next().kind, Kind::need_more);
  EXPECT_LE(reader.buffered_bytes(), std::string().capacity());
}

TEST(FrameReader, AllotsLittleToAPeerThatOnlyAnnounces) {
  FrameReader reader(Role::server, std::size_t{1} << 30);
  std::string head("\x81\xff\x00\x00\x00\x00\x3f\x00\x00\x00mask0123456789", 24);
  reader.feed(head);
  ASSERT_EQ(reader.next().kind, Kind::need_more);
  EXPECT_LE(reader.buffered_bytes(), 2u << 20);
}

struct Wrong {
  const char* what;
  Role role;
  std::string bytes;
  CloseCode code;
};

TEST(FrameReader, RefusesWhatTheStandardForbids) {
  const CloseCode protocol = CloseCode::protocol_error;
  const std::vector<Wrong> cases = {
      {"reserved bit 1", Role::server, masked(0xc1, "x"), protocol},
      {"reserved bit 2", Role::server, masked(0xa1, "x"), protocol},
      {"reserved bit 3", Role::server, masked(0x91, "x"), protocol},
      {"opcode 3", Role::server, masked(0x83, "x"), protocol},
      {"opcode 7", Role::server, masked(0x87, "x"), protocol},
      {"opcode 0xb", Role::server, masked(0x8b, "x"), protocol},
      {"opcode 0xf", Role::server, masked(0x8f, "x"), protocol},
      {"unmasked to a server", Role::server, raw_frame(kText, "x", 0, false), protocol},
      {"masked to a client", Role::client, masked(kText, "x"), protocol},
      {"fragmented ping", Role::server, masked(0x09, "x"), protocol},
      {"fragmented close", Role::server, masked(0x08, ""), protocol},
      {"ping of 126 bytes", Role::server, masked(kPing, std::string(126, 'x')), protocol},
      {"continuation of nothing", Role::server, masked(kMore, "x"), protocol},
      {"last of nothing", Role::server, masked(kLast, "x"), protocol},
      {"text inside a message", Role::server, masked(kTextBegin, "x") + masked(kText, "y"),
       protocol},
      {"binary inside a message", Role::server, masked(kTextBegin, "x") + masked(0x82, "y"),
       protocol},
      {"5 bytes with a long length", Role::server, raw_frame(kText, "12345", 2), protocol},
      {"125 with a long length", Role::server, raw_frame(kText, std::string(125, 'x'), 2),
       protocol},
      {"126 with a very long length", Role::server, raw_frame(kText, std::string(126, 'x'), 8),
       protocol},
      {"65535 with a very long length", Role::server, raw_frame(kText, std::string(65535, 'x'), 8),
       protocol},
      {"length with its top bit set", Role::server,
       std::string("\x81\xff\x80\x00\x00\x00\x00\x00\x00\x01mask", 14), protocol},
      {"close of one byte", Role::server, masked(kClose, "\x03"), protocol},
      {"close code 0", Role::server, masked(kClose, std::string(2, '\0')), protocol},
      {"close code 999", Role::server, masked(kClose, "\x03\xe7"), protocol},
      {"close code 1004", Role::server, masked(kClose, "\x03\xec"), protocol},
      {"close code 1005", Role::server, masked(kClose, "\x03\xed"), protocol},
      {"close code 1006", Role::server, masked(kClose, "\x03\xee"), protocol},
      {"close code 1015", Role::server, masked(kClose, "\x03\xf7"), protocol},
      {"close code 2999", Role::server, masked(kClose, "\x0b\xb7"), protocol},
      {"close code 5000", Role::server, masked(kClose, "\x13\x88"), protocol},
      {"close reason not UTF-8", Role::server, masked(kClose, "\x03\xe8\xff"),
       CloseCode::invalid_data},
      {"text not UTF-8", Role::server, masked(kText, "\xc3("), CloseCode::invalid_data},
      {"binary not UTF-8", Role::server, masked(0x82, "\xed\xa0\x80"), CloseCode::invalid_data},
      {"fragments not UTF-8 together", Role::server,
       masked(kTextBegin, "\xc3") + masked(kLast, "("), CloseCode::invalid_data},
      {"more than the limit", Role::server, masked(kText, std::string(kLimit + 1, 'x')),
       CloseCode::too_big},
      {"more than the limit in fragments", Role::server,
       masked(kTextBegin, std::string(kLimit, 'x')) + masked(kLast, "x"), CloseCode::too_big},
      {"an enormous length", Role::server,
       std::string("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask", 14), CloseCode::too_big},
  };
  for (const Wrong& wrong : cases) {
    for (const std::size_t piece : {SIZE_MAX, std::size_t{1}}) {
      const std::vector<Seen> seen =
          read(wrong.role, wrong.bytes + masked(kText, "ignored"), piece);
      EXPECT_EQ(seen, std::vector{failed(wrong.code)}) << wrong.what << ", pieces of " << piece;
    }
  }
}

TEST(FrameReader, RefusesABadStartBeforeTheRestCame) {
  EXPECT_EQ(read(Role::server, std::string("\x81\x7f", 2)),
            std::vector{failed(CloseCode::protocol_error)});
}

TEST(FrameReader, TakesWhatTheStandardAllows) {
  EXPECT_EQ(read(Role::server, masked(0x82, "{}")), std::vector{message("{}")});
  EXPECT_EQ(read(Role::server, masked(kText, std::string(kLimit, 'x'))).front().payload.size(),
            kLimit);
  EXPECT_EQ(read(Role::server, masked(kPing, std::string(125, 'x'))),
            std::vector{ping(std::string(125, 'x'))});
  EXPECT_EQ(read(Role::server, masked(0x8a, "")),
            (std::vector{Seen{Kind::pong, "", CloseCode::none}}));
  EXPECT_EQ(read(Role::server, masked(kClose, "")), std::vector{closed(CloseCode::none)});
  EXPECT_EQ(read(Role::server, masked(kClose, "\x03\xf4")),
            std::vector{closed(CloseCode::service_restart)});
  EXPECT_EQ(read(Role::server, masked(kClose, "\x0f\xa0 own")),
            std::vector{closed(static_cast<CloseCode>(4000))});
  EXPECT_EQ(read(Role::server, masked(kTextBegin, "\xc3") + masked(kLast, "\xa9")),
            std::vector{message("\xc3\xa9")});
  EXPECT_EQ(read(Role::server, masked(kTextBegin, "") + masked(kMore, "") + masked(kLast, "")),
            std::vector{message("")});
}

TEST(FrameReader, SeesNothingBehindAClose) {
  EXPECT_EQ(read(Role::server, masked(kClose, "\x03\xe8") + masked(kText, "late")),
            std::vector{closed(CloseCode::normal)});
}

// A message of fragments costs work in proportion to its size: this takes minutes if it is squared.
TEST(FrameReader, ReadsManySmallFragmentsInLinearTime) {
  constexpr std::size_t kFragments = 1'000'000;
  std::string bytes = masked(kTextBegin, "x");
  for (std::size_t i = 0; i < kFragments; ++i) bytes += masked(kMore, "x");
  bytes += masked(kLast, "x");
  const std::vector<Seen> seen = read(Role::server, bytes, 65536, kFragments + 2);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen.front().payload.size(), kFragments + 2);
}

TEST(FrameReader, ReadsBackWhatWritersWrote) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto up_to = [&](std::size_t most) { return random() % (most + 1); };
  for (int round = 0; round < 200; ++round) {
    const Role reader_role = round % 2 == 0 ? Role::server : Role::client;
    ClientFrameWriter client;
    std::string bytes;
    std::vector<Seen> sent;
    for (std::size_t i = 0; i < 20; ++i) {
      const bool control = up_to(4) == 0;
      const std::size_t most = control ? 125 : up_to(3) == 0 ? 70'000 : 300;
      std::string payload(up_to(most), 'x');
      for (char& c : payload) c = static_cast<char>('a' + up_to(25));
      const Opcode opcode = control ? Opcode::ping : Opcode::text;
      if (reader_role == Role::server) {
        client.append(bytes, opcode, payload);
      } else {
        append_server_frame(bytes, opcode, payload);
      }
      sent.push_back(control ? ping(payload) : message(payload));
    }
    EXPECT_EQ(read(reader_role, bytes, 1 + up_to(10'000)), sent);
  }
}

}  // namespace
}  // namespace mpr::websocket
