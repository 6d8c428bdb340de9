// The seams between the domain and the outside world. Stores, directories, senders and clocks
// implement these; core and pickup know nothing else of them. They speak messages and sessions,
// never a technology's verbs. Every implementation passes the contract suite in tests/contract/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/task.hpp"
#include "core/ids.hpp"
#include "core/message.hpp"
#include "core/selection.hpp"

namespace mpr {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;  // wall clock, UTC
  virtual std::chrono::steady_clock::time_point steady_now()
      const = 0;  // for intervals and deadlines
};

class IdSource {
 public:
  virtual ~IdSource() = default;
  // A new id of at least 8 consecutive characters of [-_./a-zA-Z0-9], unique for all time.
  // Thread-safe.
  virtual MessageId next_message_id() = 0;
};

// Where a live session is: on which gateway, under which fencing number.
struct SessionPlace {
  GatewayId gateway;
  Epoch epoch;

  bool operator==(const SessionPlace&) const = default;
};

struct AddOutcome {
  MessageId id;  // the given one; with IdOrigin::server the store may have chosen another
  TimePoint received_at;
  Position position;
  // The newest pending message before it in its queue; 0: none. Empty: the store was not asked
  // (NewMessage::answer) and does not know.
  std::optional<Position> previous;
  // The session record as it stood after the message was stored, for stores that read it in the
  // same step; the gateway in it may be dead. Outer empty: ask the directory.
  std::optional<std::optional<SessionPlace>> session;
  // The id was known: nothing was stored; id, time and position are the first add's.
  bool duplicate = false;
};

struct RemoveOutcome {
  std::vector<Position> removed;  // of the messages that were there, in no particular order
  std::uint64_t remaining = 0;    // pending messages of the connection afterwards
};

// What a store holds in all, for metrics and the status page.
struct StoreTotals {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;  // payload bytes
  std::uint64_t queues = 0;
  // What a store does not know as a whole is shown to nobody.
  enum class Known { all, queues_only } known = Known::all;
};

// Keeps messages until they are removed or expire. Callable from any executor thread.
//
// Order: operations that one executor thread starts on one connection take effect in the order in
// which they were started; adds get ascending positions in that order. Visibility: an answered add
// or removal is seen by every operation started after the answer, on any thread; an add that has
// not been answered is not seen before it is as durable as its answer will promise.
// Expired messages are never counted, returned or reported as removed.
// Failure: `unavailable` when the backend refuses (nothing was stored or removed, unless
// Error::effect is unknown), `quota_exceeded`, `deadline_exceeded` when the deadline passed (it may
// take effect later), `corrupt` when stored bytes fail their checksum. A failure is never an empty
// outcome.
class MessageStore {
 public:
  virtual ~MessageStore() = default;

  // Appends to the connection's queue. With IdOrigin::caller an id that is pending, or was removed
  // less than the store's idempotency window ago, stores nothing and answers duplicate.
  virtual Task<Result<AddOutcome>> add(NewMessage message, Deadline deadline) = 0;

  // Pending messages in queue order, as Selection admits them. TakeMode::remove removes them in the
  // same step: no two takes return the same message.
  virtual Task<Result<std::vector<StoredMessage>>> take(TakeQuery query, Deadline deadline) = 0;

  // How many messages an unlimited take with the same query would select.
  virtual Task<Result<std::uint64_t>> count(QueueQuery query, Deadline deadline) = 0;

  virtual Task<Result<QueueStatus>> status(QueueQuery query, Deadline deadline) = 0;

  // The position of the newest message accepted so far: every later add gets a larger one.
  virtual Task<Result<Position>> tail(Connection connection, Deadline deadline) = 0;

  // The push token of the newest pending message that has one, looking at the newest 16 at most.
  virtual Task<Result<std::optional<PushToken>>> newest_push_token(Connection connection,
                                                                   Deadline deadline) = 0;

  // Removes the given ids wherever they are in the queue; unknown ids are ignored.
  virtual Task<Result<RemoveOutcome>> remove(Connection connection, std::vector<MessageId> ids,
                                             Deadline deadline) = 0;

  // Removes everything pending, or everything with that recipient DID.
  virtual Task<Result<RemoveOutcome>> remove_all(Connection connection,
                                                 std::optional<RecipientDid> recipient_did,
                                                 Deadline deadline) = 0;

  // Whether the store can take messages now; the error says why not. Never blocks.
  virtual Result<void> ready() const = 0;
  virtual StoreTotals totals() const = 0;
};

