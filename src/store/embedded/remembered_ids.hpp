// The ids that callers chose, of messages that are gone: the idempotency window. Bounded in time
// and in number; the oldest removal is forgotten first. The writer thread's own.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <deque>

#include "store/embedded/record.hpp"

namespace mpr {

class RememberedIds {
 public:
  RememberedIds(std::chrono::milliseconds window, std::size_t most)
      : window_(window), most_(most) {}

  // Oldest removals first.
  void remember(const RememberedId& id, std::uint64_t segment_sequence);
  // Nullptr when the id is unknown, or was removed longer than the window ago.
  const RememberedId* find(const Hash128& key, TimePoint now);
  // The id of the message at `position`, if the segment holds the only record of its removal.
  const RememberedId* find_in(const Hash128& key, std::uint64_t position,
                              std::uint64_t segment_sequence, TimePoint now);
  // Its removal is on record in another segment now.
  void move(const Hash128& key, std::uint64_t segment_sequence);

  std::size_t size() const noexcept { return ids_.size(); }

 private:
  struct Known {
    RememberedId id;
    std::uint64_t segment_sequence = 0;
  };

  void forget_old(TimePoint now);

  const std::chrono::milliseconds window_;
  const std::size_t most_;
  boost::unordered_flat_map<Hash128, Known, Hash128Hash> ids_;
  std::deque<Hash128> order_;  // by removal
};

}  // namespace mpr
