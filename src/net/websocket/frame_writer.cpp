#include "net/websocket/frame_writer.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace mpr::websocket {

namespace {

constexpr char kFinal = static_cast<char>(0x80);

std::size_t length_bytes(std::size_t payload_bytes) noexcept {
  return payload_bytes < 126 ? 0 : payload_bytes <= 0xffff ? 2 : 8;
}

// Writes opcode and length; `mask_bit` goes into the second byte.
std::size_t write_head(char* out, Opcode opcode, std::size_t payload_bytes,
                       std::uint8_t mask_bit) noexcept {
  const std::size_t extended = length_bytes(payload_bytes);
  out[0] = static_cast<char>(kFinal | static_cast<char>(opcode));
  const std::size_t short_length = extended == 0 ? payload_bytes : extended == 2 ? 126 : 127;
  out[1] = static_cast<char>(mask_bit | short_length);
  for (std::size_t i = 0; i < extended; ++i) {
    out[2 + i] = static_cast<char>(payload_bytes >> (8 * (extended - 1 - i)));
  }
  return 2 + extended;
}

}  // namespace

void apply_mask(char* bytes, std::size_t size, std::uint32_t key) noexcept {
  if (key == 0) return;
  const std::uint64_t wide = (std::uint64_t{key} << 32) | key;
  std::size_t i = 0;
  for (; i + sizeof wide <= size; i += sizeof wide) {
    std::uint64_t word;
    std::memcpy(&word, bytes + i, sizeof word);
    word ^= wide;
    std::memcpy(bytes + i, &word, sizeof word);
  }
  char key_bytes[4];
  std::memcpy(key_bytes, &key, sizeof key_bytes);
  for (std::size_t j = 0; i < size; ++i, ++j) {
    bytes[i] = static_cast<char>(bytes[i] ^ key_bytes[j % 4]);
  }
}

std::size_t write_server_head(char* out, Opcode opcode, std::size_t payload_bytes) noexcept {
  return write_head(out, opcode, payload_bytes, 0);
}

void append_server_frame(std::string& out, Opcode opcode, std::string_view payload) {
  char head[kMaxServerHead];
  out.append(head, write_server_head(head, opcode, payload.size()));
  out.append(payload);
}

std::string close_payload(CloseCode code, std::string_view reason) {
  std::string payload;
  if (code == CloseCode::none) return payload;
  const auto number = static_cast<std::uint16_t>(code);
  payload += static_cast<char>(number >> 8);
  payload += static_cast<char>(number & 0xff);
  std::size_t size = std::min(reason.size(), kMaxControlPayload - 2);
  if (size < reason.size()) {  // not in the middle of a character
    while (size > 0 && (static_cast<std::uint8_t>(reason[size]) & 0xc0) == 0x80) --size;
  }
  payload += reason.substr(0, size);
  return payload;
}

OpenFrame::OpenFrame(std::string& out, std::size_t expected_payload_bytes)
    : out_(out), begin_(out.size()), head_bytes_(2 + length_bytes(expected_payload_bytes)) {
  out_.append(head_bytes_, '\0');
}

void OpenFrame::finish() {
  const std::size_t payload_bytes = out_.size() - begin_ - head_bytes_;
  char head[kMaxServerHead];
  const std::size_t needed = write_server_head(head, Opcode::text, payload_bytes);
  if (needed != head_bytes_) {  // the guess was on the other side of a boundary
    if (needed > head_bytes_) {
      out_.insert(begin_, needed - head_bytes_, '\0');
    } else {
      out_.erase(begin_, head_bytes_ - needed);
    }
  }
  std::memcpy(out_.data() + begin_, head, needed);
}

std::uint32_t ClientFrameWriter::next_key() {
  if (keys_left_ == 0) {
    // A kilobyte at a time; a signal may cut such a read short, which only means fewer keys.
    const auto got = ::getrandom(keys_.data(), keys_.size() * sizeof keys_[0], 0);
    if (got < static_cast<ssize_t>(sizeof keys_[0])) {
      throw std::system_error(errno, std::generic_category(), "getrandom");
    }
    keys_left_ = static_cast<std::size_t>(got) / sizeof keys_[0];
  }
  return keys_[--keys_left_];
}

void ClientFrameWriter::append(std::string& out, Opcode opcode, std::string_view payload) {
  char head[kMaxServerHead + 4];
  std::size_t size = write_head(head, opcode, payload.size(), 0x80);
  const std::uint32_t key = next_key();
  std::memcpy(head + size, &key, sizeof key);
  size += sizeof key;
  out.append(head, size);
  const std::size_t begin = out.size();
  out.append(payload);
  apply_mask(out.data() + begin, payload.size(), key);
}

}  // namespace mpr::websocket
