// Reading the Redis store: takes, counts, sums.
#include <algorithm>
#include <limits>
#include <utility>

#include "core/selection.hpp"
#include "store/redis/message_ids.hpp"
#include "store/redis/redis_store.hpp"
#include "store/redis/scripts.hpp"

namespace mpr {

// How far a take that goes in steps has come.
struct TakeProgress {
  std::vector<StoredMessage> messages;
  std::uint64_t bytes = 0;      // of them
  Position looked_at;           // the last entry that was examined
  std::optional<HotView> view;  // of the first step
  bool done = false;
  bool overtaken = false;  // the archiver moved what had not been looked at yet
};

namespace {

// What one step may look at, and answer. A step holds up the whole server: some milliseconds.
constexpr std::uint64_t kEntriesAtOnce = 1000;
constexpr std::uint64_t kBytesAtOnce = 4ULL << 20;
// A plain take is one XRANGE; over this many entries their sizes ought to be looked at first.
constexpr std::uint64_t kPlainTake = 100;
// So they ought if the response may have fewer bytes than this.
constexpr std::uint64_t kPlainBytes = 1ULL << 20;
constexpr int kRestarts = 20;
constexpr std::uint64_t kNoBound = 1ULL << 52;  // exact in the numbers of Lua

std::unexpected<Error> too_late() {
  return fail(Errc::deadline_exceeded, "the deadline passed before the store began");
}

std::unexpected<Error> overtaken_too_often() {
  return fail(Errc::unavailable, "the queue was archived faster than it could be read; try again");
}

std::uint64_t bound(std::uint64_t value) {
  return value == 0 ? kNoBound : std::min(value, kNoBound);
}

// Adds the part of the list behind `after`; each position once.
void add_excluded(std::vector<std::string>& words, const std::vector<MessageRef>& exclude,
                  Position after) {
  Position last = after;
  for (const MessageRef& ref : exclude) {
    if (ref.position <= last) continue;
    words.push_back(redis::entry_of(ref.position));
    last = ref.position;
  }
}

std::optional<TimePoint> time_of(const redis::Value& value) {
  if (!value.is_integer()) return std::nullopt;
  return TimePoint(std::chrono::milliseconds(value.integer));
}

void merge(QueueStatus& sum, const std::vector<redis::Value>& step) {
  sum.message_count += static_cast<std::uint64_t>(step[0].integer);
  sum.total_bytes += static_cast<std::uint64_t>(step[1].integer);
  const auto oldest = time_of(step[2]);
  const auto newest = time_of(step[3]);
  if (oldest) sum.oldest_received = std::min(sum.oldest_received.value_or(*oldest), *oldest);
  if (newest) sum.newest_received = std::max(sum.newest_received.value_or(*newest), *newest);
}

}  // namespace

Task<Result<std::uint64_t>> RedisStore::count(QueueQuery query, Deadline deadline) {
  Connection connection = query.connection;
  return in_turn(std::move(connection), count_hot(std::move(query), deadline));
}

Task<Result<QueueStatus>> RedisStore::status(QueueQuery query, Deadline deadline) {
  Connection connection = query.connection;
  return in_turn(std::move(connection), status_hot(std::move(query), deadline));
}

Task<Result<Position>> RedisStore::tail(Connection connection, Deadline deadline) {
  return in_turn(connection, tail_hot(connection, deadline));
}

Task<Result<std::optional<PushToken>>> RedisStore::newest_push_token(Connection connection,
                                                                     Deadline deadline) {
  return in_turn(connection, newest_push_token_hot(connection, deadline));
}

// --- taking -----------------------------------------------------------------------------------

Task<Result<std::vector<StoredMessage>>> RedisStore::take(TakeQuery query, Deadline deadline) {
  Connection connection = query.queue.connection;
  if (query.mode == TakeMode::remove) return take_away(std::move(query), deadline);
  return in_turn(std::move(connection), take_hot(std::move(query), deadline));
}

// A script could read and remove at once; but when its answer is lost, so are the messages.
Task<Result<std::vector<StoredMessage>>> RedisStore::take_away(TakeQuery query, Deadline deadline) {
  const Connection connection = query.queue.connection;
  QueueTurns::Turn turn(turns_, connection, QueueTurns::Kind::alone);
  co_await turn.first_step();
  while (true) {
    auto read = co_await take_hot(query, deadline);
    if (!read) co_return std::unexpected(std::move(read).error());
    const bool empty = read->value.empty();
    auto taken = co_await remove_taken(connection, std::move(read->value), deadline);
    // Nothing: others were faster with everything that was read.
    if (!taken || !taken->empty() || empty) co_return taken;
  }
}

RedisStore::Answer<std::vector<StoredMessage>> RedisStore::take_hot(TakeQuery query,
                                                                    Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  const bool few_bytes = query.response_bytes != 0 && query.response_bytes < kPlainBytes;
  const bool plain = !query.queue.recipient_did && query.limit != 0 && !few_bytes &&
                     query.limit + query.queue.exclude.size() <= kPlainTake;
  if (plain) {
    auto taken = co_await take_plain(query, deadline);
    if (taken) co_return std::move(*taken);
  }
  co_return co_await take_in_steps(std::move(query), deadline);
}

// One XRANGE and, behind it, the tier state: what left the queue before it was read is named there.
// Yields nothing if more has to be read, because some of it had expired.
Task<std::optional<Result<HotAnswer<std::vector<StoredMessage>>>>> RedisStore::take_plain(
    std::reference_wrapper<const TakeQuery> wanted, Deadline deadline) {
  const TakeQuery& query = wanted;
  const Connection& connection = query.queue.connection;
  const std::string queue = keys_.queue(connection);
  const std::uint64_t most = query.limit + query.queue.exclude.size();
  const std::string from = query.after.value == 0 ? "-" : "(" + redis::entry_of(query.after);
  redis::Request request(queue);
  request.add({"XRANGE", queue, from, "+", "COUNT", std::to_string(most)}, redis::Repeat::safe);
  request.add({"HGETALL", keys_.of_connection("c", connection)}, redis::Repeat::safe);
  auto answers = co_await client_.run(std::move(request), deadline);
  if (!answers) co_return std::unexpected(note_failure(std::move(answers).error()).error);
  for (const redis::Value& answer : *answers) {
    if (answer.is_error()) co_return std::unexpected(note_refusal(answer).error);
  }
  auto& items = (*answers)[0].items;
  HotAnswer<std::vector<StoredMessage>> out;
  out.view = redis::make_view(redis::parse_tier_state(connection, (*answers)[1]),
                              items.empty() ? "" : items[0].items.at(0).text);
  const TimePoint at = clock_.now();
  Selection selection(query);
  Exclusion exclusion(query.queue.exclude);
  bool expired = false;
  const bool all = items.size() < most;
  for (redis::Value& item : items) {
    auto entry = redis::parse_entry(std::move(item));
    if (!entry) co_return std::unexpected(std::move(entry).error());
    const auto& expires_at = entry->description.expires_at;
    if (expires_at && *expires_at <= at) {
      expired = true;
      continue;
    }
    if (exclusion.contains(entry->position)) continue;
    if (!selection.admit(entry->payload->size())) break;
    out.value.push_back(redis::as_stored(connection, std::move(*entry)));
    if (selection.full()) break;
  }
  if (expired) co_await purge(connection, deadline);
  if (!all && !selection.full()) co_return std::nullopt;
  co_return out;
}

RedisStore::Words RedisStore::take_arguments(const TakeQuery& query,
                                             const TakeProgress& progress) const {
  const std::uint64_t most_bytes = std::min(bound(query.limit_bytes), bound(query.response_bytes));
  const Position from = std::max(query.after, progress.looked_at);
  Words arguments;
  arguments.reserve(9 + query.queue.exclude.size());
  arguments.push_back(now());
  arguments.push_back(from.value == 0 ? std::string() : redis::entry_of(from));
  arguments.push_back(std::to_string(bound(query.limit) - progress.messages.size()));
  arguments.push_back(std::to_string(most_bytes - std::min(most_bytes, progress.bytes)));
  arguments.emplace_back(progress.messages.empty() ? "0" : "1");
  arguments.emplace_back(query.queue.recipient_did ? "1" : "0");
  arguments.push_back(query.queue.recipient_did ? query.queue.recipient_did->value : std::string());
  arguments.push_back(std::to_string(kEntriesAtOnce));
  arguments.push_back(std::to_string(kBytesAtOnce));
  add_excluded(arguments, query.queue.exclude, from);
  return arguments;
}

namespace {

// Takes in the answer of one step.
Result<void> take_in(TakeProgress& progress, const Connection& connection, redis::Value& answer) {
  for (redis::Value& item : answer.items[0].items) {
    auto entry = redis::parse_entry(std::move(item));
    if (!entry) return std::unexpected(std::move(entry).error());
    progress.bytes += entry->payload->size();
    progress.messages.push_back(redis::as_stored(connection, std::move(*entry)));
  }
  auto state = redis::parse_tier_state(connection, answer.items[4]);
  // Messages between the last step and this one may be in the cold tier by now.
  progress.overtaken = progress.view && state.moved > progress.looked_at;
  if (!progress.view) progress.view = redis::make_view(std::move(state), answer.items[3].text);
  progress.looked_at = redis::position_of(answer.items[1].text).value_or(progress.looked_at);
  progress.done = answer.items[2].text == "1";
  return {};
}

}  // namespace

RedisStore::Answer<std::vector<StoredMessage>> RedisStore::take_in_steps(TakeQuery query,
                                                                         Deadline deadline) {
  const Connection connection = query.queue.connection;
  TakeProgress progress;
  int restarts = 0;
  while (!progress.done) {
    auto answer = co_await ask(redis::queue_script<redis::scripts::take>(), connection, Words(),
                               take_arguments(query, progress), deadline);
    if (answer) answer = redis::expect_items(std::move(*answer), 6);
    if (!answer) co_return std::unexpected(std::move(answer).error());
    if (auto taken = take_in(progress, connection, *answer); !taken) {
      co_return std::unexpected(std::move(taken).error());
    }
    if (answer->items[5].integer > 0) co_await purge(connection, deadline);
    if (!progress.overtaken) continue;
    if (++restarts == kRestarts) co_return overtaken_too_often();
    progress = TakeProgress();
  }
  HotAnswer<std::vector<StoredMessage>> out;
  out.value = std::move(progress.messages);
  if (progress.view) out.view = std::move(*progress.view);
  co_return out;
}

// --- counting ---------------------------------------------------------------------------------

RedisStore::Answer<std::uint64_t> RedisStore::count_hot(QueueQuery query, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  if (query.recipient_did) {
    auto summed = co_await status_hot(std::move(query), deadline);
    if (!summed) co_return std::unexpected(std::move(summed).error());
    HotAnswer<std::uint64_t> counted;
    counted.value = summed->value.message_count;
    counted.view = std::move(summed->view);
    co_return counted;
  }
  Words arguments;
  arguments.push_back(now());
  add_excluded(arguments, query.exclude, Position{});
  auto answer = co_await ask(redis::queue_script<redis::scripts::count>(), query.connection,
                             Words(), std::move(arguments), deadline);
  if (answer) answer = redis::expect_items(std::move(*answer), 4);
  if (!answer) co_return std::unexpected(std::move(answer).error());
  if (answer->items[3].integer > 0) co_await purge(query.connection, deadline);
  HotAnswer<std::uint64_t> counted;
  counted.value = static_cast<std::uint64_t>(std::max<std::int64_t>(answer->items[0].integer, 0));
  counted.view = redis::make_view(redis::parse_tier_state(query.connection, answer->items[2]),
                                  answer->items[1].text);
  co_return counted;
}

RedisStore::Answer<QueueStatus> RedisStore::status_hot(QueueQuery query, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  HotAnswer<QueueStatus> out;
  std::optional<HotView> view;
  Position looked_at;
  int restarts = 0;
  for (bool ended = false; !ended;) {
    Words arguments;
    arguments.push_back(now());
    arguments.push_back(looked_at.value == 0 ? std::string() : redis::entry_of(looked_at));
    arguments.push_back(std::to_string(kEntriesAtOnce));
    arguments.emplace_back(query.recipient_did ? "1" : "0");
    arguments.push_back(query.recipient_did ? query.recipient_did->value : std::string());
    add_excluded(arguments, query.exclude, looked_at);
    auto answer = co_await ask(redis::queue_script<redis::scripts::status>(), query.connection,
                               Words(), std::move(arguments), deadline);
    if (answer) answer = redis::expect_items(std::move(*answer), 9);
    if (!answer) co_return std::unexpected(std::move(answer).error());
    auto& items = answer->items;
    auto state = redis::parse_tier_state(query.connection, items[7]);
    if (view && state.moved > looked_at) {
      if (++restarts == kRestarts) co_return overtaken_too_often();
      view.reset();
      looked_at = {};
      out.value = {};
      continue;
    }
    if (!view) view = redis::make_view(std::move(state), items[6].text);
    merge(out.value, items);
    looked_at = redis::position_of(items[4].text).value_or(looked_at);
    ended = items[5].text == "1";
    if (ended && items[8].integer > 0) co_await purge(query.connection, deadline);
  }
  out.view = std::move(*view);
  co_return out;
}

// --- the end of the queue ---------------------------------------------------------------------

RedisStore::Answer<Position> RedisStore::tail_hot(Connection connection, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  const std::string queue = keys_.queue(connection);
  redis::Request request(queue);
  request.add({"XINFO", "STREAM", queue}, redis::Repeat::safe);
  request.add({"HGETALL", keys_.of_connection("c", connection)}, redis::Repeat::safe);
  auto answers = co_await client_.run(std::move(request), deadline);
  if (!answers) co_return std::unexpected(note_failure(std::move(answers).error()).error);
  const redis::Value& info = (*answers)[0];
  const redis::Value& tiers = (*answers)[1];
  const bool no_queue = info.is_error() && info.text.starts_with("ERR no such key");
  if (info.is_error() && !no_queue) co_return std::unexpected(note_refusal(info).error);
  if (tiers.is_error()) co_return std::unexpected(note_refusal(tiers).error);

  HotAnswer<Position> out;
  std::string first;
  for (std::size_t i = 0; i + 1 < info.items.size(); i += 2) {
    const std::string& field = info.items[i].text;
    const redis::Value& value = info.items[i + 1];
    if (field == "last-generated-id") {
      out.value = redis::position_of(value.text).value_or(Position{});
    } else if (field == "first-entry" && value.is_array() && !value.items.empty()) {
      first = value.items[0].text;
    }
  }
  out.view = redis::make_view(redis::parse_tier_state(connection, tiers), first);
  co_return out;
}

RedisStore::Answer<std::optional<PushToken>> RedisStore::newest_push_token_hot(
    Connection connection, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Words arguments;
  arguments.push_back(now());
  arguments.emplace_back("16");
  auto answer = co_await ask(redis::queue_script<redis::scripts::newest_token>(), connection,
                             Words(), std::move(arguments), deadline);
  if (answer) answer = redis::expect_items(std::move(*answer), 4);
  if (!answer) co_return std::unexpected(std::move(answer).error());
  const auto& items = answer->items;
  if (items[3].integer > 0) co_await purge(connection, deadline);
  HotAnswer<std::optional<PushToken>> out;
  out.view = redis::make_view(redis::parse_tier_state(connection, items[2]), items[1].text);
  if (items[0].is_text()) {
    auto description = redis::parse_description(items[0].text);
    if (!description) co_return std::unexpected(std::move(description).error());
    out.value = std::move(description->push_token);
  }
  co_return out;
}

}  // namespace mpr
