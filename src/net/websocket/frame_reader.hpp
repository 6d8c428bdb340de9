// Turns the bytes of one peer into messages, pings, pongs and closes: the receiving half of RFC
// 6455 as a state machine without I/O.
//
// A message that lies complete in the input is unmasked in place and handed out without a copy;
// only what spans inputs is gathered in a buffer of the reader's own, which is given back when the
// message was handed out. Work is linear in the bytes received. Not thread-safe; one per socket.
//
//   reader.feed(bytes);
//   for (Event event = reader.next(); event.kind != Event::Kind::need_more; event = reader.next())
//     ...
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "net/websocket/frame.hpp"

namespace mpr::websocket {

struct Event {
  enum class Kind {
    need_more,  // the input is used up
    message,    // a complete text or binary message, valid UTF-8
    ping,       // to be answered with a pong of the same payload
    pong,
    close,   // the peer's close frame; nothing follows
    failed,  // the peer broke the protocol; nothing follows
  };
  Kind kind = Kind::need_more;
  std::string_view payload;          // message, ping, pong; valid until the next call
  CloseCode code = CloseCode::none;  // close: the peer's; failed: the one to close with
  std::string_view reason;           // close: the peer's; failed: ours, a literal
};

class FrameReader {
 public:
  FrameReader(Role role, std::size_t max_message_bytes);

  // Gives the next input. The bytes are changed (unmasked) and have to stay until next() said
  // need_more; only then, or first, may this be called.
  void feed(std::span<char> input) { input_ = input; }

  // The next event. After `close` and `failed` it is need_more for ever, whatever is fed.
  Event next();

  // Bytes held for a message that is not complete yet.
  std::size_t buffered_bytes() const noexcept { return message_.capacity(); }

 private:
  enum class State { head, payload, finished };

  bool read_head();
  bool check_start(std::uint8_t first, std::uint8_t second);
  bool accept_head(const char* head);
  Event read_payload();
  Event gather();
  Event complete(std::span<char> payload);
  Event complete_message(std::string_view message) const;
  Event complete_control(std::string_view payload);
  Event complete_close(std::string_view payload);
  void fail(CloseCode code, std::string_view reason);
  void make_room(std::size_t incoming);
  bool is_control() const noexcept { return static_cast<std::uint8_t>(opcode_) >= 0x8; }

  const Role role_;
  const std::size_t max_message_bytes_;

  std::span<char> input_;
  State state_ = State::head;
  bool release_due_ = false;  // message_ was handed out and may go
  bool fragmented_ = false;   // a message over several frames is in progress

  // the present frame
  bool fin_ = false;
  Opcode opcode_ = Opcode::text;
  std::uint8_t head_have_ = 0;
  std::uint8_t control_have_ = 0;
  std::uint32_t mask_ = 0;  // in memory order; rotated as the payload comes
  std::uint64_t payload_left_ = 0;
  std::array<char, 14> head_{};                     // a head that spans inputs
  std::array<char, kMaxControlPayload> control_{};  // a control payload that spans inputs
  std::string message_;                             // a message that spans inputs or frames
  Event failure_;
};

}  // namespace mpr::websocket
