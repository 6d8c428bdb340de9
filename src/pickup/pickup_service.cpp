#include "pickup/pickup_service.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"

namespace mpr {

namespace {

void report_bug(std::exception_ptr exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& e) {
    log::error("background task ended with an exception", {{"what", e.what()}});
  } catch (...) {
    log::error("background task ended with an unknown exception");
  }
}

// Unknown is as good as "the one right before": a session that has not had that reads its queue.
Position previous_of(const AddOutcome& added) {
  return added.previous.value_or(Position{added.position.value - 1});
}

std::vector<Position> positions_of(const std::vector<StoredMessage>& messages) {
  std::vector<Position> positions;
  positions.reserve(messages.size());
  for (const StoredMessage& m : messages) positions.push_back(m.position);
  return positions;
}

}  // namespace

PickupService::PickupService(Ports ports, Options options)
    : ports_(ports),
      options_(options),
      orphans_elsewhere_(options.sessions.orphan_grace),
      background_(report_bug) {
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
    query.exclude = shard.sessions.hidden(connection);
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
  message.answer = has_session_here(connection) ? AddAnswer::with_previous : AddAnswer::brief;

  Result<AddOutcome> added = co_await ports_.store.add(std::move(message), deadline);
  if (!added) co_return std::unexpected(added.error());
  AddReceipt receipt{added->id, added->received_at};
  stored.id = added->id;
  stored.position = added->position;
  stored.received_at = added->received_at;
  if (added->duplicate) {
    ports_.metrics.messages_deduplicated.add();
    // The first add may have died before it told anyone. With the message as its own predecessor, a
    // session that has not had it reads the store, where the first payload is.
    added->previous = added->position;
    if (!co_await is_pending(connection, added->position, deadline)) co_return receipt;
  } else {
    ports_.metrics.messages_added.add();
  }
  if (!offer_here(connection, stored, previous_of(*added))) {
    co_await route(std::move(connection), std::move(stored), std::move(*added), deadline);
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

bool PickupService::has_session_here(const Connection& connection) const {
  Shard& shard = shard_of(connection);
  std::lock_guard lock(shard.mutex);
  return shard.sessions.contains(connection);
}

bool PickupService::offer_here(const Connection& connection, const StoredMessage& message,
                               Position previous) {
  Shard& shard = shard_of(connection);
  Offer offer;
  bool orphaned = false;
  Epoch epoch;
  {
    std::lock_guard lock(shard.mutex);
    offer = shard.sessions.offer(connection, {message.id, message.position}, previous,
                                 message.push_token, ports_.clock.steady_now());
    if (offer == Offer::no_session) return false;
    if (offer == Offer::done) return true;
    const auto view = shard.sessions.find(connection);
    orphaned = view->holder == SocketId{};
    epoch = view->epoch;
    if (offer == Offer::deliver &&
        !send(shard.sessions, connection, view->holder, view->epoch, message)) {
      offer = Offer::blocked;
    }
  }
  if (orphaned && offer != Offer::wait) broadcast(connection, epoch, {message});
  if (offer == Offer::deliver) return true;
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
  if (holder == SocketId{}) return send_to_listeners(sessions, connection, epoch, {message});
  const std::span<const StoredMessage> one(&message, 1);
  if (ports_.sink.deliver(holder, connection, one) == Delivery::accepted) {
    ports_.metrics.messages_delivered.add();
    return true;
  }
  ports_.metrics.deliveries_postponed.add();
  sessions.postpone(connection, epoch, {message.id, message.position});
  return false;
}

Task<void> PickupService::route(Connection connection, StoredMessage message, AddOutcome added,
                                Deadline deadline) {
  // The message is stored: whatever goes wrong from here on does not fail its add. The receiver's
  // sweep finds what an announcement lost.
  const Position previous = previous_of(added);
  if (co_await reach_elsewhere(connection, message, std::move(added), deadline)) co_return;
  // A session may have opened here while others were asked.
  if (offer_here(connection, message, previous)) co_return;
  consider_push(std::move(connection), std::move(message.id), std::move(message.push_token),
                PushReason::message_added);
}

Task<bool> PickupService::reach_elsewhere(Connection connection, StoredMessage message,
                                          AddOutcome added, Deadline deadline) {
  std::optional<SessionPlace> place;
  if (added.session) {
    place = std::move(*added.session);
  } else {
    const auto found = co_await ports_.directory.find(connection, deadline);
    if (found) {
      place = *found;
    } else {
      log::warn(logged_.lookups, "could not look up a live session", found.error());
    }
  }
  if (!place || place->gateway == ports_.directory.self()) co_return false;
  Presence presence = ports_.directory.presence(*place);
  if (presence == Presence::live) {
    const auto announced =
        co_await ports_.directory.announce(connection, *place, message.position, deadline);
    if (announced) co_return true;
    log::warn(logged_.announcements, "could not announce a message", announced.error());
    presence = Presence::lost;
  }
  if (presence == Presence::lost) {
    on_orphan_message(connection, place->epoch, message);
    broadcast(std::move(connection), place->epoch, {std::move(message)});
  }
  co_return false;
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
  } else if (deadline.passed()) {  // what nobody gets is not in flight
    co_return fail(Errc::deadline_exceeded, "the store's answer came too late");
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
  // A client that comes back may acknowledge what it has before it subscribes.
  const auto heard = ports_.sink.listens(caller.socket) ? LiveSessions::Heard::everything
                                                        : LiveSessions::Heard::nothing;
  bool adopted = false;
  bool here = false;
  {
    Shard& shard = shard_of(connection);
    std::lock_guard lock(shard.mutex);
    adopted = shard.sessions.adopt(connection, caller.socket, heard);
    here = adopted || shard.sessions.contains(connection);
  }
  if (!here) {
    const auto orphan = orphans_elsewhere_.take(connection, ports_.clock.steady_now());
    if (orphan) background_.spawn(take_on(caller, connection, *orphan));
  }
  if (!adopted) return;
  ports_.metrics.live_sessions_adopted.add();
  if (!ports_.sink.is_open(caller.socket)) socket_closed(caller.socket);
  start_pump(connection);
}

Task<Result<RemoveOutcome>> PickupService::remove_and_settle(Caller caller, Connection connection,
                                                             std::vector<MessageId> ids,
                                                             Deadline deadline) {
  auto removed = co_await ports_.store.remove(connection, std::move(ids), deadline);
  if (!removed) co_return removed;
  ports_.metrics.messages_acknowledged.add(removed->removed.size());
  settle(connection, removed->removed);
  if (!removed->removed.empty()) adopt(caller, connection);
  co_return removed;
}

Task<Result<void>> PickupService::remove(Caller caller, RemoveRequest request, Deadline deadline) {
  Connection connection{caller.tenant, std::move(request.connection_id)};
  const auto removed = co_await remove_and_settle(std::move(caller), std::move(connection),
                                                  std::move(request.message_ids), deadline);
  if (!removed) co_return std::unexpected(removed.error());
  co_return Result<void>();
}

Task<Result<AcknowledgeReceipt>> PickupService::acknowledge(Caller caller, RemoveRequest request,
                                                            Deadline deadline) {
  const Connection connection{caller.tenant, std::move(request.connection_id)};
  const auto removed = co_await remove_and_settle(std::move(caller), connection,
                                                  std::move(request.message_ids), deadline);
  if (!removed) co_return std::unexpected(removed.error());
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

}  // namespace mpr
