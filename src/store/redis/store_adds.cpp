// Adding messages to the Redis store.
#include <utility>

#include "store/redis/message_ids.hpp"
#include "store/redis/redis_store.hpp"
#include "store/redis/scripts.hpp"
#include "store/redis/session_record.hpp"

namespace mpr {

namespace {

// The counter of a queue: messages << 40 | payload bytes.
constexpr unsigned kCounterBits = 40;
constexpr std::uint64_t kByteMask = (1ULL << kCounterBits) - 1;

// The place of a session by its record; outer empty: the directory has to say.
std::optional<std::optional<SessionPlace>> session_of(const redis::Value& record) {
  if (record.is_null()) return std::optional<SessionPlace>();
  if (!record.is_text()) return std::nullopt;
  const auto decoded = redis::decode_session_record(record.text);
  if (!decoded) return std::nullopt;
  return std::optional<SessionPlace>(decoded->place());
}

// The predecessor of a message, from the two newest entries after it was added; empty if others
// came in between.
std::optional<redis::StoredEntry> predecessor(redis::Value& newest, Position own, bool& known) {
  known = false;
  if (!newest.is_array() || newest.items.empty()) return std::nullopt;
  const auto& first = newest.items.front();
  if (!first.is_array() || first.items.empty()) return std::nullopt;
  if (redis::position_of(first.items[0].text) != own) return std::nullopt;
  known = true;
  if (newest.items.size() < 2) return std::nullopt;
  auto entry = redis::parse_entry(std::move(newest.items[1]));
  if (!entry) {
    known = false;
    return std::nullopt;
  }
  return std::move(*entry);
}

// How long an add that began then may take, in milliseconds. A request that waits for a connection
// is executed at any time until its deadline.
std::string longest_duration(std::chrono::steady_clock::time_point began, Deadline deadline) {
  constexpr std::chrono::milliseconds kMost{60'000};
  const auto most = deadline.at - began;
  return std::to_string(most < kMost ? std::chrono::ceil<std::chrono::milliseconds>(most).count()
                                     : kMost.count());
}

std::string text_of(TimePoint time) { return std::to_string(time.time_since_epoch().count()); }

}  // namespace

std::string RedisStore::next_nonce() {
  return nonce_base_ + std::to_string(nonces_.fetch_add(1, std::memory_order_relaxed));
}

Error RedisStore::quota_error(std::int64_t kind) const {
  const std::string bound = kind == 2 ? std::to_string(options_.max_queue_messages) + " messages"
                                      : std::to_string(options_.max_queue_bytes) + " bytes";
  return {Errc::quota_exceeded, "the queue of this connection is full: it may hold " + bound};
}

Task<Result<AddOutcome>> RedisStore::add(NewMessage message, Deadline deadline) {
  if (deadline.passed()) {
    co_return fail(Errc::deadline_exceeded, "the deadline passed before the store began");
  }
  std::optional<QueueTurns::Turn> turn;
  if (turns_.holds_single()) {
    turn.emplace(turns_, message.connection, QueueTurns::Kind::single);
    co_await turn->first_step();
  }
  const auto began = std::chrono::steady_clock::now();
  std::string nonce = next_nonce();
  std::string description = redis::describe(message, clock_.now(), nonce);
  if (message.id_origin == IdOrigin::caller || message.expires_at) {
    co_return co_await add_once(std::move(message), std::move(description), std::string(), began,
                                deadline);
  }
  auto answers = co_await client_.run(plain_add(message, description), deadline);
  if (answers) co_return co_await finish_add(std::move(message), std::move(*answers), deadline);
  const redis::Failure failure = note_failure(std::move(answers).error());
  if (!failure.maybe_executed || deadline.passed()) co_return std::unexpected(failure.error);
  co_return co_await add_once(std::move(message), std::move(description), std::move(nonce), began,
                              deadline);
}

redis::Request RedisStore::plain_add(const NewMessage& message,
                                     const std::string& description) const {
  const Connection& connection = message.connection;
  const std::string queue = keys_.queue(connection);
  const std::string counted = std::to_string((1ULL << kCounterBits) + message.size());
  redis::Request request(queue);
  request.add({"XADD", queue, "*", "m", description, "p", *message.payload});
  request.add({"INCRBY", keys_.of_connection("n", connection), counted});
  request.add({"ZADD", due_key(keys_.partition_of(connection)), "NX", now(),
               redis::encode_connection(connection)},
              redis::Repeat::safe);
  // The record is read after the message was written: with "open the session first, look into the
  // queue second" on the other side, one of the two sees the other.
  request.add({"GET", keys_.session(connection)}, redis::Repeat::safe);
  if (message.answer == AddAnswer::with_previous) {
    request.add({"XREVRANGE", queue, "+", "-", "COUNT", "2"}, redis::Repeat::safe);
  }
  request.durability(options_.durability);
  return request;
}

Task<Result<AddOutcome>> RedisStore::finish_add(NewMessage message,
                                                std::vector<redis::Value> values,
                                                Deadline deadline) {
  const redis::Value& added = values[0];
  const redis::Value& counter = values[1];
  if (added.is_error()) {
    if (counter.is_integer()) {  // memory became free in between
      const std::string key = keys_.of_connection("n", message.connection);
      redis::Request undo(key);
      undo.add({"DECRBY", key, std::to_string((1ULL << kCounterBits) + message.size())});
      (void)co_await client_.run_one(std::move(undo), deadline);
    }
    co_return std::unexpected(note_refusal(added).error);
  }
  const auto position = redis::position_of(added.text);
  if (!position) co_return fail(Errc::internal, "Redis gave a message an unexpected place");
  if (counter.is_integer()) {
    const std::int64_t held = counter.integer >> kCounterBits;
    const std::uint64_t bytes = static_cast<std::uint64_t>(counter.integer) & kByteMask;
    const bool over =
        (held > 0 && static_cast<std::uint64_t>(held) > options_.max_queue_messages) ||
        bytes > options_.max_queue_bytes;
    if (over) {
      auto settled = co_await settle_quota(message.connection, *position, deadline);
      if (!settled) co_return std::unexpected(std::move(settled).error());
    }
  }
  AddOutcome outcome;
  outcome.id = redis::encode_message_id(message.connection, {*position, message.size()});
  outcome.received_at = message.received_at;
  outcome.position = *position;
  outcome.session = session_of(values[3]);
  if (values.size() > 4) {
    bool known = false;
    const auto before = predecessor(values[4], *position, known);
    const bool expired =
        before && before->description.expires_at && *before->description.expires_at <= clock_.now();
    if (known && !expired) {
      outcome.previous = before ? before->position : Position{};
    } else {
      const auto found = co_await find_previous(message.connection, *position, deadline);
      // The message is stored: that the predecessor is not known is no failure of the add.
      if (found) outcome.previous = *found;
    }
  }
  co_return outcome;
}

Task<Result<Position>> RedisStore::find_previous(Connection connection, Position position,
                                                 Deadline deadline) {
  co_await purge(connection, deadline);
  const std::string queue = keys_.queue(connection);
  redis::Request request(queue);
  request.add({"XREVRANGE", queue, "(" + redis::entry_of(position), "-", "COUNT", "1"},
              redis::Repeat::safe);
  auto answer = co_await run_script(std::move(request), deadline);
  if (!answer) co_return std::unexpected(std::move(answer).error().error);
  if (answer->items.empty()) co_return Position{};
  auto entry = redis::parse_entry(std::move(answer->items.front()));
  if (!entry) co_return std::unexpected(std::move(entry).error());
  co_return entry->position;
}

Task<Result<void>> RedisStore::settle_quota(Connection connection, Position position,
                                            Deadline deadline) {
  Words arguments;
  arguments.push_back(now());
  arguments.push_back(std::to_string(options_.max_queue_messages));
  arguments.push_back(std::to_string(options_.max_queue_bytes));
  arguments.push_back(redis::entry_of(position));
  auto answer = co_await ask(redis::queue_script<redis::scripts::settle_quota>(), connection,
                             Words(), std::move(arguments), deadline);
  if (answer) answer = redis::expect_items(std::move(*answer), 2);
  if (!answer) co_return std::unexpected(std::move(answer).error());
  count_expired(answer->items[1].integer);
  const std::int64_t kind = answer->items[0].integer;
  if (kind != 0) co_return std::unexpected(quota_error(kind));
  co_return Result<void>();
}

Task<Result<AddOutcome>> RedisStore::add_once(NewMessage message, std::string description,
                                              std::string nonce,
                                              std::chrono::steady_clock::time_point began,
                                              Deadline deadline) {
  const Connection& connection = message.connection;
  const bool named = message.id_origin == IdOrigin::caller;
  Words arguments;
  arguments.push_back(now());
  arguments.push_back(redis::encode_connection(connection));
  arguments.push_back(std::to_string(options_.max_queue_messages));
  arguments.push_back(std::to_string(options_.max_queue_bytes));
  arguments.push_back(remembered_prefix(connection));
  arguments.push_back(named ? message.id.value : std::string());
  const auto twin = named ? redis::decode_message_id(connection, message.id.value) : std::nullopt;
  arguments.push_back(twin ? redis::entry_of(twin->position) : std::string());
  const std::size_t nonce_at = arguments.size();
  arguments.push_back(nonce);
  arguments.push_back(description);
  arguments.push_back(*message.payload);
  arguments.push_back(message.expires_at ? text_of(*message.expires_at) : std::string());
  arguments.push_back(text_of(message.received_at));
  arguments.push_back(longest_duration(began, deadline));
  Words more_keys;
  more_keys.push_back(due_key(keys_.partition_of(connection)));
  more_keys.push_back(keys_.session(connection));

  const redis::Script& script = redis::queue_script<redis::scripts::add_once>();
  auto answer = co_await run_script(script_request(script, connection, more_keys, arguments,
                                                   redis::Repeat::never, options_.durability),
                                    deadline);
  if (!answer && answer.error().maybe_executed && !deadline.passed()) {
    // Once more, looking for what the first attempt may have left.
    const auto parsed = redis::parse_description(description);
    if (parsed) arguments[nonce_at] = parsed->nonce;
    answer = co_await run_script(script_request(script, connection, more_keys, arguments,
                                                redis::Repeat::safe, options_.durability),
                                 deadline);
  }
  if (!answer) co_return std::unexpected(std::move(answer).error().error);
  auto items = redis::expect_items(std::move(*answer), 6);
  if (!items) co_return std::unexpected(std::move(items).error());
  count_expired(items->items[5].integer);
  const std::int64_t kind = items->items[0].integer;
  if (kind > 1) co_return std::unexpected(quota_error(kind));

  const auto position = redis::position_of(items->items[1].text);
  if (!position) co_return fail(Errc::internal, "Redis gave a message an unexpected place");
  AddOutcome outcome;
  outcome.id =
      named ? message.id : redis::encode_message_id(connection, {*position, message.size()});
  outcome.received_at = TimePoint(std::chrono::milliseconds(std::stoll(items->items[2].text)));
  outcome.position = *position;
  outcome.duplicate = kind == 1;
  if (!outcome.duplicate) {
    outcome.session = session_of(items->items[4]);
    outcome.previous = redis::position_of(items->items[3].text).value_or(Position{});
  }
  co_return outcome;
}

}  // namespace mpr
