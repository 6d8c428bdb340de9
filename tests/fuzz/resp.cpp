// Feeds arbitrary bytes to the RESP reader, whole and in pieces, and what it reads to the slot map
// and the redirections. The first byte chooses the pieces. Whatever comes: the values are the same
// however the input is cut, and respect the limits.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "store/redis/redirect.hpp"
#include "store/redis/resp_reader.hpp"
#include "store/redis/slot_map.hpp"

namespace {

using namespace mpr::redis;

constexpr RespReader::Limits kLimits{
    .depth = 8, .items = 4096, .bytes = 1 << 16, .line_bytes = 1024};

void require(bool condition) {
  if (!condition) std::abort();
}

struct Size {
  std::size_t items = 0;
  std::size_t bytes = 0;
};

void measure(const Value& value, std::size_t depth, Size& size) {
  require(depth <= kLimits.depth);
  require(value.is_array() || value.items.empty());
  ++size.items;
  size.bytes += value.text.size();
  for (const Value& item : value.items) measure(item, depth + 1, size);
}

void check(const Value& value) {
  Size size;
  measure(value, 1, size);
  require(size.items <= kLimits.items && size.bytes <= kLimits.bytes);
  if (value.is_error()) {
    const Redirect redirect = redirect_of(value.text);
    require(redirect.slot < kSlots);
  }
  const auto map = parse_slot_map(value, {"asked", 1}, {{"a:1", "b:2"}});
  if (!map) return;
  for (const std::uint16_t owner : map->owner) {
    require(owner == SlotMap::kNobody || owner < map->primaries.size());
  }
}

struct Seen {
  std::vector<Value> values;
  std::string problem;

  bool operator==(const Seen&) const = default;
};

Seen read(std::string_view bytes, std::size_t piece) {
  RespReader reader(kLimits);
  Seen seen;
  while (!bytes.empty()) {
    const std::string part(bytes.substr(0, piece));
    bytes.remove_prefix(part.size());
    reader.feed(part);
    Value value;
    RespReader::Next next = reader.next(value);
    for (; next == RespReader::Next::value; next = reader.next(value)) {
      seen.values.push_back(std::move(value));
    }
    if (next != RespReader::Next::failed) continue;
    seen.problem = reader.problem();
    require(!seen.problem.empty());
    break;
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Seen whole = read(bytes, SIZE_MAX);
  for (const Value& value : whole.values) check(value);
  require(read(bytes, 1) == whole);
  require(read(bytes, 1 + data[0]) == whole);
  return 0;
}
