// Which pending messages a take returns. Every store offers its candidates in queue order to one
// Selection, so that limits mean the same everywhere and over both tiers.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/ids.hpp"
#include "core/message.hpp"

namespace mpr {

enum class TakeMode { keep, remove };

// A question to a store about one connection. Both filters hold: connection AND recipient_did.
struct QueueQuery {
  Connection connection;
  std::optional<RecipientDid> recipient_did;  // only messages with this DID among their recipients
  std::vector<MessageRef> exclude;            // in flight to a live session; sorted by position
};

struct TakeQuery {
  QueueQuery queue;
  std::uint64_t limit = 0;  // messages; 0: no limit
  std::uint64_t limit_bytes =
      0;  // payload bytes, except that the first message always fits; 0: none
  std::uint64_t response_bytes = 0;  // the gateway's own bound on a response, same rule; 0: none
  Position after;                    // only messages behind this position; 0: from the head
  TakeMode mode = TakeMode::keep;    // remove: what is returned is removed, atomically
};

// Applies limit and limit_bytes to candidates in order. Not thread-safe, one per take.
class Selection {
 public:
  explicit Selection(const TakeQuery& query);

  // Offers the next candidate of `size` payload bytes. True: it belongs to the selection. False: it
  // and all that follow stay; full() is true from then on.
  bool admit(std::uint64_t size);
  bool full() const noexcept { return full_; }

 private:
  std::uint64_t messages_left_;
  std::uint64_t bytes_left_;
  bool first_ = true;
  bool full_ = false;
};

// Walks a sorted exclude list beside candidates that come in position order.
class Exclusion {
 public:
  explicit Exclusion(const std::vector<MessageRef>& sorted)
      : next_(sorted.begin()), end_(sorted.end()) {}
  bool contains(Position position) {
    while (next_ != end_ && next_->position < position) ++next_;
    return next_ != end_ && next_->position == position;
  }

 private:
  std::vector<MessageRef>::const_iterator next_;
  std::vector<MessageRef>::const_iterator end_;
};

}  // namespace mpr
