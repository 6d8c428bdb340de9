// Removing messages from the Redis store.
#include <algorithm>
#include <utility>

#include "store/redis/message_ids.hpp"
#include "store/redis/redis_store.hpp"
#include "store/redis/scripts.hpp"

namespace mpr {

namespace {

// What one script may remove: it holds up the whole server for some milliseconds.
constexpr std::size_t kAtOnce = 1000;

std::unexpected<Error> too_late() {
  return fail(Errc::deadline_exceeded, "the deadline passed before the store began");
}

template <class T>
Task<Result<T>> without_view(Task<Result<HotAnswer<T>>> answer) {
  auto seen = co_await answer;
  if (!seen) co_return std::unexpected(std::move(seen).error());
  co_return std::move(seen->value);
}

void add_positions(std::vector<Position>& positions, const redis::Value& entries) {
  for (const redis::Value& entry : entries.items) {
    if (const auto position = redis::position_of(entry.text)) positions.push_back(*position);
  }
}

}  // namespace

Task<Result<RemoveOutcome>> RedisStore::remove(Connection connection, std::vector<MessageId> ids,
                                               Deadline deadline) {
  return without_view(remove_hot(std::move(connection), std::move(ids), deadline));
}

Task<Result<RemoveOutcome>> RedisStore::remove_all(Connection connection,
                                                   std::optional<RecipientDid> recipient_did,
                                                   Deadline deadline) {
  return without_view(remove_all_hot(std::move(connection), std::move(recipient_did), deadline));
}

RedisStore::Answer<RemoveOutcome> RedisStore::remove_hot(Connection connection,
                                                         std::vector<MessageId> ids,
                                                         Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  if (ids.size() <= kAtOnce) {
    co_return co_await remove_some(std::move(connection), std::move(ids), deadline);
  }
  std::vector<Answer<RemoveOutcome>> parts;
  for (std::size_t begin = 0; begin < ids.size(); begin += kAtOnce) {
    const auto from = ids.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto to =
        ids.begin() + static_cast<std::ptrdiff_t>(std::min(begin + kAtOnce, ids.size()));
    parts.push_back(remove_some(connection, std::vector<MessageId>(from, to), deadline));
  }
  auto answers = co_await when_all(std::move(parts));
  HotAnswer<RemoveOutcome> whole;
  for (auto& answer : answers) {
    if (!answer) co_return std::unexpected(std::move(answer).error());
    auto& removed = answer->value.removed;
    whole.value.removed.insert(whole.value.removed.end(), removed.begin(), removed.end());
  }
  // What was withdrawn before: the first part saw it. What is left: the last one did.
  whole.value.remaining = answers.back()->value.remaining;
  whole.view = std::move(answers.back()->view);
  whole.view.withdrawn = std::move(answers.front()->view.withdrawn);
  co_return whole;
}

RedisStore::Answer<RemoveOutcome> RedisStore::remove_some(Connection connection,
                                                          std::vector<MessageId> ids,
                                                          Deadline deadline) {
  Words arguments;
  arguments.reserve(3 + 3 * ids.size());
  arguments.push_back(now());
  arguments.push_back(std::to_string(options_.idempotency_window.count()));
  arguments.push_back(remembered_prefix(connection));
  std::vector<std::optional<Position>> own;
  for (MessageId& id : ids) {
    const auto decoded = redis::decode_message_id(connection, id.value);
    own.push_back(decoded ? std::optional(decoded->position) : std::nullopt);
    arguments.push_back(decoded ? redis::entry_of(decoded->position) : std::string());
    arguments.push_back(decoded ? std::to_string(decoded->size) : std::string());
    arguments.push_back(std::move(id.value));
  }
  const redis::Script& script = redis::queue_script<redis::scripts::remove>();
  auto answer = co_await run_script(script_request(script, connection, Words(), arguments,
                                                   redis::Repeat::never, options_.durability),
                                    deadline);
  const bool again = !answer && answer.error().maybe_executed && !deadline.passed();
  if (again) {
    answer = co_await run_script(script_request(script, connection, Words(), arguments,
                                                redis::Repeat::safe, options_.durability),
                                 deadline);
  }
  if (!answer) co_return std::unexpected(std::move(answer).error().error);
  auto items = redis::expect_items(std::move(*answer), 6);
  if (!items) co_return std::unexpected(std::move(items).error());

  HotAnswer<RemoveOutcome> out;
  const std::string& marks = items->items[0].text;
  for (std::size_t i = 0; i < own.size() && i < marks.size(); ++i) {
    // Of a repetition, what is not there was removed by the first attempt, as far as anyone knows.
    const bool removed = marks[i] == '1' || (again && marks[i] == '0');
    if (removed && own[i]) out.value.removed.push_back(*own[i]);
  }
  add_positions(out.value.removed, items->items[1]);
  out.value.remaining =
      static_cast<std::uint64_t>(std::max<std::int64_t>(items->items[2].integer, 0));
  out.view =
      redis::make_view(redis::parse_tier_state(connection, items->items[4]), items->items[3].text);
  if (items->items[5].integer > 0) co_await purge(connection, deadline);
  co_return out;
}

RedisStore::Answer<RemoveOutcome> RedisStore::remove_all_hot(
    Connection connection, std::optional<RecipientDid> recipient_did, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  HotAnswer<RemoveOutcome> out;
  bool begun = false;
  std::string from;
  std::string last;
  for (bool done = false; !done;) {
    Words arguments;
    arguments.push_back(now());
    arguments.push_back(std::to_string(options_.idempotency_window.count()));
    arguments.push_back(remembered_prefix(connection));
    arguments.push_back(from);
    arguments.push_back(last);
    arguments.push_back(std::to_string(kAtOnce));
    arguments.emplace_back(recipient_did ? "1" : "0");
    arguments.push_back(recipient_did ? recipient_did->value : std::string());
    const redis::Script& script = redis::queue_script<redis::scripts::remove_all>();
    // Once more does no harm: what is gone already is not reported then.
    auto answer = co_await run_script(script_request(script, connection, Words(), arguments,
                                                     redis::Repeat::safe, options_.durability),
                                      deadline);
    if (!answer) co_return std::unexpected(std::move(answer).error().error);
    auto items = redis::expect_items(std::move(*answer), 8);
    if (!items) co_return std::unexpected(std::move(items).error());
    add_positions(out.value.removed, items->items[0]);
    from = items->items[1].text;
    done = items->items[2].text == "1";
    last = items->items[3].text;
    out.value.remaining =
        static_cast<std::uint64_t>(std::max<std::int64_t>(items->items[4].integer, 0));
    auto view = redis::make_view(redis::parse_tier_state(connection, items->items[6]),
                                 items->items[5].text);
    if (begun) view.withdrawn = std::move(out.view.withdrawn);
    out.view = std::move(view);
    begun = true;
    if (done && items->items[7].integer > 0) co_await purge(connection, deadline);
  }
  co_return out;
}

}  // namespace mpr