// Whether a session record still counts.
enum class Presence {
  live,  // its gateway is alive
  lost,  // its gateway died or left, less than the orphan grace ago: the mediator that held the
         // session may be back on any gateway
  gone,
};

// A session that an earlier incarnation of this gateway held and did not close.
struct RecoveredSession {
  Connection connection;
  SessionId session_id;
  Epoch epoch;
  Position opened_at;
};

// What a directory tells its gateway, on any thread.
class LiveDirectoryListener {
 public:
  virtual ~LiveDirectoryListener() = default;
  // Another gateway accepted a message, at this position, for a session that is here.
  virtual void on_announced(Connection connection, Position position) = 0;
  // A newer session of the connection was opened on another gateway.
  virtual void on_superseded(Connection connection, Epoch newer) = 0;
  // A message for a session whose socket vanished, wherever that was: it goes to the sockets of the
  // tenant that listen here, and who acknowledges it may take the session on.
  virtual void on_orphan_message(Connection connection, Epoch orphan, StoredMessage message) = 0;
  // A socket of the tenant listens at another gateway since now: it may belong to the mediator of
  // an orphan that is here.
  virtual void on_listener_elsewhere(TenantId tenant) = 0;
  // Announcements or newer sessions may have gone unheard; a gateway died that may have stored a
  // message without announcing it, or took this one for dead and announced nothing to it. Every
  // session here has to look into its queue, and whether it is still the newest.
  virtual void on_gap() = 0;
};

// Who is live where, across all gateways. Sessions of a dead gateway are not live. Thread-safe.
class LiveDirectory {
 public:
  virtual ~LiveDirectory() = default;

  // Makes this gateway the holder of the connection's live session: the newest wins. The epoch is
  // larger than that of every earlier session of the connection. `opened_at` is kept for recover().
  virtual Task<Result<Epoch>> open(Connection connection, SessionId session_id, Position opened_at,
                                   Deadline deadline) = 0;

  // Ends the session if it is still the one with this epoch; true: it was. A stale epoch changes
  // nothing.
  virtual Task<Result<bool>> close(Connection connection, Epoch epoch, Deadline deadline) = 0;

  // The record of the connection's newest session. presence() says whether it counts; those of
  // gateways that are gone need not be found.
  virtual Task<Result<std::optional<SessionPlace>>> find(Connection connection,
                                                         Deadline deadline) = 0;

  // Whether another gateway has a session of the connection with another id, or lost it less than
  // the orphan grace ago. A session whose id is not known is not another one.
  virtual Task<Result<bool>> moved_on(Connection connection, SessionId session_id,
                                      Deadline deadline) = 0;

  // Puts the record of a session held here back if the backend lost it, and yields the place that
  // stands afterwards: another one if a newer session was opened.
  virtual Task<Result<SessionPlace>> renew(Connection connection, SessionId session_id, Epoch epoch,
                                           Position opened_at, Deadline deadline) = 0;

  // What is known of a session's gateway. Never blocks.
  virtual Presence presence(const SessionPlace& place) const = 0;

  // Tells the gateway that holds the session of a message accepted at `position`. Fails when nobody
  // there listens; an announcement that is lost on its way ends in on_gap() there.
  virtual Task<Result<void>> announce(Connection connection, SessionPlace place, Position position,
                                      Deadline deadline) = 0;

  // Hands a message of an orphaned session to every other gateway. As good as the network: what is
  // lost stays pending.
  virtual Task<Result<void>> broadcast(Connection connection, Epoch orphan, StoredMessage message,
                                       Deadline deadline) = 0;
  // Tells every other gateway that a socket of the tenant listens here now. As good as the network.
  virtual Task<Result<void>> listener_came(TenantId tenant, Deadline deadline) = 0;

  // Sessions that an earlier incarnation left open; still live until closed. Called once, at start.
  virtual Task<Result<std::vector<RecoveredSession>>> recover() = 0;

  // The listener outlives the directory's use; set once before traffic.
  virtual void listen(LiveDirectoryListener& listener) = 0;

  virtual const GatewayId& self() const = 0;
  virtual Result<void> ready() const = 0;
};

// Why a phone is to be woken.
enum class PushReason { message_added, acknowledgement_overdue, session_ended };

struct PushRequest {
  Connection connection;
  MessageId message_id;
  PushToken token;
  PushReason reason = PushReason::message_added;
};

// Sends push notifications, later and on its own threads.
class PushSender {
 public:
  virtual ~PushSender() = default;
  // Accepts a request in bounded time and never fails the caller. Thread-safe.
  virtual void enqueue(PushRequest request) = 0;
};

}  // namespace mpr
