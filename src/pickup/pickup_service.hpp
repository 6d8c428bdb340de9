// The use cases: everything a mediator can ask for, written against ports only. The service decides
// what is live, what is in flight and when a push is due; the store decides what is kept. The calls
// on queues are in pickup_service.cpp, those on sessions in session_calls.cpp, delivery to sessions
// in live_delivery.cpp.
//
// Thread-safe: any executor thread may call. Connections are spread over shards, each with a mutex
// that is held for short, never across a wait. Store, directory, push sender, clock, id source and
// sink outlive the service. Before the service goes, the owner waits until busy() is false.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/log_limit.hpp"
#include "base/metrics.hpp"
#include "base/task.hpp"
#include "core/live_sessions.hpp"
#include "core/ports.hpp"
#include "core/requests.hpp"
#include "pickup/event_sink.hpp"
#include "pickup/orphans_elsewhere.hpp"

namespace mpr {

class PickupService final : public LiveDirectoryListener {
 public:
  struct Options {
    LiveSessions::Limits sessions;
    std::uint64_t response_bytes = 8ULL << 20;  // payload bytes in one answer of take
    std::uint64_t max_message_bytes = 16ULL << 20;
  };

  struct Ports {
    MessageStore& store;
    LiveDirectory& directory;
    PushSender& push;
    Clock& clock;
    IdSource& ids;
    EventSink& sink;
    Metrics& metrics;
  };

  PickupService(Ports ports, Options options);
  ~PickupService() override;

  // --- calls: every failure is an Error, never an empty outcome ------------------------------

  Task<Result<AddReceipt>> add_message(Caller caller, AddRequest request, Deadline deadline);

  // All are stored in order, or the error says how many were; with a messageId on each, the same
  // call can be repeated without duplicates.
  Task<Result<std::vector<AddReceipt>>> add_messages(Caller caller,
                                                     std::vector<AddRequest> requests,
                                                     Deadline deadline);

  Task<Result<std::vector<StoredMessage>>> take(Caller caller, TakeRequest request,
                                                Deadline deadline);
  Task<Result<std::uint64_t>> count(Caller caller, QueueRequest request, Deadline deadline);
  Task<Result<QueueReport>> status(Caller caller, QueueRequest request, Deadline deadline);

  // Unknown ids are ignored. An orphaned session is adopted by the socket whose call removes
  // something. acknowledge() also tells what is left, which may cost a second look.
  Task<Result<void>> remove(Caller caller, RemoveRequest request, Deadline deadline);
  Task<Result<AcknowledgeReceipt>> acknowledge(Caller caller, RemoveRequest request,
                                               Deadline deadline);
  Task<Result<void>> remove_all(Caller caller, QueueRequest request, Deadline deadline);

  // False: nothing was opened, because a session that is to resume has moved on.
  Task<Result<bool>> open_session(Caller caller, OpenSessionRequest request, Deadline deadline);
  // True if a session of the caller (or one that nobody holds) was ended.
  Task<Result<bool>> close_session(Caller caller, CloseSessionRequest request, Deadline deadline);
  // Whether the connection has a live session anywhere.
  Task<Result<bool>> has_session(Caller caller, ConnectionId connection_id, Deadline deadline);

  // --- what the gateway reports; on any executor thread ---------------------------------------

  void socket_closed(SocketId socket);
  void socket_drained(SocketId socket);
  void socket_subscribed(SocketId socket, TenantId tenant);  // to messagesReceived
  // Applies deadlines that passed; call about every 100 ms, on one thread.
  void tick();

  // Takes over the sessions that an earlier incarnation left open, as orphans. Call once, before
  // the first socket is accepted.
  Task<Result<std::size_t>> restore_sessions();

  // Whether background work (pumps, session ends, reminders) still runs.
  bool busy() const noexcept { return background_.running() > 0; }

  // --- what the directory reports; on an executor thread -------------------------------------

  void on_announced(Connection connection, Position position) override;
  void on_superseded(Connection connection, Epoch newer) override;
  void on_orphan_message(Connection connection, Epoch orphan, StoredMessage message) override;
  void on_listener_elsewhere(TenantId tenant) override;
  void on_gap() override;

 private:
  static constexpr std::size_t kShards = 64;         // enough that two io threads rarely meet
  static constexpr std::size_t kExpirePerTick = 64;  // per shard: bounds one tick's time
  // Session ends to be tried again, and replaced sessions to look after.
  static constexpr std::size_t kMaxUnended = 100'000;
  // Nobody waits for background work.
  static constexpr std::chrono::seconds kBackgroundDeadline{10};
  struct Shard {
    explicit Shard(LiveSessions::Limits limits) : sessions(limits) {}
    mutable std::mutex mutex;
    LiveSessions sessions;    // guarded by mutex
    SteadyPoint next_look{};  // of a full session; tick() only
  };

  Shard& shard_of(const Connection& connection) const;
  Result<NewMessage> new_message(const Caller& caller, AddRequest request) const;
  QueueQuery query_of(Connection connection, std::optional<RecipientDid> recipient_did) const;

