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
// Session ends to be tried again, and replaced sessions to look after.
constexpr std::size_t kMaxUnended = 100'000;
constexpr std::chrono::seconds kRetryInterval{1};        // of what was blocked or refused
constexpr std::chrono::seconds kBackgroundDeadline{10};  // nobody waits for background work

void log_unannounced(const Error& reason) {
  log::warn("could not announce what a replaced session may have had alone",
            {{"reason", reason.context}});
}

}  // namespace

// --- live sessions ----------------------------------------------------------------------------

Task<Result<bool>> PickupService::open_session(Caller caller, OpenSessionRequest request,
                                               Deadline deadline) {
  const Connection connection{caller.tenant, std::move(request.connection_id)};
  if (request.mode == OpenMode::resume) {
    const auto moved = co_await has_moved_on(connection, request.session_id, deadline);
    if (!moved) co_return std::unexpected(moved.error());
    if (*moved) co_return false;
  }
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
  if (opened.outdated) co_return true;
  if (opened.replaced && !opened.resumed) ports_.metrics.live_sessions_replaced.add();
  // The socket may have closed while the directory was asked: then nobody else ends this session.
  if (!ports_.sink.is_open(caller.socket)) socket_closed(caller.socket);

  // A newer session may have been opened elsewhere before this one stood: its notice met nobody.
  if (!co_await verify(connection, *epoch, deadline)) co_return true;

  // A message accepted after `tail` was read and before the session stood was offered to nobody.
  const auto later = co_await ports_.store.tail(connection, deadline);
  if (!later || *later > *tail) {
    std::lock_guard lock(shard.mutex);
    shard.sessions.fall_behind(connection, *epoch);
  }
  start_pump(connection);
  co_return true;
}

// Asked before the session is opened and not in the same step: of two that open at the same moment
// the newer one wins, as ever.
Task<Result<bool>> PickupService::has_moved_on(Connection connection, SessionId session_id,
                                               Deadline deadline) {
  {
    Shard& shard = shard_of(connection);
    std::lock_guard lock(shard.mutex);
    const auto here = shard.sessions.find(connection);
    // One that was taken on from another gateway has no id.
    if (here && !here->session_id.value.empty() && here->session_id != session_id) co_return true;
  }
  co_return co_await ports_.directory.moved_on(std::move(connection), std::move(session_id),
                                               deadline);
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
  co_return place->has_value() && (*place)->gateway != ports_.directory.self() &&
      ports_.directory.presence(**place) == Presence::live;
}

// In doubt, when the directory does not answer, the session stays.
Task<bool> PickupService::verify(Connection connection, Epoch epoch, Deadline deadline) {
  const auto place = co_await ports_.directory.find(connection, deadline);
  if (!place) log::warn(logged_.lookups, "could not look up a live session", place.error());
  co_return !place || !*place || is_newest(std::move(connection), epoch, **place);
}

Task<bool> PickupService::renew(Connection connection, Epoch epoch, Deadline deadline) {
  std::optional<LiveSessions::View> view;
  {
    Shard& shard = shard_of(connection);
    std::lock_guard lock(shard.mutex);
    view = shard.sessions.find(connection);
  }
  if (!view || view->epoch != epoch) co_return false;
  const auto place = co_await ports_.directory.renew(connection, std::move(view->session_id), epoch,
                                                     view->cursor, deadline);
  if (!place) log::warn(logged_.renewals, "could not renew a live session", place.error());
  co_return !place || is_newest(std::move(connection), epoch, *place);
}

bool PickupService::is_newest(Connection connection, Epoch epoch, const SessionPlace& place) {
  if (place.gateway == ports_.directory.self() || place.epoch < epoch) return true;
  on_superseded(std::move(connection), place.epoch);
  return false;
}

