// The part of PickupService that opens, verifies and ends live sessions.
#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "pickup/pickup_service.hpp"

namespace mpr {

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

}  // namespace mpr
