// Reads the answers of a Redis server, RESP2 and RESP3, from pieces of any size, without I/O. Each
// value is built in place as its bytes arrive. Depth, size and number of items are bounded: what
// exceeds them, or is no RESP, ends the reading. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/redis/value.hpp"

namespace mpr::redis {

class RespReader {
 public:
  // Of one value with everything in it. Redis itself sends strings of up to 512 MiB.
  struct Limits {
    std::size_t depth = 16;
    std::size_t items = std::size_t{1} << 21U;
    std::size_t bytes = std::size_t{512} << 20U;
    std::size_t line_bytes = 64 * 1024;  // of simple strings and errors
  };

  enum class Next { need_more, value, failed };

  RespReader() = default;
  explicit RespReader(Limits limits) : limits_(limits) {}

  // Hands over the next bytes; they have to stay until next() says need_more.
  void feed(std::string_view bytes) noexcept { input_ = bytes; }

  // `value`: the next complete one is in `out`. `failed`: problem() says why, and it stays so.
  Next next(Value& out);

  const std::string& problem() const noexcept { return problem_; }

  // Whether a value has begun and is not complete.
  bool inside() const noexcept { return !stack_.empty() || !line_.empty(); }

  // Forgets everything: a new connection.
  void reset();

 private:
  enum class Step { need_more, done, failed };
  struct Open {
    Value* value = nullptr;
    std::uint64_t left = 0;  // items that are still to come
    bool attribute = false;  // RESP3 attributes stand in front of a value and are dropped
  };

  Step read_bulk();
  Step read_line();
  Step begin_value(char type, std::string_view rest);
  Step begin_bulk(std::string_view rest);
  Step begin_items(char type, std::string_view rest);
  Step begin_scalar(char type, std::string_view rest);
  // The value on top of the stack is complete: closes it and what it completes. True: the root is.
  bool close_value();
  Step open_next();
  Step fail(std::string problem);

  const Limits limits_{};
  std::string_view input_;
  std::string line_;  // the begin of a line that was cut
  Value root_;
  std::vector<Open> stack_;
  std::uint64_t bulk_left_ = 0;  // bytes of the bulk string on top, with its line end
  bool in_bulk_ = false;
  bool verbatim_ = false;  // RESP3: "txt:" stands in front
  bool failed_ = false;
  std::size_t items_ = 0;
  std::size_t bytes_ = 0;
  std::string problem_;
};

}  // namespace mpr::redis
