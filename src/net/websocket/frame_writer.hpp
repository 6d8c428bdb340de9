// Appends WebSocket frames to a buffer: the sending half of RFC 6455, without I/O. Frames are never
// fragmented. A server's frames are plain; a client's are masked with keys from the system's random
// source.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/websocket/frame.hpp"

namespace mpr::websocket {

// The longest head of a server's frame.
inline constexpr std::size_t kMaxServerHead = 10;

// Writes the head of a server's final frame to `out` (kMaxServerHead bytes) and yields its length.
std::size_t write_server_head(char* out, Opcode opcode, std::size_t payload_bytes) noexcept;

// A whole frame of a server.
void append_server_frame(std::string& out, Opcode opcode, std::string_view payload);

// The payload of a close frame. CloseCode::none makes it empty; the reason is cut to fit.
std::string close_payload(CloseCode code, std::string_view reason);

// A text frame of a server whose payload is written straight into the buffer: construct, append to
// the buffer, finish(). Give a good guess of the size; a wrong one costs one move of the payload.
class OpenFrame {
 public:
  OpenFrame(std::string& out, std::size_t expected_payload_bytes);
  void finish();

 private:
  std::string& out_;
  const std::size_t begin_;
  const std::size_t head_bytes_;
};

// Masks frames of one client. Not thread-safe.
class ClientFrameWriter {
 public:
  void append(std::string& out, Opcode opcode, std::string_view payload);

 private:
  std::uint32_t next_key();

  std::array<std::uint32_t, 256> keys_{};
  std::size_t keys_left_ = 0;
};

// XORs `bytes` with the key, whose first byte in memory applies to bytes[0].
void apply_mask(char* bytes, std::size_t size, std::uint32_t key) noexcept;

}  // namespace mpr::websocket
