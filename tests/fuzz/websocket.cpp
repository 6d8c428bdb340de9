// Feeds arbitrary bytes to the frame reader, whole and in pieces. The first byte chooses the role,
// the second the pieces. Whatever comes: the events are the same however the input is cut, messages
// respect the limit and are UTF-8, nothing follows an end, and the buffer is given back.
#include <simdjson.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "net/websocket/frame_reader.hpp"

namespace {

using namespace mpr::websocket;

constexpr std::size_t kLimit = 4096;

struct Seen {
  Event::Kind kind;
  std::string payload;
  CloseCode code;

  bool operator==(const Seen&) const = default;
};

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const Event& event) {
  switch (event.kind) {
    case Event::Kind::message:
      require(event.payload.size() <= kLimit);
      require(simdjson::validate_utf8(event.payload.data(), event.payload.size()));
      break;
    case Event::Kind::ping:
    case Event::Kind::pong:
      require(event.payload.size() <= kMaxControlPayload);
      break;
    case Event::Kind::close:
      require(event.code == CloseCode::none ||
              is_valid_close_code(static_cast<std::uint16_t>(event.code)));
      break;
    case Event::Kind::failed:
      require(!event.reason.empty());
      break;
    case Event::Kind::need_more:
      break;
  }
}

std::vector<Seen> read(Role role, std::string_view bytes, std::size_t piece) {
  FrameReader reader(role, kLimit);
  std::vector<Seen> seen;
  while (!bytes.empty()) {
    std::vector<char> input(
        bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(std::min(piece, bytes.size())));
    bytes.remove_prefix(input.size());
    reader.feed(input);
    for (Event event = reader.next(); event.kind != Event::Kind::need_more; event = reader.next()) {
      require(seen.empty() ||
              (seen.back().kind != Event::Kind::close && seen.back().kind != Event::Kind::failed));
      check(event);
      seen.push_back({event.kind, std::string(event.payload), event.code});
    }
    require(reader.buffered_bytes() <= 4 * kLimit);
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Role role = data[0] % 2 == 0 ? Role::server : Role::client;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::vector<Seen> whole = read(role, bytes, SIZE_MAX);
  require(read(role, bytes, 1) == whole);
  require(read(role, bytes, 1 + data[1]) == whole);
  return 0;
}
