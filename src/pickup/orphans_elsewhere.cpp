#include "pickup/orphans_elsewhere.hpp"

#include <algorithm>

namespace mpr {

bool OrphansElsewhere::had(const Connection& connection, Epoch orphan, Position position) const {
  std::lock_guard lock(mutex_);
  const auto found = orphans_.find(connection);
  return found != orphans_.end() && found->second.epoch == orphan && position <= found->second.last;
}

void OrphansElsewhere::note(const Connection& connection, Epoch orphan, Position position,
                            SteadyPoint now) {
  std::lock_guard lock(mutex_);
  forget_old(now);
  Orphan& known = orphans_[connection];
  if (known.epoch != orphan) known = {orphan, {}, {}};
  known.last = std::max(known.last, position);
  known.until = now + grace_;
  noted_.emplace_back(known.until, connection);
}

void OrphansElsewhere::listener_came(const TenantId& tenant) {
  std::lock_guard lock(mutex_);
  for (auto& [connection, orphan] : orphans_) {
    if (connection.tenant == tenant) orphan.last = {};
  }
}

std::optional<Epoch> OrphansElsewhere::take(const Connection& connection, SteadyPoint now) {
  std::lock_guard lock(mutex_);
  if (orphans_.empty()) return std::nullopt;
  forget_old(now);
  const auto found = orphans_.find(connection);
  if (found == orphans_.end()) return std::nullopt;
  const Epoch epoch = found->second.epoch;
  orphans_.erase(found);
  return epoch;
}

void OrphansElsewhere::forget_old(SteadyPoint now) {
  while (!noted_.empty() && (noted_.front().first <= now || noted_.size() > kMost)) {
    const auto found = orphans_.find(noted_.front().second);
    if (found != orphans_.end() && found->second.until <= noted_.front().first) {
      orphans_.erase(found);
    }
    noted_.pop_front();
  }
}

}  // namespace mpr
