#include "pickup/pickup_service.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"

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

void report_bug(std::exception_ptr exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& e) {
    log::error("background task ended with an exception", {{"what", e.what()}});
  } catch (...) {
    log::error("background task ended with an unknown exception");
  }
}

std::vector<Position> positions_of(const std::vector<StoredMessage>& messages) {
  std::vector<Position> positions;
  positions.reserve(messages.size());
  for (const StoredMessage& m : messages) positions.push_back(m.position);
  return positions;
}

}  // namespace

PickupService::PickupService(Ports ports, Options options)
    : ports_(ports), options_(options), background_(report_bug) {
  for (auto& shard : shards_) shard = std::make_unique<Shard>(options_.sessions);
}

PickupService::~PickupService() = default;

PickupService::Shard& PickupService::shard_of(const Connection& connection) const {
  return *shards_[hash_of(connection) % kShards];
}

QueueQuery PickupService::query_of(Connection connection,
                                   std::optional<RecipientDid> recipient_did) const {
  Shard& shard = shard_of(connection);
  QueueQuery query;
  {
    std::lock_guard lock(shard.mutex);
    query.exclude = shard.sessions.in_flight(connection);
  }
  query.connection = std::move(connection);
  query.recipient_did = std::move(recipient_did);
  return query;
}

// --- adding -----------------------------------------------------------------------------------

Result<NewMessage> PickupService::new_message(const Caller& caller, AddRequest request) const {
  if (request.payload->size() > options_.max_message_bytes) {
    return fail(Errc::too_large, "payload: " + std::to_string(request.payload->size()) +
                                     " bytes, the limit is " +
                                     std::to_string(options_.max_message_bytes));
  }
  const TimePoint now = ports_.clock.now();
  NewMessage message;
  message.connection = {caller.tenant, std::move(request.connection_id)};
  if (request.message_id) {
    message.id = std::move(*request.message_id);
    message.id_origin = IdOrigin::caller;
  } else {
    message.id = ports_.ids.next_message_id();
  }
  message.recipient_dids = std::move(request.recipient_dids);
  message.payload = std::move(request.payload);
  message.received_at = request.received_at.value_or(now);
  if (request.ttl) message.expires_at = now + *request.ttl;
  message.push_token = std::move(request.push_token);
  return message;
}

Task<Result<AddReceipt>> PickupService::add_message(Caller caller, AddRequest request,
                                                    Deadline deadline) {
  Result<NewMessage> message = new_message(caller, std::move(request));
  if (!message) co_return std::unexpected(message.error());
  co_return co_await store_and_route(std::move(*message), deadline);
}

Task<Result<AddReceipt>> PickupService::store_and_route(NewMessage message, Deadline deadline) {
  Connection connection = message.connection;
  StoredMessage stored;
  stored.payload = message.payload;
  stored.expires_at = message.expires_at;
  stored.push_token = message.push_token;

  Result<AddOutcome> added = co_await ports_.store.add(std::move(message), deadline);
  if (!added) co_return std::unexpected(added.error());
  AddReceipt receipt{added->id, added->received_at};
  stored.id = std::move(added->id);
  stored.position = added->position;
  stored.received_at = added->received_at;
  Position previous = added->previous;
  if (added->duplicate) {
    ports_.metrics.messages_deduplicated.add();
    // The first add may have died before it told anyone. With the message as its own predecessor, a
    // session that has not had it reads the store, where the first payload is.
    previous = added->position;
    if (!co_await is_pending(connection, added->position, deadline)) co_return receipt;
  } else {
    ports_.metrics.messages_added.add();
  }
  if (!offer_here(connection, stored, previous)) {
    co_await route(std::move(connection), std::move(stored), previous, deadline);
  }
  co_return receipt;
}

Task<bool> PickupService::is_pending(Connection connection, Position position, Deadline deadline) {
  TakeQuery query;
  query.queue.connection = std::move(connection);
  query.limit = 1;
  query.after = Position{position.value - 1};
  const auto found = co_await ports_.store.take(std::move(query), deadline);
  // In doubt the answer is yes: a wake-up too many does no harm.
  co_return !found || (!found->empty() && found->front().position == position);
}

