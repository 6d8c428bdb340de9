// One answer of a Redis server, in RESP2 or RESP3. A plain value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mpr::redis {

struct Value {
  enum class Kind : std::uint8_t {
    null,
    integer,  // also RESP3 booleans, as 0 and 1
    text,     // simple and bulk strings, and RESP3 doubles, big numbers and verbatim strings
    error,    // `text` begins with the error's code, for example "WRONGTYPE ..."
    array,    // also RESP3 sets and pushes, and maps as key, value, key, value
  };

  Kind kind = Kind::null;
  std::int64_t integer = 0;
  std::string text;
  std::vector<Value> items;

  bool is_null() const noexcept { return kind == Kind::null; }
  bool is_integer() const noexcept { return kind == Kind::integer; }
  bool is_text() const noexcept { return kind == Kind::text; }
  bool is_error() const noexcept { return kind == Kind::error; }
  bool is_array() const noexcept { return kind == Kind::array; }

  bool operator==(const Value&) const = default;
};

}  // namespace mpr::redis
