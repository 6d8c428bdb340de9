#include "store/embedded/remembered_ids.hpp"

namespace mpr {

void RememberedIds::remember(const RememberedId& id, std::uint64_t segment_sequence) {
  const auto [place, fresh] = ids_.insert_or_assign(id.key, Known{id, segment_sequence});
  if (fresh) order_.push_back(place->first);
  forget_old(id.removed_at);
}

const RememberedId* RememberedIds::find(const Hash128& key, TimePoint now) {
  forget_old(now);
  const auto found = ids_.find(key);
  return found == ids_.end() ? nullptr : &found->second.id;
}

const RememberedId* RememberedIds::find_in(const Hash128& key, std::uint64_t position,
                                           std::uint64_t segment_sequence, TimePoint now) {
  forget_old(now);
  const auto found = ids_.find(key);
  if (found == ids_.end() || found->second.segment_sequence != segment_sequence ||
      found->second.id.position != position) {
    return nullptr;
  }
  return &found->second.id;
}

void RememberedIds::move(const Hash128& key, std::uint64_t segment_sequence) {
  if (const auto found = ids_.find(key); found != ids_.end()) {
    found->second.segment_sequence = segment_sequence;
  }
}

void RememberedIds::forget_old(TimePoint now) {
  while (!order_.empty()) {
    const auto oldest = ids_.find(order_.front());
    if (ids_.size() <= most_ && oldest->second.id.removed_at + window_ > now) break;
    ids_.erase(oldest);
    order_.pop_front();
  }
}

}  // namespace mpr
