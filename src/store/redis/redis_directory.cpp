// Sessions and what is said to other gateways. What goes on by itself is in
// directory_background.cpp.
#include "store/redis/redis_directory.hpp"

#include <algorithm>
#include <exception>
#include <random>
#include <utility>

#include "base/log.hpp"
#include "store/redis/scripts.hpp"

namespace mpr {

using redis::ChannelContent;
using redis::Outcome;
using redis::Repeat;
using redis::Request;
using redis::SessionRecord;
using redis::Value;

namespace {

constexpr std::size_t kMostStaleRecords = 100'000;

std::uint64_t random_number() {
  std::random_device source;
  return (static_cast<std::uint64_t>(source()) << 32U) | source();
}

void log_exception(std::exception_ptr exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& e) {
    log::error("background work of the directory failed", {{"reason", e.what()}});
  } catch (...) {
    log::error("background work of the directory failed");
  }
}

Error unreadable_record() { return {Errc::corrupt, "a session record in Redis is not readable"}; }

}  // namespace

RedisDirectory::RedisDirectory(redis::Client& client, redis::Keys keys, Options options,
                               Clock& clock, Metrics& metrics)
    : client_(client),
      keys_(std::move(keys)),
      options_(std::move(options)),
      clock_(clock),
      metrics_(metrics),
      speaker_{options_.self, random_number()},
      common_channel_(keys_.of_installation("everyone")),
      gateways_key_(keys_.of_installation("gateways")),
      membership_(options_.self, {options_.dead_after, options_.orphan_grace}),
      tasks_(log_exception),
      thread_("mpr-directory") {
  inbox_ = std::make_shared<redis::DirectoryInbox>(
      speaker_, options_.number_patience, clock_,
      redis::DirectoryInbox::Handlers{[this](const GatewayId& gateway) { on_left(gateway); },
                                      [this] { on_overlooked(); }});
}

Result<std::unique_ptr<RedisDirectory>> RedisDirectory::start(redis::Client& client,
                                                              redis::Keys keys, Options options,
                                                              Clock& clock, Metrics& metrics,
                                                              Deadline deadline) {
  std::unique_ptr<RedisDirectory> directory(
      new RedisDirectory(client, std::move(keys), std::move(options), clock, metrics));
  const auto joined = directory->join(deadline);
  if (!joined) return std::unexpected(joined.error());
  return directory;
}

RedisDirectory::~RedisDirectory() {
  leave();
  stop();
  inbox_->close();
}

void RedisDirectory::listen(LiveDirectoryListener& listener) { inbox_->listen(listener); }

Task<Result<std::vector<RecoveredSession>>> RedisDirectory::recover() {
  co_return std::vector<RecoveredSession>();
}

// --- sessions ---------------------------------------------------------------------------------

// Epochs are microseconds of Redis' clock, so that those of all gateways grow together.
Epoch RedisDirectory::next_epoch(Epoch larger_than) {
  const auto now =
      std::chrono::duration_cast<std::chrono::microseconds>(clock_.steady_now().time_since_epoch());
  const auto clock = static_cast<std::uint64_t>(
      std::max<std::int64_t>(now.count() + server_offset_.load(std::memory_order_relaxed), 1));
  std::uint64_t last = last_epoch_.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    next = std::max({clock, last + 1, larger_than.value + 1});
  } while (!last_epoch_.compare_exchange_weak(last, next, std::memory_order_relaxed));
  return Epoch{next};
}

Task<Outcome<Result<std::optional<SessionRecord>>>> RedisDirectory::write_record(
    std::string key, SessionRecord record, Deadline deadline) {
  using Former = Result<std::optional<SessionRecord>>;
  const std::string text = redis::encode(record);
  const std::string ttl = std::to_string(options_.session_ttl.count());
  Request request(key);
  request.add({"SET", key, text, "EX", ttl, "GET"}, Repeat::safe);
  auto value = co_await client_.run_one(std::move(request), deadline);
  if (value && value->is_error() && redis::error_of(*value).code == Errc::quota_exceeded) {
    // A script may write while the memory is full; a plain command is half as dear.
    value = co_await client_.eval(redis::scripts::open_session(), {std::move(key)}, {text, ttl},
                                  Repeat::safe, deadline);
  }
  if (!value) co_return std::unexpected(std::move(value.error()));
  if (value->is_error()) co_return Former(std::unexpected(redis::error_of(*value)));
  if (!value->is_text()) co_return Former(std::nullopt);
  // What is not readable is overwritten by now; nobody can be told.
  co_return Former(redis::decode_session_record(value->text));
}

