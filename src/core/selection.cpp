#include "core/selection.hpp"

#include <algorithm>
#include <limits>

namespace mpr {

namespace {
constexpr std::uint64_t kNoBound = std::numeric_limits<std::uint64_t>::max();
std::uint64_t bound(std::uint64_t value) { return value == 0 ? kNoBound : value; }
}  // namespace

Selection::Selection(const TakeQuery& query)
    : messages_left_(bound(query.limit)),
      bytes_left_(std::min(bound(query.limit_bytes), bound(query.response_bytes))) {}

bool Selection::admit(std::uint64_t size) {
  if (full_) return false;
  if (!first_ && size > bytes_left_) {
    full_ = true;
    return false;
  }
  first_ = false;
  bytes_left_ -= std::min(size, bytes_left_);
  if (--messages_left_ == 0) full_ = true;
  return true;
}

}  // namespace mpr