Task<Result<std::vector<AddReceipt>>> PickupService::add_messages(Caller caller,
                                                                  std::vector<AddRequest> requests,
                                                                  Deadline deadline) {
  std::vector<NewMessage> messages;
  messages.reserve(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    Result<NewMessage> message = new_message(caller, std::move(requests[i]));
    if (!message) {
      co_return fail(message.error().code,
                     "messages[" + std::to_string(i) + "]." + message.error().context);
    }
    messages.push_back(std::move(*message));
  }
  std::vector<Task<Result<AddReceipt>>> tasks;
  tasks.reserve(messages.size());
  for (NewMessage& message : messages) {
    tasks.push_back(store_and_route(std::move(message), deadline));
  }
  const std::vector<Result<AddReceipt>> outcomes = co_await when_all(std::move(tasks));

  std::vector<AddReceipt> receipts;
  receipts.reserve(outcomes.size());
  const Error* first_error = nullptr;
  for (const Result<AddReceipt>& outcome : outcomes) {
    if (outcome) {
      receipts.push_back(*outcome);
    } else if (!first_error) {
      first_error = &outcome.error();
    }
  }
  if (first_error) {
    co_return fail(first_error->code,
                   first_error->context + " (" + std::to_string(receipts.size()) + " of " +
                       std::to_string(outcomes.size()) + " messages were stored)");
  }
  co_return receipts;
}

bool PickupService::offer_here(const Connection& connection, const StoredMessage& message,
                               Position previous) {
  Shard& shard = shard_of(connection);
  Offer offer;
  bool orphaned = false;
  {
    std::lock_guard lock(shard.mutex);
    offer = shard.sessions.offer(connection, {message.id, message.position}, previous,
                                 message.push_token, ports_.clock.steady_now());
    if (offer == Offer::no_session) return false;
    if (offer == Offer::done) return true;
    const auto view = shard.sessions.find(connection);
    orphaned = view->holder == SocketId{};
    if (offer == Offer::deliver) {
      if (send(shard.sessions, connection, view->holder, view->epoch, message)) return true;
      offer = Offer::blocked;
    }
  }
  std::optional<PushRequest> if_unreachable;
  if (orphaned && message.push_token) {
    // The phone's mediator may never come back.
    if_unreachable = {connection, message.id, *message.push_token, PushReason::message_added};
  }
  if (offer == Offer::wait) {
    start_pump(connection, std::move(if_unreachable));
  } else if (if_unreachable) {
    push(std::move(*if_unreachable));
  }
  return true;
}

bool PickupService::send(LiveSessions& sessions, const Connection& connection, SocketId holder,
                         Epoch epoch, const StoredMessage& message) {
  const std::span<const StoredMessage> one(&message, 1);
  const bool sent = holder == SocketId{}
                        ? ports_.sink.deliver_to_subscribers(connection, one) > 0
                        : ports_.sink.deliver(holder, connection, one) == Delivery::accepted;
  if (sent) {
    ports_.metrics.messages_delivered.add();
  } else {
    ports_.metrics.deliveries_postponed.add();
    sessions.postpone(connection, epoch, {message.id, message.position});
  }
  return sent;
}

Task<void> PickupService::route(Connection connection, StoredMessage message, Position previous,
                                Deadline deadline) {
  // The message is stored: whatever goes wrong from here on does not fail its add. The receiver's
  // sweep finds what an announcement lost.
  const auto place = co_await ports_.directory.find(connection, deadline);
  if (place && *place && (*place)->gateway != ports_.directory.self()) {
    const auto announced =
        co_await ports_.directory.announce(connection, **place, message, previous, deadline);
    if (announced) co_return;
    log::warn("could not announce a message", {{"reason", announced.error().context}});
  } else if (!place) {
    log::warn("could not look up a live session", {{"reason", place.error().context}});
  }
  // A session may have opened here while the directory was asked.
  if (offer_here(connection, message, previous)) co_return;
  consider_push(std::move(connection), std::move(message.id), std::move(message.push_token),
                PushReason::message_added);
}

void PickupService::consider_push(Connection connection, MessageId id,
                                  std::optional<PushToken> token, PushReason reason) {
  if (token) push({std::move(connection), std::move(id), std::move(*token), reason});
}

void PickupService::push(PushRequest request) {
  ports_.metrics.pushes_due.add();
  ports_.push.enqueue(std::move(request));
}

// --- taking and acknowledging -----------------------------------------------------------------

