// Turns the bytes of one peer into messages, pings, pongs and closes: the receiving half of RFC
// 6455 as a state machine without I/O.
//
// A message that lies complete in the input is unmasked in place and handed out without a copy;
// only what spans inputs is gathered in a buffer of the reader's own, which is given back when the
// message was handed out. Work is linear in the bytes received. Not thread-safe; one per socket.
//
//   reader.feed(bytes);
//   for (;;) {
//     const Event event = reader.next();
//     if (event.kind == Event::Kind::need_more) break;
//     ...
//   }
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "net/websocket/frame.hpp"

namespace mpr::websocket {

// Bytes that have to be readable behind every input, whatever they hold; the same number is
// readable behind every message handed out (parsers read ahead).
inline constexpr std::size_t kSlack = 64;

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
  CloseCode code = CloseCode::none;  // close: the peer's, failed: the one to close with
  std::string_view reason;           // close: the peer's, failed: ours, a literal
};

class FrameReader {
 public:
  FrameReader(Role role, std::size_t max_message_bytes);

  // Gives the next input. The bytes are changed (unmasked) and have to stay until next() said
  // need_more. Call only when it did, or first.
  void feed(std::span<char> input);

  // The next event. After `close` and `failed` it is need_more for ever, and input is ignored.
  Event next();

  // Bytes held for messages that are not complete yet.
  std::size_t buffered_bytes() const noexcept { return message_.capacity(); }

 private:
  enum class State { head, payload, finished };
  struct Head {
    bool fin = false;
    Opcode opcode = Opcode::text;
    bool masked = false;
    std::uint64_t size = 0;
    std::uint32_t mask = 0;  // in memory order
  };

  bool read_head();
  bool accept_head(Head head, std::uint8_t first_byte, std::size_t length_bytes);
  Event whole_in_input();
  Event gather();
  Event complete_data(std::string_view payload, bool gathered);
  Event complete_control(std::string_view payload);
  Event fail(CloseCode code, std::string_view reason);
  void reserve_message(std::size_t wanted);
  void release_message();

  const Role role_;
  const std::size_t max_message_bytes_;

  State state_ = State::head;
  bool release_due_ = false;           // message_ was handed out and is free again
  bool fragmented_ = false;            // a data message is in progress over several frames
  std::array<char, 14> head_bytes_{};  // a head that spans inputs
  std::uint8_t head_have_ = 0;
  std::uint8_t control_have_ = 0;
  Head head_;
  std::uint64_t payload_left_ = 0;  // of the present frame
  std::array<char, kMaxControlPayload> control_{};
  std::string message_;
  std::span<char> input_;
  Event failure_;
};

}  // namespace mpr::websocket
