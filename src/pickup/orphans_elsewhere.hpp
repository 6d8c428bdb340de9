// Orphaned sessions of other gateways that this one heard of, because a message for them was handed
// to the sockets that listen here. One of those sockets may belong to the mediator that has the
// phone; when it acknowledges, it takes the session on.
//
// Thread-safe. Bounded: the oldest is forgotten first, and each one after the grace period.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "core/ids.hpp"
#include "core/live_sessions.hpp"

namespace mpr {

class OrphansElsewhere {
 public:
  static constexpr std::size_t kMost = 100'000;

  explicit OrphansElsewhere(std::chrono::milliseconds grace) : grace_(grace) {}

  // Whether a message of the orphan was handed to listeners here already.
  bool had(const Connection& connection, Epoch orphan, Position position) const;
  // It was just now; the grace begins anew.
  void note(const Connection& connection, Epoch orphan, Position position, SteadyPoint now);
  // A new listener of the tenant is here: what others had, it had not.
  void listener_came(const TenantId& tenant);
  // The orphan of this connection, which is forgotten here with that.
  std::optional<Epoch> take(const Connection& connection, SteadyPoint now);

 private:
  struct Orphan {
    Epoch epoch;
    Position last;  // everything up to here was handed out
    SteadyPoint until;
  };
  void forget_old(SteadyPoint now);

  const std::chrono::milliseconds grace_;
  mutable std::mutex mutex_;
  std::unordered_map<Connection, Orphan, ConnectionHash> orphans_;  // guarded by mutex_
  // When each note was made, oldest first; an orphan noted again has several. Guarded by mutex_.
  std::deque<std::pair<SteadyPoint, Connection>> noted_;
};

}  // namespace mpr
