// The part of the Redis store that the archiver uses.
#include <algorithm>
#include <utility>

#include "store/redis/message_ids.hpp"
#include "store/redis/redis_store.hpp"
#include "store/redis/scripts.hpp"

namespace mpr {

namespace {

// How often due() goes on if all that it looked at was out of date.
constexpr int kDueRounds = 50;

std::unexpected<Error> lease_lost() {
  return fail(Errc::unavailable, "the archive lease is lost: another gateway has it");
}

std::string text_of(TimePoint time) { return std::to_string(time.time_since_epoch().count()); }

// Both forms of each id: the entry it names if the store chose it, and the id itself.
void add_ids(std::vector<std::string>& words, const Connection& connection,
             std::vector<MessageId>& ids) {
  for (MessageId& id : ids) {
    const auto own = redis::decode_message_id(connection, id.value);
    words.push_back(own ? redis::entry_of(own->position) : std::string());
    words.push_back(id.value);
  }
}

struct DueConnection {
  std::int64_t since = 0;
  std::string member;

  auto operator<=>(const DueConnection&) const = default;
};

}  // namespace

std::string RedisStore::lease_key(std::uint32_t partition) const {
  return keys_.of_partition("lease", partition);
}
std::string RedisStore::due_key(std::uint32_t partition) const {
  return keys_.of_partition("due", partition);
}
std::string RedisStore::aside_key(std::uint32_t partition) const {
  return keys_.of_partition("aside", partition);
}
std::string RedisStore::remembered_prefix(const Connection& connection) const {
  return keys_.of_connection("r", connection) + ":";
}

Task<Result<void>> RedisStore::note_cold_empty(Connection connection, std::string cold_mark,
                                               Deadline deadline) {
  Words arguments;
  arguments.push_back(std::move(cold_mark));
  const auto answer = co_await ask(redis::queue_script<redis::scripts::note_cold_empty>(),
                                   connection, Words(), std::move(arguments), deadline);
  if (!answer) co_return std::unexpected(answer.error());
  co_return Result<void>();
}

Task<Result<std::optional<ArchiveLease>>> RedisStore::lease(std::uint32_t partition,
                                                            std::optional<ArchiveLease> held,
                                                            std::chrono::milliseconds duration,
                                                            Deadline deadline) {
  const std::string key = lease_key(partition);
  const Words keys = {key, keys_.of_partition("leases", partition)};
  const Words arguments = {std::to_string(held ? held->number : 0),
                           std::to_string(duration.count())};
  redis::Request request(key);
  // A repetition whose first attempt took the lease finds it taken, until it expires.
  request.eval(redis::scripts::lease(), keys, arguments, redis::Repeat::safe);
  const auto answer = co_await run_script(std::move(request), deadline);
  if (!answer) co_return std::unexpected(answer.error().error);
  if (answer->integer <= 0) co_return std::nullopt;
  co_return ArchiveLease{partition, static_cast<std::uint64_t>(answer->integer)};
}

Task<Result<void>> RedisStore::release(ArchiveLease lease, Deadline deadline) {
  const std::string key = lease_key(lease.partition);
  redis::Request request(key);
  const Words keys = {key};
  const Words arguments = {std::to_string(lease.number)};
  request.eval(redis::scripts::release(), keys, arguments, redis::Repeat::safe);
  const auto answer = co_await run_script(std::move(request), deadline);
  if (!answer) co_return std::unexpected(answer.error().error);
  co_return Result<void>();
}

Task<Result<std::vector<Connection>>> RedisStore::due(std::uint32_t partition, TimePoint until,
                                                      std::size_t most, Deadline deadline) {
  const std::string index = due_key(partition);
  const std::string aside = aside_key(partition);
  std::vector<DueConnection> found;
  for (int round = 0; round < kDueRounds && found.empty(); ++round) {
    redis::Request count(index);
    count.add({"HLEN", aside}, redis::Repeat::safe);
    const auto set_aside = co_await run_script(std::move(count), deadline);
    if (!set_aside) co_return std::unexpected(set_aside.error().error);
    const std::size_t look_at = most + static_cast<std::size_t>(set_aside->integer);
    redis::Request range(index);
    range.add(
        {"ZRANGE", index, "-inf", text_of(until), "BYSCORE", "LIMIT", "0", std::to_string(look_at)},
        redis::Repeat::safe);
    const auto members = co_await run_script(std::move(range), deadline);
    if (!members) co_return std::unexpected(members.error().error);
    if (members->items.empty()) break;

    std::vector<Task<Result<redis::Value>>> settling;
    std::vector<std::string> asked;
    for (const redis::Value& member : members->items) {
      const auto connection = redis::decode_connection(member.text);
      if (!connection) continue;
      Words more_keys = {index, aside};
      Words arguments = {now(), member.text, std::to_string(options_.forget_after.count())};
      asked.push_back(member.text);
      settling.push_back(ask(redis::queue_script<redis::scripts::settle_due>(), *connection,
                             std::move(more_keys), std::move(arguments), deadline));
    }
    const auto settled = co_await when_all(std::move(settling));
    for (std::size_t i = 0; i < settled.size(); ++i) {
      if (!settled[i]) co_return std::unexpected(settled[i].error());
      const auto& items = settled[i]->items;
      if (items.size() < 2 || items[0].text.empty()) continue;
      const std::int64_t since = std::stoll(items[0].text);
      if (since <= until.time_since_epoch().count()) found.push_back({since, asked[i]});
    }
    if (members->items.size() < look_at) break;
  }
  std::sort(found.begin(), found.end());
  if (found.size() > most) found.resize(most);
  std::vector<Connection> due;
  for (const DueConnection& one : found) due.push_back(*redis::decode_connection(one.member));
  co_return due;
}

Task<Result<HotStore::Batch>> RedisStore::claim(ArchiveLease lease, Connection connection,
                                                TimePoint until, std::size_t most,
                                                std::uint64_t most_bytes, Deadline deadline) {
  co_await purge(connection, deadline);
  Words more_keys = {lease_key(lease.partition)};
  Words arguments = {std::to_string(lease.number), text_of(until), std::to_string(most),
                     std::to_string(most_bytes), now()};
  auto answer = co_await ask(redis::queue_script<redis::scripts::claim>(), connection,
                             std::move(more_keys), std::move(arguments), deadline);
  if (answer) answer = redis::expect_items(std::move(*answer), 1);
  if (!answer) co_return std::unexpected(std::move(answer).error());
  if (answer->items[0].integer != 1) co_return lease_lost();
  answer = redis::expect_items(std::move(*answer), 3);
  if (!answer) co_return std::unexpected(std::move(answer).error());
  Batch batch;
  for (redis::Value& item : answer->items[1].items) {
    auto entry = redis::parse_entry(std::move(item));
    if (!entry) co_return std::unexpected(std::move(entry).error());
    batch.messages.push_back(redis::as_tier_message(connection, std::move(*entry)));
  }
  batch.withdrawn = redis::ids_of_tags(connection, answer->items[2]);
  co_return batch;
}

Task<Result<ArchiveFinish>> RedisStore::finish(ArchiveLease lease, Connection connection,
                                               std::vector<MessageId> copied, Deadline deadline) {
  Words more_keys = {lease_key(lease.partition)};
  Words arguments = {std::to_string(lease.number), now(),
                     std::to_string(options_.archived_id_window.count()),
                     remembered_prefix(connection)};
  add_ids(arguments, connection, copied);
  // A repetition finds moved what the first attempt moved, and says so with a smaller number.
  auto answer = co_await ask(redis::queue_script<redis::scripts::finish>(), connection,
                             std::move(more_keys), std::move(arguments), deadline);
  if (answer) answer = redis::expect_items(std::move(*answer), 1);
  if (!answer) co_return std::unexpected(std::move(answer).error());
  ArchiveFinish finished;
  if (answer->items[0].integer != 1) {
    finished.lease_lost = true;
    co_return finished;
  }
  answer = redis::expect_items(std::move(*answer), 3);
  if (!answer) co_return std::unexpected(std::move(answer).error());
  finished.moved = static_cast<std::uint64_t>(answer->items[1].integer);
  finished.withdrawn = redis::ids_of_tags(connection, answer->items[2]);
  co_return finished;
}

Task<Result<void>> RedisStore::forget(ArchiveLease lease, Connection connection,
                                      Deadline deadline) {
  Words more_keys = {lease_key(lease.partition)};
  Words arguments = {std::to_string(lease.number)};
  const auto answer = co_await ask(redis::queue_script<redis::scripts::forget>(), connection,
                                   std::move(more_keys), std::move(arguments), deadline);
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->integer != 1) co_return lease_lost();
  co_return Result<void>();
}

Task<Result<std::vector<MessageId>>> RedisStore::still_hot(Connection connection,
                                                           std::vector<MessageId> ids,
                                                           Deadline deadline) {
  Words arguments = {now()};
  add_ids(arguments, connection, ids);
  const auto answer = co_await ask(redis::queue_script<redis::scripts::still_hot>(), connection,
                                   Words(), std::move(arguments), deadline);
  if (!answer) co_return std::unexpected(answer.error());
  std::vector<MessageId> there;
  for (std::size_t i = 0; i < ids.size() && i < answer->text.size(); ++i) {
    if (answer->text[i] == '1') there.push_back(std::move(ids[i]));
  }
  co_return there;
}

Task<Result<void>> RedisStore::set_aside(ArchiveLease lease, Connection connection, TimePoint again,
                                         Deadline deadline) {
  Words more_keys = {lease_key(lease.partition), aside_key(lease.partition)};
  Words arguments = {std::to_string(lease.number), redis::encode_connection(connection),
                     text_of(again)};
  const auto answer = co_await ask(redis::queue_script<redis::scripts::set_aside>(), connection,
                                   std::move(more_keys), std::move(arguments), deadline);
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->integer != 1) co_return lease_lost();
  co_return Result<void>();
}

}  // namespace mpr
