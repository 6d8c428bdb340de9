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
  blocked,     // pending: when last tried, the socket took nothing or no other socket was there
};

class SessionTable;

class LiveSessions {
 public:
  struct Limits {
    std::size_t max_in_flight = 1000;  // from here on live deliveries to a session stay pending
    std::size_t max_taken = 10'000;    // in flight at most, those taken by the holder included
    std::chrono::milliseconds acknowledgement_deadline{15'000};
    std::chrono::milliseconds orphan_grace{10'000};
  };

  explicit LiveSessions(Limits limits);
  ~LiveSessions();
  LiveSessions(const LiveSessions&) = delete;
  LiveSessions& operator=(const LiveSessions&) = delete;

  // --- opening and ending -------------------------------------------------------------------

  struct Opened {
    bool replaced = false;     // there was a session before
    bool resumed = false;      // the same session id came back: it goes on where it was
    bool outdated = false;     // a newer session is there already: nothing was opened
    SocketId replaced_holder;  // the other socket that held the replaced session; else 0
    SessionId replaced_session;
  };
  // The newest session wins. A session with the same id as the present one resumes: what was
  // delivered to the lost socket and not acknowledged flows again. A new one starts behind `tail`.
  Opened open(const Connection& connection, const SessionId& session_id, SocketId holder,
              Epoch epoch, Position tail);

  // Adds a session without a holder, as found after a restart; its grace starts at `now`.
  void restore(const Connection& connection, const SessionId& session_id, Epoch epoch,
               Position opened_at, SteadyPoint now);

  // Ends the session if `caller` holds it, or nobody does; with a session id only if that matches
  // (or the session was taken on from another gateway, which kept its id to itself).
  // Yields the epoch of the session that ended.
  std::optional<Epoch> close(const Connection& connection, SocketId caller,
                             const std::optional<SessionId>& session_id);

  // Ends the session if its epoch is older: a newer one was opened on another gateway. Yields the
  // holder that lost it.
  struct Superseded {
    SocketId holder;
    SessionId session_id;
  };
  std::optional<Superseded> supersede(const Connection& connection, Epoch newer);

  // Turns every session of a vanished socket into an orphan; yields how many.
  std::size_t orphan(SocketId holder, SteadyPoint now);

  // Makes `holder` the holder if the session is an orphan; true if it was. What is in flight went
  // to those who listened: it flows again unless the new holder is one of them.
  enum class Heard { nothing, everything };
  bool adopt(const Connection& connection, SocketId holder, Heard heard);

  // --- asking -------------------------------------------------------------------------------

  struct View {
    SessionId session_id;
    SocketId holder;  // 0: orphaned
    Epoch epoch;
    Position cursor;  // everything up to here was delivered, or pending when the session opened
    std::size_t in_flight = 0;
    bool behind = false;   // messages wait for a pump
    bool blocked = false;  // behind, and the last delivery was refused
  };
  std::optional<View> find(const Connection& connection) const;
  bool contains(const Connection& connection) const;
  std::size_t size() const noexcept;
  std::size_t orphans() const noexcept;

  // What is in flight to the session, sorted by position.
  std::vector<MessageRef> in_flight(const Connection& connection) const;
  // The part of it that count and take leave out: nothing of an orphan, whose messages went to
  // whoever listened, so that the phone may ask for them anywhere.
  std::vector<MessageRef> hidden(const Connection& connection) const;

  // --- delivering ---------------------------------------------------------------------------

  // A message was accepted; `previous` is the newest pending one before it. `deliver` moves the
  // cursor and marks it in flight.
  Offer offer(const Connection& connection, const MessageRef& message, Position previous,
              const std::optional<PushToken>& push_token, SteadyPoint now);

  // A message was accepted at `position` by another gateway: the session has to read it from its
  // queue. Never `deliver`.
  Offer announce(const Connection& connection, Position position);

  // The socket could not take a message that offer() or pump_offer() allowed: it is pending again
  // and the session is behind and blocked.
  void postpone(const Connection& connection, Epoch epoch, const MessageRef& message);

  // What a pump has to read next: pending messages after `cursor`, at most `room` of them. Nothing
  // if there is no session, nothing waits, it is full, or another pump runs.
  struct PumpStep {
    std::uint64_t number = 0;  // a step is void once the session was rewound or replaced
    Epoch epoch;
    SocketId holder;
    Position cursor;
    std::size_t room = 0;
    bool unverified = false;  // ask first whether the session is still the newest
  };
  std::optional<PumpStep> begin_pump(const Connection& connection);
  // Offers a message that the step read; false: skip it (taken, removed), or the step is void.
  bool pump_offer(const Connection& connection, const PumpStep& step, const MessageRef& message,
                  const std::optional<PushToken>& push_token, SteadyPoint now);
  enum class PumpEnd {
    drained,  // the store had nothing more
    more,     // there may be more
    blocked,  // the socket or the store refuses at present
  };
  // Ends one step. True: go on with another one, because there is more and room for it.
  bool end_pump(const Connection& connection, const PumpStep& step, PumpEnd end);

  // The session has to look into its queue: messages may have come that nobody offered.
  void fall_behind(const Connection& connection, Epoch epoch);
  // The same for all; in addition, none is sure any more to be the newest of its connection.
  void all_fall_behind();

  // What to pump now: sessions that are behind, not pumped and have room. Each call looks at `most`
  // sessions and goes on where the last one ended, holder by holder, so that none waits for ever.
  enum class Blocked { skip, retry };
  struct Swept {
    std::vector<Connection> to_pump;
    std::optional<Connection> full;  // of those without room the one to look at: see begin_look()
  };
  Swept sweep(std::size_t most, Blocked blocked);
  // The same among the sessions of one holder, blocked ones included.
  std::vector<Connection> behind(SocketId holder, std::size_t most);

  // A socket of `tenant` is there to hear orphans: none is blocked any more, and what was delivered
  // to others and not acknowledged flows again, because the newcomer may be the one with the phone.
  // Yields the first `most` orphans to pump; sweep() finds the others.
  std::vector<Connection> welcome(const TenantId& tenant, std::size_t most);

  // --- acknowledging ------------------------------------------------------------------------

  // `caller` took messages without removing them. Those that went into flight to the session while
  // the store was read are dropped from `messages`; if the caller is the holder, the others are in
  // flight to its session from here on.
  void mark_taken(const Connection& connection, SocketId caller,
                  std::vector<StoredMessage>& messages, SteadyPoint now);

  // Messages left the store: nothing of them is in flight any more, and none is delivered later.
  // True: the session has room again and is behind, so pump it.
  bool settle(const Connection& connection, const std::vector<Position>& removed);

  // What another gateway removed is not settled here. A full session compares what is in flight
  // with what the store has behind `after`, a part at a time.
  struct Look {
    Epoch epoch;
    Position after;
    std::vector<MessageRef> in_flight;  // behind `after`
  };
  // Nothing unless the session is full, messages wait behind that, and no pump runs.
  std::optional<Look> begin_look(const Connection& connection);
  // `stored`: the first messages behind look.after; none: there are none. Settles what is missing
  // among them; a message whose position was changed since is not missing, if it is among them.
  // True: the session has room again and is behind, so pump it.
  bool end_look(const Connection& connection, const Look& look,
                const std::vector<StoredMessage>& stored);

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
  // Applies deadlines that passed, about `most` of each kind (a session's messages go together).
  Expired expire(SteadyPoint now, std::size_t most);

 private:
  Limits limits_;
  std::unique_ptr<SessionTable> table_;
};

}  // namespace mpr