Task<Result<std::vector<StoredMessage>>> PickupService::take(Caller caller, TakeRequest request,
                                                             Deadline deadline) {
  const Connection connection{caller.tenant, request.connection_id};
  TakeQuery query;
  query.queue = query_of(connection, std::move(request.recipient_did));
  query.limit = request.limit;
  query.limit_bytes = request.limit_bytes;
  query.response_bytes = options_.response_bytes;
  query.mode = request.mode;
  auto messages = co_await ports_.store.take(std::move(query), deadline);
  if (!messages || messages->empty()) co_return messages;
  if (request.mode == TakeMode::remove) {
    ports_.metrics.messages_acknowledged.add(messages->size());
    settle(connection, positions_of(*messages));
  } else {
    Shard& shard = shard_of(connection);
    std::lock_guard lock(shard.mutex);
    shard.sessions.mark_taken(connection, caller.socket, *messages, ports_.clock.steady_now());
  }
  co_return messages;
}

Task<Result<std::uint64_t>> PickupService::count(Caller caller, QueueRequest request,
                                                 Deadline deadline) {
  QueueQuery query =
      query_of({caller.tenant, std::move(request.connection_id)}, std::move(request.recipient_did));
  co_return co_await ports_.store.count(std::move(query), deadline);
}

Task<Result<QueueReport>> PickupService::status(Caller caller, QueueRequest request,
                                                Deadline deadline) {
  const Connection connection{caller.tenant, request.connection_id};
  QueueQuery query = query_of(connection, std::move(request.recipient_did));
  QueueReport report;
  report.in_flight = query.exclude.size();
  const auto live = co_await has_session(caller, std::move(request.connection_id), deadline);
  if (!live) co_return std::unexpected(live.error());
  report.live_delivery = *live;
  const auto status = co_await ports_.store.status(std::move(query), deadline);
  if (!status) co_return std::unexpected(status.error());
  report.status = *status;
  if (status->oldest_received) {
    const auto waited = ports_.clock.now() - *status->oldest_received;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(waited).count();
    report.longest_waited_seconds = static_cast<std::uint64_t>(std::max<std::int64_t>(seconds, 0));
  }
  co_return report;
}

void PickupService::settle(const Connection& connection, const std::vector<Position>& removed) {
  bool room = false;
  {
    Shard& shard = shard_of(connection);
    std::lock_guard lock(shard.mutex);
    room = shard.sessions.settle(connection, removed);
  }
  if (room) start_pump(connection);
}

void PickupService::adopt(const Caller& caller, const Connection& connection) {
  if (!ports_.sink.is_open(caller.socket)) return;
  {
    Shard& shard = shard_of(connection);
    std::lock_guard lock(shard.mutex);
    if (!shard.sessions.adopt(connection, caller.socket)) return;
  }
  ports_.metrics.live_sessions_adopted.add();
  if (!ports_.sink.is_open(caller.socket)) socket_closed(caller.socket);
  start_pump(connection);
}

Task<Result<AcknowledgeReceipt>> PickupService::acknowledge(Caller caller, RemoveRequest request,
                                                            Deadline deadline) {
  const Connection connection{caller.tenant, std::move(request.connection_id)};
  const auto removed =
      co_await ports_.store.remove(connection, std::move(request.message_ids), deadline);
  if (!removed) co_return std::unexpected(removed.error());
  ports_.metrics.messages_acknowledged.add(removed->removed.size());
  settle(connection, removed->removed);
  adopt(caller, connection);
  AcknowledgeReceipt receipt{removed->removed.size(), removed->remaining};
  QueueQuery query = query_of(connection, std::nullopt);
  if (receipt.remaining > 0 && !query.exclude.empty()) {
    const auto visible = co_await ports_.store.count(std::move(query), deadline);
    if (!visible) co_return std::unexpected(visible.error());
    receipt.remaining = *visible;
  }
  co_return receipt;
}

Task<Result<void>> PickupService::remove_all(Caller caller, QueueRequest request,
                                             Deadline deadline) {
  const Connection connection{caller.tenant, std::move(request.connection_id)};
  const auto removed =
      co_await ports_.store.remove_all(connection, std::move(request.recipient_did), deadline);
  if (!removed) co_return std::unexpected(removed.error());
  ports_.metrics.messages_acknowledged.add(removed->removed.size());
  settle(connection, removed->removed);
  co_return Result<void>();
}

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