  Task<Result<AddReceipt>> store_and_route(NewMessage message, Deadline deadline);
  Task<void> route(Connection connection, StoredMessage message, AddOutcome added,
                   Deadline deadline);
  // To the gateway that holds the session. False: there is no session to be reached elsewhere; the
  // message of a session that was lost with its gateway went to all who listen.
  Task<bool> reach_elsewhere(Connection connection, StoredMessage message, AddOutcome added,
                             Deadline deadline);
  Task<Result<RemoveOutcome>> remove_and_settle(Caller caller, Connection connection,
                                                std::vector<MessageId> ids, Deadline deadline);
  bool has_session_here(const Connection& connection) const;
  // Offers to the session on this gateway; false: there is none.
  bool offer_here(const Connection& connection, const StoredMessage& message, Position previous);
  // Sends one message that is marked in flight; false: it was postponed.
  bool send(LiveSessions& sessions, const Connection& connection, SocketId holder, Epoch epoch,
            const StoredMessage& message);
  // The same for messages of an orphan, to all sockets that listen here.
  bool send_to_listeners(LiveSessions& sessions, const Connection& connection, Epoch epoch,
                         const std::vector<StoredMessage>& messages);
  // Whether the message at this position is still in the store.
  Task<bool> is_pending(Connection connection, Position position, Deadline deadline);
  void consider_push(Connection connection, MessageId id, std::optional<PushToken> token,
                     PushReason reason);
  void push(PushRequest request);
  void settle(const Connection& connection, const std::vector<Position>& removed);
  // The caller acknowledged something: an orphaned session, here or elsewhere, becomes its own.
  void adopt(const Caller& caller, const Connection& connection);
  Task<void> take_on(Caller caller, Connection connection, Epoch orphan);
  // Hands messages of an orphan to the other gateways.
  void broadcast(Connection connection, Epoch orphan, std::vector<StoredMessage> messages);
  Task<void> broadcast_all(Connection connection, Epoch orphan,
                           std::vector<StoredMessage> messages);
  Task<void> tell_listener_came(TenantId tenant);
  void welcome(const TenantId& tenant);

  // If it turns out that the session is orphaned and nobody is there to hear it, `if_unreachable`
  // is pushed.
  void start_pump(Connection connection, std::optional<PushRequest> if_unreachable = std::nullopt);
  void start_pumps(std::vector<Connection> connections);
  Task<void> pump(Connection connection, std::optional<PushRequest> if_unreachable);
  struct PumpOutcome {
    bool go_on = false;
    bool unreachable = false;  // orphaned, and no subscriber took the message
  };
  // One read and its deliveries.
  Task<PumpOutcome> pump_once(Connection connection);
  PumpOutcome send_pumped(const Connection& connection, const LiveSessions::PumpStep& step,
                          const std::vector<StoredMessage>& messages);

  // A pump for a message that another gateway announced.
  Task<void> pump_announced(Connection connection);
  void announce_superseded();
  Task<void> announce_newest(Connection connection);
  // Reads and delivers until there is nothing more, or no room. True: the session is orphaned and
  // no subscriber took the message.
  Task<bool> pump_queue(Connection connection);
  // Whether the connection has a session with another id by now, here or elsewhere.
  Task<Result<bool>> has_moved_on(Connection connection, SessionId session_id, Deadline deadline);

  // Whether the session is still the newest, as its record says, which is put back if it was lost;
  // if not, the session is ended as superseded.
  Task<bool> renew(Connection connection, Epoch epoch, Deadline deadline);
  // The same without putting anything back.
  Task<bool> verify(Connection connection, Epoch epoch, Deadline deadline);
  bool is_newest(Connection connection, Epoch epoch, const SessionPlace& place);
  Task<void> end_session(Connection connection, Epoch epoch, Deadline deadline);
  void try_end_later(Connection connection, Epoch epoch, const Error& reason);
  void retry_ends();
  void start_ends(std::vector<LiveSessions::Ended> sessions);
  void tick(Shard& shard, SteadyPoint now, bool retry);  // retry: what was blocked, too
  Task<void> look_for_room(Connection connection);
  Task<void> remind(Connection connection, MessageId overdue, PushReason reason);

  const Ports ports_;
  const Options options_;
  std::array<std::unique_ptr<Shard>, kShards> shards_;
  OrphansElsewhere orphans_elsewhere_;
  TaskGroup background_;
  // Lines of which an outage has one for each message or session.
  struct LogLimits {
    static constexpr std::chrono::seconds kInterval{5};
    log::Limit lookups{kInterval};
    log::Limit renewals{kInterval};
    log::Limit reads{kInterval};
    log::Limit announcements{kInterval};
    log::Limit broadcasts{kInterval};
    log::Limit tokens{kInterval};
  };
  LogLimits logged_;
  SteadyPoint next_retry_{};  // tick() only
  std::mutex unended_mutex_;
  std::vector<LiveSessions::Ended> unended_;  // guarded by unended_mutex_
  std::mutex superseded_mutex_;
  std::vector<Connection> superseded_;  // since the last tick; guarded by superseded_mutex_
};

}  // namespace mpr
