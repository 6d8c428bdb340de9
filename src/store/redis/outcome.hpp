// What becomes of a request: its values, or why there are none. Plain values.
#pragma once

#include <expected>

#include "base/error.hpp"

namespace mpr::redis {

// A request that did not get its answer.
struct Failure {
  Error error;  // unavailable or deadline_exceeded
  // It may have been executed: the connection broke, or time ran out, after it was written.
  bool maybe_executed = false;
};

template <class T>
using Outcome = std::expected<T, Failure>;

}  // namespace mpr::redis
