// The live sessions of one gateway: who holds which, what is in flight to them, and until when.
// A plain data structure: no I/O, no clock of its own, no thread-safety (pickup_service.cpp gives
// each shard of connections one table under one mutex).
//
// A session is *held* by a socket, or *orphaned*: its socket vanished and for a grace period
// another socket may take it on. What is in flight to a session is hidden from count and take until
// it is acknowledged, the session ends, is replaced or orphaned, or the acknowledgement deadline
// passes.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/ids.hpp"
#include "core/message.hpp"

namespace mpr {

using SteadyPoint = std::chrono::steady_clock::time_point;

// What became of a message that was offered for live delivery.
enum class Offer {
  no_session,  // nobody is live: the caller thinks about a push
  deliver,     // send it now; it is in flight from here on
  done,        // it was delivered, taken or removed already
  wait,        // earlier messages come first, or the session is full: pump the queue
};

class LiveSessions {
 public:
  struct Limits {
    std::size_t max_in_flight = 1000;  // messages per session; more stay pending
    std::chrono::milliseconds acknowledgement_deadline{15'000};
    std::chrono::milliseconds orphan_grace{30'000};
  };

  explicit LiveSessions(Limits limits);
  ~LiveSessions();
  LiveSessions(const LiveSessions&) = delete;
  LiveSessions& operator=(const LiveSessions&) = delete;

  // --- opening and ending -------------------------------------------------------------------

  struct Opened {
    bool replaced = false;       // there was a session before
    bool resumed = false;        // the same session id came back: it goes on where it was
    SocketId replaced_holder;    // the socket to tell, if another one held it; else 0
  };
  // The newest session wins. A session with the same id as the present one resumes: what was
  // delivered to the lost socket and not acknowledged flows again. A new one starts behind `tail`.
  Opened open(const Connection& connection, const SessionId& session_id, SocketId holder,
              Epoch epoch, Position tail);

  // Adds a session without a holder, as found after a restart; its grace starts at `now`.
  void restore(const Connection& connection, const SessionId& session_id, Epoch epoch,
               Position opened_at, SteadyPoint now);

  // Ends the session if `caller` holds it, or nobody does; with a session id only if that matches.
  // Yields the epoch of the session that ended.
  std::optional<Epoch> close(const Connection& connection, SocketId caller,
                             const std::optional<SessionId>& session_id);

  // Ends the session if its epoch is older: a newer one was opened on another gateway. Yields the
  // holder that lost it.
  std::optional<SocketId> supersede(const Connection& connection, Epoch newer);

  // Turns every session of a vanished socket into an orphan; yields how many.
  std::size_t orphan(SocketId holder, SteadyPoint now);

  // Makes `holder` the holder if the session is an orphan; true if it was.
  bool adopt(const Connection& connection, SocketId holder);

  // --- asking -------------------------------------------------------------------------------

  struct View {
    SessionId session_id;
    SocketId holder;  // 0: orphaned
    Epoch epoch;
    Position cursor;  // everything up to here was delivered, or pending when the session opened
    std::size_t in_flight = 0;
    bool behind = false;  // messages wait for a pump
  };
  std::optional<View> find(const Connection& connection) const;
  bool contains(const Connection& connection) const;
  std::size_t size() const noexcept;
  std::size_t orphans() const noexcept;

  // What is in flight to the session, sorted by position: the exclude list of queries.
  std::vector<MessageRef> in_flight(const Connection& connection) const;

  // --- delivering ---------------------------------------------------------------------------

  // A message was accepted; `previous` is the newest pending one before it. `deliver` moves the
  // cursor and marks it in flight.
  Offer offer(const Connection& connection, const MessageRef& message, Position previous,
              const std::optional<PushToken>& push_token, SteadyPoint now);

  // The socket could not take a message that offer() or begin_pump() allowed: it is pending again
  // and the session is behind.
  void postpone(const Connection& connection, Epoch epoch, const MessageRef& message);

  // What a pump has to read next: pending messages after `cursor`, at most `room` of them. Nothing
  // if there is no session, it is full, or another pump runs.
  struct PumpStep {
    Epoch epoch;
    SocketId holder;
    Position cursor;
    std::size_t room = 0;
  };
  std::optional<PumpStep> begin_pump(const Connection& connection);
  // Offers a message read by the pump of `epoch`; false: skip it (taken, removed), or the session
  // changed (then ends the pump).
  bool pump_offer(const Connection& connection, Epoch epoch, const MessageRef& message,
                  const std::optional<PushToken>& push_token, SteadyPoint now);
  // Ends one step. `drained`: the store had no more than was delivered. True: go on with another
  // step, because messages were accepted meanwhile or there is more and room for it.
  bool end_pump(const Connection& connection, Epoch epoch, bool drained);

  // Sessions of `holder` that are behind, at most `most`; the socket has room again.
  std::vector<Connection> behind(SocketId holder, std::size_t most) const;
  // Orphaned sessions of the tenant that are behind, at most `most`.
  std::vector<Connection> orphans_behind(const TenantId& tenant, std::size_t most) const;

  // --- acknowledging ------------------------------------------------------------------------

  // Messages that the holder took without removing them are in flight to its session too.
  void mark_taken(const Connection& connection, SocketId caller,
                  const std::vector<StoredMessage>& messages, SteadyPoint now);

  // Messages left the store: nothing of them is in flight any more, and none is delivered later.
  // True: the session has room again and is behind, so pump it.
  bool settle(const Connection& connection, const std::vector<Position>& removed);

  // --- time ---------------------------------------------------------------------------------

  struct Overdue {
    Connection connection;
    MessageRef message;
    std::optional<PushToken> push_token;
  };
  struct Ended {
    Connection connection;
    Epoch epoch;
  };
  struct Expired {
    std::vector<Overdue> overdue;  // in flight for too long: visible again
    std::vector<Ended> ended;      // orphans whose grace ran out: gone
    bool more = false;             // the bound was hit: call again
  };
  // Applies deadlines that passed, at most `most` of each kind.
  Expired expire(SteadyPoint now, std::size_t most);

 private:
  struct Session;
  struct Table;
  Limits limits_;
  std::unique_ptr<Table> table_;
};

}  // namespace mpr