Task<Result<Epoch>> RedisDirectory::open(Connection connection, SessionId session_id,
                                         Position opened_at, Deadline deadline) {
  const std::string key = keys_.session(connection);
  SessionRecord record{next_epoch(Epoch{}), opened_at, options_.self, std::move(session_id)};
  std::vector<GatewayId> losers;
  Epoch written;  // by an earlier turn
  while (true) {
    const auto former = co_await write_record(key, record, deadline);
    if (!former) {
      if (written != Epoch{}) withdraw_later(connection, written);
      if (former.error().maybe_executed) withdraw_later(connection, record.epoch);
      co_return std::unexpected(former.error().error);
    }
    if (!*former) {
      if (written != Epoch{}) withdraw_later(connection, written);
      co_return std::unexpected(former->error());
    }
    if (!**former) break;
    const SessionRecord& there = ***former;
    if (there.place() == record.place()) {
      // The command was sent twice, and its first answer is lost: anybody may have been there.
      losers = {GatewayId()};
      break;
    }
    if (there.gateway != options_.self) losers.push_back(there.gateway);
    if (there.epoch < record.epoch) break;
    written = record.epoch;
    record.epoch = next_epoch(there.epoch);
  }
  if (!losers.empty()) tell_superseded(std::move(losers), std::move(connection), record.epoch);
  co_return record.epoch;
}

Task<Outcome<bool>> RedisDirectory::delete_record(Connection connection, Epoch epoch,
                                                  Deadline deadline) {
  auto value = co_await client_.eval(redis::scripts::close_session(), {keys_.session(connection)},
                                     {redis::record_prefix(epoch)}, Repeat::safe, deadline);
  if (!value) co_return std::unexpected(std::move(value.error()));
  if (value->is_error()) {
    redis::Failure failure{.error = redis::error_of(*value), .maybe_executed = false};
    co_return std::unexpected(std::move(failure));
  }
  co_return value->integer == 1;
}

Task<Result<bool>> RedisDirectory::close(Connection connection, Epoch epoch, Deadline deadline) {
  note_closed(connection, epoch);
  const auto deleted = co_await delete_record(std::move(connection), epoch, deadline);
  if (!deleted) co_return std::unexpected(deleted.error().error);
  co_return *deleted;
}

Task<Result<std::optional<SessionRecord>>> RedisDirectory::read_record(Connection connection,
                                                                       Deadline deadline) {
  const std::string key = keys_.session(connection);
  Request request(key);
  request.add({"GET", key}, Repeat::safe);
  const auto value = co_await client_.run_one(std::move(request), deadline);
  if (!value) co_return std::unexpected(value.error().error);
  if (value->is_error()) co_return std::unexpected(redis::error_of(*value));
  if (value->is_null()) co_return std::nullopt;
  auto record = redis::decode_session_record(value->text);
  if (!record) co_return std::unexpected(unreadable_record());
  if (presence(record->place()) == Presence::gone) co_return std::nullopt;
  co_return std::move(record);
}

Task<Result<std::optional<SessionPlace>>> RedisDirectory::find(Connection connection,
                                                               Deadline deadline) {
  const auto record = co_await read_record(std::move(connection), deadline);
  if (!record) co_return std::unexpected(record.error());
  if (!*record) co_return std::nullopt;
  co_return (*record)->place();
}

Task<Result<bool>> RedisDirectory::moved_on(Connection connection, SessionId session_id,
                                            Deadline deadline) {
  const auto record = co_await read_record(std::move(connection), deadline);
  if (!record) co_return std::unexpected(record.error());
  if (!*record || (*record)->gateway == options_.self) co_return false;
  const SessionId& there = (*record)->session_id;
  co_return !there.value.empty() && there != session_id;
}

Task<Result<SessionPlace>> RedisDirectory::renew(Connection connection, SessionId session_id,
                                                 Epoch epoch, Position opened_at,
                                                 Deadline deadline) {
  begin_renewal(connection, epoch);
  SessionRecord record{epoch, opened_at, options_.self, std::move(session_id)};
  auto place = co_await renew_record(connection, std::move(record), deadline);
  if (end_renewal(connection, epoch)) withdraw_later(std::move(connection), epoch);
  co_return place;
}

