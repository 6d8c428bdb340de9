// The vocabulary of RFC 6455: opcodes, close codes, roles.
#pragma once

#include <cstdint>
#include <string_view>

namespace mpr::websocket {

// A client masks what it sends, a server does not; each refuses the opposite.
enum class Role { server, client };

enum class Opcode : std::uint8_t {
  continuation = 0x0,
  text = 0x1,
  binary = 0x2,
  close = 0x8,
  ping = 0x9,
  pong = 0xa,
};

// The codes this project uses by name; a peer may send others, see is_valid_close_code().
enum class CloseCode : std::uint16_t {
  normal = 1000,
  going_away = 1001,
  protocol_error = 1002,
  none = 1005,  // stands for a close frame without a code; never on the wire
  invalid_data = 1007,
  policy_violation = 1008,
  too_big = 1009,
  internal_error = 1011,
  service_restart = 1012,
  try_again_later = 1013,
};

// Whether a peer may put this code into a close frame.
constexpr bool is_valid_close_code(std::uint16_t code) noexcept {
  return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
         (code >= 3000 && code <= 4999);
}

inline constexpr std::size_t kMaxControlPayload = 125;

}  // namespace mpr::websocket
