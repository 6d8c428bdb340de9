#include "client/reconnect_policy.hpp"

#include <algorithm>

namespace mpr::client {

ReconnectPolicy::Attempt ReconnectPolicy::after_failure(double chance) {
  ++failures_;
  index_ = (index_ + 1) % addresses_;
  return {index_, delay(chance)};
}

ReconnectPolicy::Attempt ReconnectPolicy::after_loss(Milliseconds lasted, double chance) {
  if (lasted < times_.stable) return after_failure(chance);
  failures_ = 0;
  index_ = (index_ + 1) % addresses_;
  return {index_, Milliseconds(0)};
}

ReconnectPolicy::Milliseconds ReconnectPolicy::delay(double chance) const {
  const std::size_t round = failures_ / addresses_;
  if (round == 0) return Milliseconds(0);
  Milliseconds full = std::min(times_.base, times_.cap);
  for (std::size_t i = 1; i < round && full < times_.cap; ++i)
    full = std::min(full * 2, times_.cap);
  // Half of the wait is left to chance, so that many clients do not come back in one moment.
  const double share = 0.5 + chance / 2;
  return Milliseconds(static_cast<std::int64_t>(static_cast<double>(full.count()) * share));
}

}  // namespace mpr::client