// Tells the directory, and wakes the phone if messages wait for it. What fails is tried again.
Task<void> PickupService::end_session(Connection connection, Epoch epoch, Deadline deadline) {
  const auto closed = co_await ports_.directory.close(connection, epoch, deadline);
  if (!closed) co_return try_end_later(std::move(connection), epoch, closed.error());
  if (!*closed) {
    const auto newer = co_await ports_.directory.find(connection, deadline);
    // The phone may be live by another session.
    if (newer && *newer && ports_.directory.presence(**newer) == Presence::live) co_return;
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

Task<bool> PickupService::pump_queue(Connection connection) {
  PumpOutcome outcome{true, false};
  while (outcome.go_on) outcome = co_await pump_once(connection);
  co_return outcome.unreachable;
}

Task<void> PickupService::pump(Connection connection, std::optional<PushRequest> if_unreachable) {
  const bool unreachable = co_await pump_queue(std::move(connection));
  if (unreachable && if_unreachable) push(std::move(*if_unreachable));
}

Task<void> PickupService::pump_announced(Connection connection) {
  if (!co_await pump_queue(connection)) co_return;
  co_await remind(std::move(connection), MessageId(), PushReason::message_added);
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
  if (step->unverified && !co_await renew(connection, step->epoch, deadline)) {
    co_return PumpOutcome();
  }
  query.queue.connection = connection;
  query.limit = std::min(step->room, kPumpMessages);
  query.response_bytes = kPumpBytes;
  query.after = step->cursor;
  const auto messages = co_await ports_.store.take(std::move(query), deadline);
  if (messages) co_return send_pumped(connection, *step, *messages);

  log::warn(logged_.reads, "could not read a queue for live delivery", messages.error());
  std::lock_guard lock(shard.mutex);
  shard.sessions.end_pump(connection, *step, LiveSessions::PumpEnd::blocked);
  co_return PumpOutcome();
}

bool PickupService::send_to_listeners(LiveSessions& sessions, const Connection& connection,
                                      Epoch epoch, const std::vector<StoredMessage>& messages) {
  if (ports_.sink.deliver_to_subscribers(connection, messages) > 0) {
    ports_.metrics.messages_delivered.add(messages.size());
    return true;
  }
  ports_.metrics.deliveries_postponed.add(messages.size());
  // The last first: the session goes on where the earliest of them is.
  for (auto message = messages.rbegin(); message != messages.rend(); ++message) {
    sessions.postpone(connection, epoch, {message->id, message->position});
  }
  return false;
}

PickupService::PumpOutcome PickupService::send_pumped(const Connection& connection,
                                                      const LiveSessions::PumpStep& step,
                                                      const std::vector<StoredMessage>& messages) {
  Shard& shard = shard_of(connection);
  PumpOutcome outcome;
  std::vector<StoredMessage> orphaned;
  {
    auto end = messages.empty() ? LiveSessions::PumpEnd::drained : LiveSessions::PumpEnd::more;
    std::lock_guard lock(shard.mutex);
    const auto view = shard.sessions.find(connection);
    for (const StoredMessage& message : messages) {
      if (!shard.sessions.pump_offer(connection, step, {message.id, message.position},
                                     message.push_token, ports_.clock.steady_now())) {
        continue;
      }
      if (view->holder == SocketId{}) {
        orphaned.push_back(message);
      } else if (!send(shard.sessions, connection, view->holder, step.epoch, message)) {
        end = LiveSessions::PumpEnd::blocked;
        break;
      }
    }
    if (!orphaned.empty() && !send_to_listeners(shard.sessions, connection, step.epoch, orphaned)) {
      outcome.unreachable = true;
      end = LiveSessions::PumpEnd::blocked;
    }
    outcome.go_on = shard.sessions.end_pump(connection, step, end);
  }
  if (!orphaned.empty()) broadcast(connection, step.epoch, std::move(orphaned));
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
  orphans_elsewhere_.listener_came(tenant);
  welcome(tenant);
  background_.spawn(tell_listener_came(std::move(tenant)));
}

Task<void> PickupService::tell_listener_came(TenantId tenant) {
  const auto told = co_await ports_.directory.listener_came(std::move(tenant),
                                                            Deadline::after(kBackgroundDeadline));
  if (!told)
    log::warn("could not tell other gateways of a new listener",
              {{"reason", told.error().context}});
}

void PickupService::on_listener_elsewhere(TenantId tenant) { welcome(tenant); }

void PickupService::welcome(const TenantId& tenant) {
  for (auto& shard : shards_) {
    std::vector<Connection> behind;
    {
      std::lock_guard lock(shard->mutex);
      behind = shard->sessions.welcome(tenant, kSweepPerShard);
    }
    start_pumps(std::move(behind));
  }
}

// --- orphans of other gateways ----------------------------------------------------------------

void PickupService::broadcast(Connection connection, Epoch orphan,
                              std::vector<StoredMessage> messages) {
  background_.spawn(broadcast_all(std::move(connection), orphan, std::move(messages)));
}

Task<void> PickupService::broadcast_all(Connection connection, Epoch orphan,
                                        std::vector<StoredMessage> messages) {
  const Deadline deadline = Deadline::after(kBackgroundDeadline);
  for (StoredMessage& message : messages) {
    const auto sent =
        co_await ports_.directory.broadcast(connection, orphan, std::move(message), deadline);
    if (sent) continue;
    log::warn(logged_.broadcasts, "could not broadcast a message", sent.error());
    co_return;
  }
}

void PickupService::on_orphan_message(Connection connection, Epoch orphan, StoredMessage message) {
  if (has_session_here(connection)) return;
  if (orphans_elsewhere_.had(connection, orphan, message.position)) return;
  const std::span<const StoredMessage> one(&message, 1);
  if (ports_.sink.deliver_to_subscribers(connection, one) == 0) return;
  ports_.metrics.messages_delivered.add();
  orphans_elsewhere_.note(connection, orphan, message.position, ports_.clock.steady_now());
}

Task<void> PickupService::take_on(Caller caller, Connection connection, Epoch orphan) {
  const Deadline deadline = Deadline::after(kBackgroundDeadline);
  const auto place = co_await ports_.directory.find(connection, deadline);
  // Closed meanwhile, or the phone is live by another one.
  if (!place || !*place || (*place)->epoch != orphan) co_return;
  // Its id is known only to the gateway that lost it.
  const auto opened =
      co_await open_session(caller, {std::move(connection.id), SessionId()}, deadline);
  if (opened) {
    ports_.metrics.live_sessions_adopted.add();
  } else {
    log::warn("could not take on a live session", {{"reason", opened.error().context}});
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
  announce_superseded();
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
    background_.spawn(remind(overdue.connection, std::move(overdue.message.id),
                             PushReason::acknowledgement_overdue));
  }
  start_ends(std::move(expired.ended));
  start_pumps(std::move(behind));
}

// Wakes a phone that did not acknowledge in time or cannot be reached, unless nothing waits for it
// any more: the acknowledgement may have come through another gateway, or the message expired.
Task<void> PickupService::remind(Connection connection, MessageId overdue, PushReason reason) {
  const auto token =
      co_await ports_.store.newest_push_token(connection, Deadline::after(kBackgroundDeadline));
  if (!token) {
    log::warn(logged_.tokens, "could not look for a push token", token.error());
    co_return;
  }
  consider_push(std::move(connection), std::move(overdue), *token, reason);
}

void PickupService::on_announced(Connection connection, Position position) {
  // Whatever the epoch: the session's cursor says whether it has had the message. And if there is
  // no session, what ended it looks for messages that wait.
  Offer offer;
  bool orphaned = false;
  {
    Shard& shard = shard_of(connection);
    std::lock_guard lock(shard.mutex);
    offer = shard.sessions.announce(connection, position);
    const auto view = shard.sessions.find(connection);
    orphaned = view && view->holder == SocketId{};
  }
  if (offer == Offer::wait) {
    background_.spawn(pump_announced(std::move(connection)));
  } else if (offer == Offer::blocked && orphaned) {
    // The phone's mediator may never come back.
    background_.spawn(remind(std::move(connection), MessageId(), PushReason::message_added));
  }
}

void PickupService::on_superseded(Connection connection, Epoch newer) {
  {
    Shard& shard = shard_of(connection);
    std::lock_guard lock(shard.mutex);
    const auto lost = shard.sessions.supersede(connection, newer);
    if (!lost) return;
    ports_.metrics.live_sessions_replaced.add();
    if (lost->holder != SocketId{}) {
      ports_.sink.session_replaced(lost->holder, connection, lost->session_id);
    }
  }
  // Later: the directory may hold a lock while it tells.
  std::lock_guard lock(superseded_mutex_);
  if (superseded_.size() < kMaxUnended) superseded_.push_back(std::move(connection));
}

void PickupService::announce_superseded() {
  std::vector<Connection> batch;
  {
    std::lock_guard lock(superseded_mutex_);
    batch.swap(superseded_);
  }
  for (Connection& connection : batch) background_.spawn(announce_newest(std::move(connection)));
}

// Until the notice came, what was accepted here was offered to the old session and to nobody else.
Task<void> PickupService::announce_newest(Connection connection) {
  const Deadline deadline = Deadline::after(kBackgroundDeadline);
  const auto place = co_await ports_.directory.find(connection, deadline);
  if (!place) co_return log_unannounced(place.error());
  if (!*place || (*place)->gateway == ports_.directory.self()) co_return;
  const auto tail = co_await ports_.store.tail(connection, deadline);
  if (!tail) co_return log_unannounced(tail.error());
  const auto announced =
      co_await ports_.directory.announce(std::move(connection), **place, *tail, deadline);
  if (!announced) log_unannounced(announced.error());
}

void PickupService::on_gap() {
  for (auto& shard : shards_) {
    std::lock_guard lock(shard->mutex);
    shard->sessions.all_fall_behind();
  }
}

}  // namespace mpr
