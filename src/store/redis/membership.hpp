// Which gateways are alive, as one of them knows it from the answers to its own heartbeats. A state
// machine without I/O and without a clock: whoever beats tells it what was answered and when.
//
// A gateway lives while its heartbeats change what is stored of it; the clocks of Redis nodes and
// gateways are never compared, so that a failover to a node with another time kills nobody. Nor
// does an outage of Redis: who has not heard good answers for a whole TTL declares nobody dead.
// Not thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/live_sessions.hpp"
#include "core/ports.hpp"

namespace mpr::redis {

// What a heartbeat was answered: who is stored as present, and who left or was found dead lately.
struct Attendance {
  struct Present {
    GatewayId gateway;
    std::uint64_t beat = 0;         // changes with each heartbeat
    std::chrono::milliseconds age;  // since then, by the clock of the server
  };
  struct Departed {
    GatewayId gateway;
    std::chrono::milliseconds age;  // since it departed
  };
  std::uint64_t server_microseconds = 0;  // the server's clock
  bool self_was_present = false;          // before this heartbeat
  std::vector<Present> present;
  std::vector<Departed> departed;
};

class Membership {
 public:
  struct Times {
    std::chrono::milliseconds dead_after{12'000};
    std::chrono::milliseconds orphan_grace{10'000};
  };

  Membership(GatewayId self, Times times) : self_(std::move(self)), times_(times) {}

  struct Changes {
    std::vector<GatewayId> died;  // or left without our hearing of it
    // Alive, and until now taken for dead, or not known: a new one, or one that was dead when this
    // gateway came or was forgotten since.
    std::vector<GatewayId> appeared;
    // This gateway was away for so long that others may have declared it dead.
    bool was_away = false;
  };
  // A heartbeat that was sent at `sent` was answered at `answered`.
  Changes on_beat(const Attendance& attendance, SteadyPoint sent, SteadyPoint answered);

  // A gateway said that it leaves. True: it was alive until now.
  bool on_left(const GatewayId& gateway, SteadyPoint now);

  // A session's epoch says when it was opened, and its gateway was present then: one that is not
  // known is alive if the session is younger than what is known.
  Presence presence(const SessionPlace& place, SteadyPoint now) const;

  // Present entries of gateways that were found dead, for the next heartbeat to take away.
  std::vector<std::pair<GatewayId, std::uint64_t>> to_prune() const;

  std::size_t alive() const;  // this gateway included
  std::optional<SteadyPoint> last_beat() const noexcept { return last_beat_; }

 private:
  struct Peer {
    std::uint64_t beat = 0;
    SteadyPoint alive_at{};               // the last sign of life
    std::optional<SteadyPoint> departed;  // dead or gone since
    bool present = false;                 // in the last answer
  };
  void note_present(const Attendance::Present& entry, SteadyPoint sent, SteadyPoint answered,
                    Changes& changes);
  void note_departed(const Attendance::Departed& entry, SteadyPoint answered, Changes& changes);
  void bury(SteadyPoint now, Changes& changes);

  const GatewayId self_;
  const Times times_;
  std::map<GatewayId, Peer> peers_;
  std::optional<SteadyPoint> last_beat_;
  SteadyPoint steady_since_{};     // since then heartbeats were answered without an outage
  std::uint64_t known_until_ = 0;  // the server's clock, in microseconds, at the last answer
};

}  // namespace mpr::redis