Task<Result<SessionPlace>> RedisDirectory::renew_record(Connection connection, SessionRecord record,
                                                        Deadline deadline) {
  const auto value =
      co_await client_.eval(redis::scripts::renew_session(), {keys_.session(connection)},
                            {redis::encode(record), std::to_string(record.epoch.value),
                             std::to_string(options_.session_ttl.count())},
                            Repeat::safe, deadline);
  if (!value) co_return std::unexpected(value.error().error);
  if (value->is_error()) co_return std::unexpected(redis::error_of(*value));
  if (value->items.empty()) co_return std::unexpected(unreadable_record());
  std::optional<SessionRecord> there;
  if (value->items.size() > 1 && value->items[1].is_text()) {
    there = redis::decode_session_record(value->items[1].text);
  }
  if (value->items.front().integer == 0) {
    if (!there) co_return std::unexpected(unreadable_record());
    co_return there->place();
  }
  // An older one stood there: Redis forgot ours and somebody opened with a clock that was behind.
  if (there && there->gateway != options_.self) {
    tell_superseded({there->gateway}, std::move(connection), record.epoch);
  }
  co_return record.place();
}

void RedisDirectory::begin_renewal(const Connection& connection, Epoch epoch) {
  std::lock_guard lock(sessions_mutex_);
  ++renewals_[{connection, epoch}].running;
}

bool RedisDirectory::end_renewal(const Connection& connection, Epoch epoch) {
  std::lock_guard lock(sessions_mutex_);
  const auto found = renewals_.find({connection, epoch});
  const bool closed = found->second.closed;
  if (--found->second.running == 0) renewals_.erase(found);
  return closed;
}

void RedisDirectory::note_closed(const Connection& connection, Epoch epoch) {
  std::lock_guard lock(sessions_mutex_);
  const auto found = renewals_.find({connection, epoch});
  if (found != renewals_.end()) found->second.closed = true;
}

void RedisDirectory::withdraw_later(Connection connection, Epoch epoch) {
  std::lock_guard lock(sessions_mutex_);
  if (stale_records_.size() >= kMostStaleRecords) {
    log::warn("a session record may stay although its session was never opened");
    return;
  }
  stale_records_.push_back({std::move(connection), epoch});
}

Presence RedisDirectory::presence(const SessionPlace& place) const {
  std::shared_lock lock(membership_mutex_);
  return membership_.presence(place, clock_.steady_now());
}

// --- what is said to others ---------------------------------------------------------------------

std::string RedisDirectory::encode(ChannelContent content) const {
  return redis::encode(redis::ChannelMessage{speaker_, std::move(content)});
}

Task<Result<void>> RedisDirectory::announce(Connection connection, SessionPlace place,
                                            Position position, Deadline deadline) {
  redis::Announced content{0, std::move(connection), position};
  {
    std::lock_guard lock(numbers_mutex_);
    content.number = numbers_.next(place.gateway);
  }
  metrics_.announcements.add();
  const auto heard = co_await client_.publish(keys_.gateway_channel(place.gateway),
                                              encode(std::move(content)), deadline);
  if (heard && *heard > 0) co_return Result<void>();
  metrics_.announcements_failed.add();
  if (!heard) co_return std::unexpected(heard.error().error);
  co_return fail(Errc::unavailable, "nobody listens at gateway " + place.gateway.value);
}

Task<Result<void>> RedisDirectory::say_to_everybody(ChannelContent content, Deadline deadline) {
  const auto heard =
      co_await client_.publish(common_channel_, encode(std::move(content)), deadline);
  if (!heard) co_return std::unexpected(heard.error().error);
  co_return Result<void>();
}

Task<Result<void>> RedisDirectory::broadcast(Connection connection, Epoch orphan,
                                             StoredMessage message, Deadline deadline) {
  if (message.size() > kMostBroadcastBytes) co_return Result<void>();
  redis::OrphanMessage content{std::move(connection), orphan, std::move(message)};
  co_return co_await say_to_everybody(std::move(content), deadline);
}

Task<Result<void>> RedisDirectory::listener_came(TenantId tenant, Deadline deadline) {
  redis::ListenerCame content{std::move(tenant)};
  co_return co_await say_to_everybody(std::move(content), deadline);
}

}  // namespace mpr
