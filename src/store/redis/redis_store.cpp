#include "store/redis/redis_store.hpp"

#include <random>
#include <utility>

#include "store/redis/installation.hpp"
#include "store/redis/queue_census.hpp"
#include "store/redis/queue_patrol.hpp"
#include "store/redis/scripts.hpp"

namespace mpr {

namespace {

constexpr std::chrono::seconds kRefusalIsRemembered{3};
constexpr std::chrono::seconds kMissingReplicaIsRemembered{10};

// Six characters that no other store object of the installation is likely to have.
std::string random_nonce_base() {
  constexpr std::string_view kDigits =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::random_device source;
  std::string base;
  for (int i = 0; i < 6; ++i) base += kDigits[source() % kDigits.size()];
  return base;
}

}  // namespace

RedisStore::RedisStore(redis::Client& client, Options options, Clock& clock, Metrics& metrics)
    : client_(client),
      options_(std::move(options)),
      keys_(options_.prefix, options_.partitions),
      clock_(clock),
      metrics_(metrics),
      nonce_base_(random_nonce_base()) {
  if (options_.census_interval.count() > 0) {
    census_ = std::make_unique<redis::QueueCensus>(client_, keys_, options_.census_interval);
  }
  if (options_.patrol_interval.count() > 0) {
    patrol_ = std::make_unique<redis::QueuePatrol>(client_, keys_, options_.patrol_interval);
  }
}

RedisStore::~RedisStore() = default;

Task<Result<std::unique_ptr<RedisStore>>> RedisStore::open(redis::Client& client, Options options,
                                                           Clock& clock, Metrics& metrics,
                                                           Deadline deadline) {
  const redis::Keys keys(options.prefix, options.partitions);
  const auto made = co_await redis::restore_installation(client, keys, deadline);
  if (!made) co_return std::unexpected(made.error());
  const auto found = co_await redis::read_installation(client, keys, deadline);
  if (!found) co_return std::unexpected(found.error());
  if (!*found) co_return fail(Errc::unavailable, "Redis was emptied during the start");
  if (auto checked = redis::check_installation(**found, keys); !checked) {
    co_return std::unexpected(std::move(checked).error());
  }
  co_return std::unique_ptr<RedisStore>(new RedisStore(client, std::move(options), clock, metrics));
}

// --- calls ------------------------------------------------------------------------------------

std::string RedisStore::now() const {
  return std::to_string(clock_.now().time_since_epoch().count());
}

redis::Request RedisStore::script_request(const redis::Script& script, const Connection& connection,
                                          Words more_keys, const Words& arguments,
                                          redis::Repeat repeat,
                                          redis::Durability durability) const {
  Words keys;
  keys.reserve(7 + more_keys.size());
  keys.push_back(keys_.queue(connection));
  for (const std::string_view part : {"n", "c", "m", "g", "x", "i"}) {
    keys.push_back(keys_.of_connection(part, connection));
  }
  for (std::string& key : more_keys) keys.push_back(std::move(key));
  redis::Request request(keys.front());
  request.eval(script, keys, arguments, repeat);
  request.durability(durability);
  return request;
}

Task<redis::Outcome<redis::Value>> RedisStore::run_script(redis::Request request,
                                                          Deadline deadline) {
  auto answer = co_await client_.run_one(std::move(request), deadline);
  if (!answer) co_return std::unexpected(note_failure(std::move(answer).error()));
  if (answer->is_error()) co_return std::unexpected(note_refusal(*answer));
  co_return std::move(*answer);
}

Task<Result<redis::Value>> RedisStore::ask(std::reference_wrapper<const redis::Script> script,
                                           Connection connection, Words more_keys, Words arguments,
                                           Deadline deadline) {
  auto answer =
      co_await run_script(script_request(script, connection, std::move(more_keys), arguments,
                                         redis::Repeat::safe, redis::Durability::primary),
                          deadline);
  if (!answer) co_return std::unexpected(std::move(answer).error().error);
  co_return std::move(*answer);
}

redis::Failure RedisStore::note_failure(redis::Failure failure) {
  metrics_.store_errors.add();
  if (failure.maybe_executed) failure.error.effect = Error::Effect::unknown;
  if (options_.durability == redis::Durability::replicated && failure.maybe_executed &&
      failure.error.code == Errc::unavailable) {
    remember_refusal(failure.error, kMissingReplicaIsRemembered);
  }
  return failure;
}

redis::Failure RedisStore::note_refusal(const redis::Value& error_answer) {
  metrics_.store_errors.add();
  redis::Failure failure{redis::error_of(error_answer), false};
  if (failure.error.code == Errc::unavailable || failure.error.code == Errc::quota_exceeded) {
    remember_refusal(failure.error, kRefusalIsRemembered);
  }
  return failure;
}

void RedisStore::remember_refusal(const Error& refusal, std::chrono::seconds how_long) {
  log::warn(refusals_logged_, "Redis does not take what it is given", refusal);
  std::lock_guard lock(refusal_mutex_);
  refusal_ = refusal;
  refused_until_ = std::chrono::steady_clock::now() + how_long;
}

void RedisStore::count_expired(std::int64_t how_many) {
  if (how_many > 0) metrics_.messages_expired.add(static_cast<std::uint64_t>(how_many));
}

// Frees what expired. Those who ask have left it out already; if this fails, the next one tries.
Task<void> RedisStore::purge(Connection connection, Deadline deadline) {
  constexpr std::int64_t kAtOnce = 200;
  std::int64_t purged = kAtOnce;
  while (purged == kAtOnce) {
    Words arguments;
    arguments.push_back(now());
    arguments.push_back(std::to_string(kAtOnce));
    const auto answer = co_await ask(redis::queue_script<redis::scripts::purge>(), connection,
                                     Words(), std::move(arguments), deadline);
    purged = answer ? answer->integer : 0;
    count_expired(purged);
  }
}

Result<void> RedisStore::ready() const {
  if (auto reachable = client_.ready(); !reachable) return reachable;
  std::lock_guard lock(refusal_mutex_);
  if (std::chrono::steady_clock::now() >= refused_until_) return {};
  return fail(Errc::unavailable, refusal_.context);
}

StoreTotals RedisStore::totals() const {
  StoreTotals totals;
  totals.known = StoreTotals::Known::queues_only;
  if (census_) totals.queues = census_->queues();
  return totals;
}

}  // namespace mpr
