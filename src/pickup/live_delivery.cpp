// The part of PickupService that looks after live sessions: opening and ending them, pumping their
// queues, and what sockets, time and the directory report.
#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "pickup/pickup_service.hpp"

namespace mpr {

namespace {

constexpr std::size_t kPumpMessages = 64;         // read and sent in one step of a pump
constexpr std::uint64_t kPumpBytes = 1ULL << 20;  // payload bytes of the same
constexpr std::size_t kExpirePerTick = 64;        // per shard: with kShards, bounds one tick's time
constexpr std::size_t kSweepPerShard = 64;        // sessions looked at in one sweep
constexpr std::size_t kMaxBackground = 20'000;    // tasks; over it ticks start no more
constexpr std::size_t kMaxUnended = 100'000;      // session ends to be tried again
constexpr std::chrono::seconds kRetryInterval{1};        // of what was blocked or refused
constexpr std::chrono::seconds kBackgroundDeadline{10};  // nobody waits for background work

}  // namespace

// --- live sessions ----------------------------------------------------------------------------

Task<Result<void>> PickupService::open_session(Caller caller, OpenSessionRequest request,
                                               Deadline deadline) {
  const Connection connection{caller.tenant, std::move(request.connection_id)};
  const auto tail = co_await ports_.store.tail(connection, deadline);
  if (!tail) co_return std::unexpected(tail.error());
  const auto epoch =
      co_await ports_.directory.open(connection, request.session_id, *tail, deadline);
  if (!epoch) co_return std::unexpected(epoch.error());

  Shard& shard = shard_of(connection);
  LiveSessions::Opened opened;
  {
    std::lock_guard lock(shard.mutex);
    opened = shard.sessions.open(connection, request.session_id, caller.socket, *epoch, *tail);
    if (opened.outdated) {
      ports_.sink.session_replaced(caller.socket, connection, request.session_id);
    } else if (opened.replaced_holder != SocketId{}) {
      ports_.sink.session_replaced(opened.replaced_holder, connection, opened.replaced_session);
    }
  }
  if (opened.outdated) co_return Result<void>();
  if (opened.replaced && !opened.resumed) ports_.metrics.live_sessions_replaced.add();
  // The socket may have closed while the directory was asked: then nobody else ends this session.
  if (!ports_.sink.is_open(caller.socket)) socket_closed(caller.socket);

  // A newer session may have been opened elsewhere before this one stood: its notice met nobody.
  if (!co_await verify(connection, *epoch, deadline)) co_return Result<void>();

  // A message accepted after `tail` was read and before the session stood was offered to nobody.
  const auto later = co_await ports_.store.tail(connection, deadline);
  if (!later || *later > *tail) {
    std::lock_guard lock(shard.mutex);
    shard.sessions.fall_behind(connection, *epoch);
  }
  start_pump(connection);
  co_return Result<void>();
}

Task<Result<bool>> PickupService::close_session(Caller caller, CloseSessionRequest request,
                                                Deadline deadline) {
  const Connection connection{caller.tenant, std::move(request.connection_id)};
  std::optional<Epoch> ended;
  {
    Shard& shard = shard_of(connection);
    std::lock_guard lock(shard.mutex);
    ended = shard.sessions.close(connection, caller.socket, request.session_id);
  }
  if (!ended) co_return false;
  co_await end_session(connection, *ended, deadline);
  co_return true;
}

Task<Result<bool>> PickupService::has_session(Caller caller, ConnectionId connection_id,
                                              Deadline deadline) {
  const Connection connection{caller.tenant, std::move(connection_id)};
  {
    Shard& shard = shard_of(connection);
    std::lock_guard lock(shard.mutex);
    if (shard.sessions.contains(connection)) co_return true;
  }
  const auto place = co_await ports_.directory.find(connection, deadline);
  if (!place) co_return std::unexpected(place.error());
  co_return place->has_value() && (*place)->gateway != ports_.directory.self();
}

// In doubt, when the directory does not answer, the session stays.
Task<bool> PickupService::verify(Connection connection, Epoch epoch, Deadline deadline) {
  const auto place = co_await ports_.directory.find(connection, deadline);
  if (!place) log::warn("could not look up a live session", {{"reason", place.error().context}});
  if (!place || !*place || (*place)->gateway == ports_.directory.self()) co_return true;
  if ((*place)->epoch < epoch) co_return true;
  on_superseded(std::move(connection), (*place)->epoch);
  co_return false;
}

// Tells the directory, and wakes the phone if messages wait for it. What fails is tried again.
Task<void> PickupService::end_session(Connection connection, Epoch epoch, Deadline deadline) {
  const auto closed = co_await ports_.directory.close(connection, epoch, deadline);
  if (!closed) co_return try_end_later(std::move(connection), epoch, closed.error());
  if (!*closed) {
    const auto newer = co_await ports_.directory.find(connection, deadline);
    if (newer && *newer) co_return;  // the phone is live by another session
  }
  const auto token = co_await ports_.store.newest_push_token(connection, deadline);
  if (!token) co_return try_end_later(std::move(connection), epoch, token.error());
  consider_push(std::move(connection), MessageId(), *token, PushReason::session_ended);
}

void PickupService::try_end_later(Connection connection, Epoch epoch, const Error& reason) {
  {
    std::lock_guard lock(unended_mutex_);
    if (unended_.size() < kMaxUnended) unended_.push_back({std::move(connection), epoch});
    if (unended_.size() > 1) return;  // one line for each outage and retry, not for each session
  }
  log::warn("could not end a live session, will try again", {{"reason", reason.context}});
}

void PickupService::retry_ends() {
  std::vector<LiveSessions::Ended> batch;
  {
    std::lock_guard lock(unended_mutex_);
    const std::size_t size = std::min(unended_.size(), kExpirePerTick * kShards);
    const auto first = unended_.end() - static_cast<std::ptrdiff_t>(size);
    batch.assign(std::make_move_iterator(first), std::make_move_iterator(unended_.end()));
    unended_.erase(first, unended_.end());
  }
  start_ends(std::move(batch));
}

void PickupService::start_ends(std::vector<LiveSessions::Ended> sessions) {
  for (auto& session : sessions) {
    background_.spawn(end_session(std::move(session.connection), session.epoch,
                                  Deadline::after(kBackgroundDeadline)));
  }
}

Task<Result<std::size_t>> PickupService::restore_sessions() {
  auto recovered = co_await ports_.directory.recover();
  if (!recovered) co_return std::unexpected(recovered.error());
  const SteadyPoint now = ports_.clock.steady_now();
  for (const RecoveredSession& r : *recovered) {
    Shard& shard = shard_of(r.connection);
    std::lock_guard lock(shard.mutex);
    shard.sessions.restore(r.connection, r.session_id, r.epoch, r.opened_at, now);
  }
  co_return recovered->size();
}

// --- pumping ----------------------------------------------------------------------------------

void PickupService::start_pump(Connection connection, std::optional<PushRequest> if_unreachable) {
  background_.spawn(pump(std::move(connection), std::move(if_unreachable)));
}

void PickupService::start_pumps(std::vector<Connection> connections) {
  for (Connection& connection : connections) start_pump(std::move(connection));
}

Task<void> PickupService::pump(Connection connection, std::optional<PushRequest> if_unreachable) {
  PumpOutcome outcome{true, false};
  while (outcome.go_on) outcome = co_await pump_once(connection);
  if (outcome.unreachable && if_unreachable) push(std::move(*if_unreachable));
}

Task<PickupService::PumpOutcome> PickupService::pump_once(Connection connection) {
  Shard& shard = shard_of(connection);
  TakeQuery query;
  std::optional<LiveSessions::PumpStep> step;
  {
    std::lock_guard lock(shard.mutex);
    step = shard.sessions.begin_pump(connection);
    if (!step) co_return PumpOutcome();
    query.queue.exclude = shard.sessions.in_flight(connection);
  }
  const Deadline deadline = Deadline::after(kBackgroundDeadline);
  if (step->unverified && !co_await verify(connection, step->epoch, deadline)) {
    co_return PumpOutcome();
  }
  query.queue.connection = connection;
  query.limit = std::min(step->room, kPumpMessages);
  query.response_bytes = kPumpBytes;
  query.after = step->cursor;
  const auto messages = co_await ports_.store.take(std::move(query), deadline);
  if (messages) co_return send_pumped(connection, *step, *messages);

  log::warn("could not read a queue for live delivery", {{"reason", messages.error().context}});
  std::lock_guard lock(shard.mutex);
  shard.sessions.end_pump(connection, *step, LiveSessions::PumpEnd::blocked);
  co_return PumpOutcome();
}

PickupService::PumpOutcome PickupService::send_pumped(const Connection& connection,
                                                      const LiveSessions::PumpStep& step,
                                                      const std::vector<StoredMessage>& messages) {
  Shard& shard = shard_of(connection);
  PumpOutcome outcome;
  auto end = messages.empty() ? LiveSessions::PumpEnd::drained : LiveSessions::PumpEnd::more;
  std::lock_guard lock(shard.mutex);
  const auto view = shard.sessions.find(connection);
  for (const StoredMessage& message : messages) {
    if (!shard.sessions.pump_offer(connection, step, {message.id, message.position},
                                   message.push_token, ports_.clock.steady_now())) {
      continue;
    }
    if (send(shard.sessions, connection, view->holder, step.epoch, message)) continue;
    outcome.unreachable = view->holder == SocketId{};
    end = LiveSessions::PumpEnd::blocked;
    break;
  }
  outcome.go_on = shard.sessions.end_pump(connection, step, end);
  return outcome;
}

// --- what the gateway and the directory report ------------------------------------------------

void PickupService::socket_closed(SocketId socket) {
  const SteadyPoint now = ports_.clock.steady_now();
  for (auto& shard : shards_) {
    std::lock_guard lock(shard->mutex);
    shard->sessions.orphan(socket, now);
  }
}

void PickupService::socket_drained(SocketId socket) {
  for (auto& shard : shards_) {
    std::vector<Connection> behind;
    {
      std::lock_guard lock(shard->mutex);
      behind = shard->sessions.behind(socket, kSweepPerShard);
    }
    start_pumps(std::move(behind));
  }
}

void PickupService::socket_subscribed(SocketId, TenantId tenant) {
  for (auto& shard : shards_) {
    std::vector<Connection> behind;
    {
      std::lock_guard lock(shard->mutex);
      behind = shard->sessions.welcome(tenant, kSweepPerShard);
    }
    start_pumps(std::move(behind));
  }
}

void PickupService::tick() {
  const SteadyPoint now = ports_.clock.steady_now();
  const bool retry = now >= next_retry_;
  if (retry) next_retry_ = now + kRetryInterval;
  std::size_t sessions = 0;
  std::size_t orphans = 0;
  for (auto& shard : shards_) {
    // With so much unfinished, the store or the directory hangs: more would not help.
    if (background_.running() < kMaxBackground) tick(*shard, now, retry);
    std::lock_guard lock(shard->mutex);
    sessions += shard->sessions.size();
    orphans += shard->sessions.orphans();
  }
  if (retry) retry_ends();
  ports_.metrics.live_sessions.set(static_cast<std::int64_t>(sessions));
  ports_.metrics.live_sessions_orphaned.set(static_cast<std::int64_t>(orphans));
}

void PickupService::tick(Shard& shard, SteadyPoint now, bool retry) {
  LiveSessions::Expired expired;
  std::vector<Connection> behind;
  {
    std::lock_guard lock(shard.mutex);
    expired = shard.sessions.expire(now, kExpirePerTick);
    behind = shard.sessions.sweep(
        kSweepPerShard, retry ? LiveSessions::Blocked::retry : LiveSessions::Blocked::skip);
  }
  ports_.metrics.acknowledgements_overdue.add(expired.overdue.size());
  ports_.metrics.live_sessions_expired.add(expired.ended.size());
  const Connection* reminded = nullptr;
  for (auto& overdue : expired.overdue) {  // those of one connection stand together
    if (!overdue.push_token || (reminded && *reminded == overdue.connection)) continue;
    reminded = &overdue.connection;
    background_.spawn(remind(overdue.connection, std::move(overdue.message.id)));
  }
  start_ends(std::move(expired.ended));
  start_pumps(std::move(behind));
}

// Wakes a phone that did not acknowledge in time, unless nothing waits for it any more: the
// acknowledgement may have come through another gateway, or the message expired.
Task<void> PickupService::remind(Connection connection, MessageId overdue) {
  const auto token =
      co_await ports_.store.newest_push_token(connection, Deadline::after(kBackgroundDeadline));
  if (!token) {
    log::warn("could not look for a push token", {{"reason", token.error().context}});
    co_return;
  }
  consider_push(std::move(connection), std::move(overdue), *token,
                PushReason::acknowledgement_overdue);
}

void PickupService::on_announced(Connection connection, Epoch, StoredMessage message,
                                 Position previous) {
  // Whatever the epoch: the session's cursor says whether it has had the message. And if there is
  // no session, what ended it looks for messages that wait.
  offer_here(connection, message, previous);
}

void PickupService::on_superseded(Connection connection, Epoch newer) {
  Shard& shard = shard_of(connection);
  std::lock_guard lock(shard.mutex);
  const auto lost = shard.sessions.supersede(connection, newer);
  if (!lost) return;
  ports_.metrics.live_sessions_replaced.add();
  if (lost->holder != SocketId{}) {
    ports_.sink.session_replaced(lost->holder, connection, lost->session_id);
  }
}

void PickupService::on_gap() {
  for (auto& shard : shards_) {
    std::lock_guard lock(shard->mutex);
    shard->sessions.all_fall_behind();
  }
}

}  // namespace mpr
