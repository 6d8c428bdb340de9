// The part of PickupService that delivers to live sessions: pumping their queues, and what sockets,
// time and the directory report.
#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "pickup/pickup_service.hpp"

namespace mpr {

namespace {

constexpr std::size_t kPumpMessages = 64;           // read and sent in one step of a pump
constexpr std::uint64_t kPumpBytes = 1ULL << 20;    // payload bytes of the same
constexpr std::size_t kLookMessages = 64;           // read for one look of a full session
constexpr std::uint64_t kLookBytes = 256ULL << 10;  // payload bytes of the same
constexpr std::size_t kSweepPerShard = 64;          // sessions looked at in one sweep
constexpr std::size_t kMaxBackground = 20'000;      // tasks; over it ticks start no more
constexpr std::chrono::seconds kRetryInterval{1};   // of what was blocked or refused

void log_unannounced(const Error& reason) {
  log::warn("could not announce what a replaced session may have had alone",
            {{"reason", reason.context}});
}

}  // namespace

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
  LiveSessions::Swept swept;
  {
    std::lock_guard lock(shard.mutex);
    expired = shard.sessions.expire(now, kExpirePerTick);
    swept = shard.sessions.sweep(
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
  start_pumps(std::move(swept.to_pump));
  if (swept.full && now >= shard.next_look) {
    shard.next_look = now + kRetryInterval;
    background_.spawn(look_for_room(std::move(*swept.full)));
  }
}

// What was acknowledged through another gateway makes room no later than with its deadline, and
// with this sooner. Costs nothing while no session is full.
Task<void> PickupService::look_for_room(Connection connection) {
  Shard& shard = shard_of(connection);
  std::optional<LiveSessions::Look> look;
  {
    std::lock_guard lock(shard.mutex);
    look = shard.sessions.begin_look(connection);
  }
  if (!look) co_return;
  TakeQuery query;
  query.queue.connection = connection;
  query.limit = kLookMessages;
  query.response_bytes = kLookBytes;
  query.after = look->after;
  const auto stored =
      co_await ports_.store.take(std::move(query), Deadline::after(kBackgroundDeadline));
  if (!stored) {
    log::warn(logged_.reads, "could not read a queue for live delivery", stored.error());
    co_return;
  }
  bool room = false;
  {
    std::lock_guard lock(shard.mutex);
    room = shard.sessions.end_look(connection, *look, *stored);
  }
  if (room) start_pump(std::move(connection));
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
