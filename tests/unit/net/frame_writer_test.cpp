#include "net/websocket/frame_writer.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mpr::websocket {
namespace {

std::string open_frame(std::size_t payload_bytes, std::size_t expected_bytes) {
  std::string out = "before";
  OpenFrame frame(out, expected_bytes);
  out += std::string(payload_bytes, 'x');
  frame.finish();
  return out;
}

TEST(FrameWriter, WritesTheShortestLength) {
  const auto head = [](std::size_t payload_bytes) {
    std::string out;
    append_server_frame(out, Opcode::text, std::string(payload_bytes, 'x'));
    return out.substr(0, out.size() - payload_bytes);
  };
  EXPECT_EQ(head(0), std::string("\x81\x00", 2));
  EXPECT_EQ(head(125), "\x81\x7d");
  EXPECT_EQ(head(126), std::string("\x81\x7e\x00\x7e", 4));
  EXPECT_EQ(head(65535), "\x81\x7e\xff\xff");
  EXPECT_EQ(head(65536), std::string("\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10));
}

TEST(FrameWriter, CorrectsAWrongGuessOfTheSize) {
  for (const std::size_t size : {0u, 1u, 125u, 126u, 65535u, 65536u, 100'000u}) {
    std::string expected = "before";
    append_server_frame(expected, Opcode::text, std::string(size, 'x'));
    for (const std::size_t guess : {0u, 125u, 126u, 65535u, 65536u}) {
      EXPECT_EQ(open_frame(size, guess), expected) << size << " bytes, guessed " << guess;
    }
  }
}

TEST(FrameWriter, MasksWithAFreshKeyEachTime) {
  ClientFrameWriter writer;
  std::string first;
  std::string second;
  writer.append(first, Opcode::text, "the same text");
  writer.append(second, Opcode::text, "the same text");
  EXPECT_NE(first, second);
}

TEST(FrameWriter, MasksFromTheFirstByteOnWhateverTheSize) {
  for (std::size_t size = 0; size < 40; ++size) {
    std::string masked(size, '\0');
    apply_mask(masked.data(), masked.size(), 0x04030201);
    for (std::size_t i = 0; i < size; ++i) EXPECT_EQ(masked[i], static_cast<char>(1 + i % 4));
  }
}

TEST(FrameWriter, CutsACloseReasonBetweenCharacters) {
  EXPECT_EQ(close_payload(CloseCode::none, "ignored"), "");
  EXPECT_EQ(close_payload(CloseCode::service_restart, "bye"),
            "\x03\xf4"
            "bye");
  std::string reason(122, 'x');
  reason += "\xc3\xa9";  // its second byte would be the 126th
  EXPECT_EQ(close_payload(CloseCode::normal, reason), "\x03\xe8" + std::string(122, 'x'));
}

}  // namespace
}  // namespace mpr::websocket
