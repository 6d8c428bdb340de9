#include "store/redis/membership.hpp"

#include <algorithm>

namespace mpr::redis {

namespace {

// Epochs come from an estimate of the server's clock, which is off by a round trip at most.
constexpr std::uint64_t kEpochSlackMicroseconds = 1'000'000;

}  // namespace

Membership::Changes Membership::on_beat(const Attendance& attendance, SteadyPoint sent,
                                        SteadyPoint answered) {
  Changes changes;
  // Others declare nobody dead after an outage of half a TTL or more, and neither does this one.
  const bool outage = last_beat_ && answered - *last_beat_ >= times_.dead_after / 2;
  if (last_beat_ && (outage || !attendance.self_was_present)) changes.was_away = true;
  if (!last_beat_ || changes.was_away) steady_since_ = answered;

  for (auto& [gateway, peer] : peers_) peer.present = false;
  for (const auto& entry : attendance.present) {
    if (entry.gateway != self_) note_present(entry, sent, answered, changes);
  }
  for (const auto& entry : attendance.departed) {
    if (entry.gateway != self_) note_departed(entry, answered, changes);
  }
  last_beat_ = answered;
  known_until_ = attendance.server_microseconds;
  bury(answered, changes);
  return changes;
}

void Membership::note_present(const Attendance::Present& entry, SteadyPoint sent,
                              SteadyPoint answered, Changes& changes) {
  const auto [place, fresh] = peers_.try_emplace(entry.gateway);
  Peer& peer = place->second;
  peer.present = true;
  // It beat before it said that it leaves; the answer had been on its way.
  if (!fresh && peer.departed && sent <= *peer.departed && peer.beat != entry.beat) {
    peer.beat = entry.beat;
    return;
  }
  if (!fresh && peer.beat == entry.beat) return;
  peer.beat = entry.beat;
  // Nothing was left out for those who were there before this gateway's first answer.
  if (last_beat_ && (fresh || peer.departed)) changes.appeared.push_back(entry.gateway);
  peer.departed.reset();
  // The age is believed as far as it can be true: the entry changed after our last answer. What was
  // there before us has until the end of the first TTL to show that it lives.
  const SteadyPoint least = fresh ? answered : last_beat_.value_or(answered);
  peer.alive_at =
      std::clamp<SteadyPoint>(answered - entry.age, std::min(least, answered), answered);
}

void Membership::note_departed(const Attendance::Departed& entry, SteadyPoint answered,
                               Changes& changes) {
  const auto [place, fresh] = peers_.try_emplace(entry.gateway);
  Peer& peer = place->second;
  if (peer.present || peer.departed) return;
  peer.departed = answered - std::clamp<SteadyPoint::duration>(
                                 entry.age, SteadyPoint::duration::zero(), times_.orphan_grace);
  if (!fresh) changes.died.push_back(entry.gateway);
}

// Declares dead who has not beaten for the TTL, and forgets the departed once their grace is over
// and nothing is stored of them.
void Membership::bury(SteadyPoint now, Changes& changes) {
  const bool may_judge = now - steady_since_ >= times_.dead_after;
  for (auto it = peers_.begin(); it != peers_.end();) {
    Peer& peer = it->second;
    if (!peer.departed && may_judge && now - peer.alive_at >= times_.dead_after) {
      peer.departed = now;
      changes.died.push_back(it->first);
    }
    const bool over = peer.departed && now - *peer.departed >= times_.orphan_grace;
    it = over && !peer.present ? peers_.erase(it) : std::next(it);
  }
}

bool Membership::on_left(const GatewayId& gateway, SteadyPoint now) {
  if (gateway == self_) return false;
  Peer& peer = peers_[gateway];
  if (peer.departed) return false;
  peer.departed = now;
  return true;
}

Presence Membership::presence(const SessionPlace& place, SteadyPoint now) const {
  if (place.gateway == self_) return Presence::live;
  const auto found = peers_.find(place.gateway);
  if (found == peers_.end()) {
    const bool younger = place.epoch.value + kEpochSlackMicroseconds > known_until_;
    return younger ? Presence::live : Presence::gone;
  }
  if (!found->second.departed) return Presence::live;
  return now - *found->second.departed < times_.orphan_grace ? Presence::lost : Presence::gone;
}

std::vector<std::pair<GatewayId, std::uint64_t>> Membership::to_prune() const {
  std::vector<std::pair<GatewayId, std::uint64_t>> dead;
  for (const auto& [gateway, peer] : peers_) {
    if (peer.departed && peer.present) dead.emplace_back(gateway, peer.beat);
  }
  return dead;
}

std::size_t Membership::alive() const {
  return 1 + static_cast<std::size_t>(std::ranges::count_if(
                 peers_, [](const auto& entry) { return !entry.second.departed; }));
}

}  // namespace mpr::redis
