// Reads what a JSON-RPC server sends to a client: answers and events. The usual shapes are cut
// apart without parsing what is inside them; anything else goes through a JSON parser. One per
// thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/error.hpp"

namespace mpr::client {

struct Incoming {
  enum class Kind { result, error, event };
  Kind kind = Kind::result;
  std::uint64_t id = 0;     // of the call; 0 for an event
  std::string_view method;  // of an event
  std::string_view text;    // raw JSON: the result, the error object, or an event's params
};

class IncomingReader {
 public:
  IncomingReader();
  ~IncomingReader();

  // The views in the outcome live until the next read() or the end of `frame`, whichever is first.
  // Fails when the frame is neither an answer to a call with a whole number as its id nor an event.
  // `frame` must be JSON; the inside of results and params is not checked.
  Result<Incoming> read(std::string_view frame);

 private:
  struct Parser;
  Result<Incoming> read_any_shape(std::string_view frame);

  std::unique_ptr<Parser> parser_;
};

}  // namespace mpr::client
