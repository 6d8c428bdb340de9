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
// A plain removal is one command for each message; a script costs more than twice as much for one
// message, and less for many.
constexpr std::size_t kPlainRemoval = 100;
constexpr std::uint64_t kOneInCounter = 1ULL << 40U;

std::unexpected<Error> too_late() {
  return fail(Errc::deadline_exceeded, "the deadline passed before the store began");
}

void add_positions(std::vector<Position>& positions, const redis::Value& entries) {
  for (const redis::Value& entry : entries.items) {
    if (const auto position = redis::position_of(entry.text)) positions.push_back(*position);
  }
}

}  // namespace

Task<Result<RemoveOutcome>> RedisStore::remove(Connection connection, std::vector<MessageId> ids,
                                               Deadline deadline) {
  return in_turn(connection, remove_ids(connection, std::move(ids), Wanted::outcome, deadline));
}

Task<Result<RemoveOutcome>> RedisStore::remove_all(Connection connection,
                                                   std::optional<RecipientDid> recipient_did,
                                                   Deadline deadline) {
  return in_turn(connection, remove_all_hot(connection, std::move(recipient_did), deadline));
}

RedisStore::Answer<RemoveOutcome> RedisStore::remove_hot(Connection connection,
                                                         std::vector<MessageId> ids,
                                                         Deadline deadline) {
  return remove_ids(std::move(connection), std::move(ids), Wanted::view, deadline);
}

RedisStore::Answer<RemoveOutcome> RedisStore::remove_ids(Connection connection,
                                                         std::vector<MessageId> ids, Wanted wanted,
                                                         Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  if (ids.size() <= kPlainRemoval) {
    OwnIds own;
    for (const MessageId& id : ids) {
      if (auto decoded = redis::decode_message_id(connection, id.value)) own.push_back(*decoded);
    }
    if (!own.empty() && own.size() == ids.size()) {
      auto removed = co_await remove_plain(connection, ids, std::move(own), wanted, deadline);
      if (removed) co_return std::move(*removed);
      co_return co_await remove_by_script(std::move(connection), std::move(ids),
                                          std::vector<bool>(), Attempt::again, deadline);
    }
  }
  std::vector<Answer<RemoveOutcome>> parts;
  for (std::size_t begin = 0; begin < ids.size(); begin += kAtOnce) {
    const auto from = ids.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto to =
        ids.begin() + static_cast<std::ptrdiff_t>(std::min(begin + kAtOnce, ids.size()));
    parts.push_back(remove_by_script(connection, std::vector<MessageId>(from, to),
                                     std::vector<bool>(), Attempt::first, deadline));
  }
  if (parts.empty()) {  // only how many messages there are
    parts.push_back(remove_by_script(connection, std::vector<MessageId>(), std::vector<bool>(),
                                     Attempt::first, deadline));
  }
  auto answers = co_await when_all(std::move(parts));
  HotAnswer<RemoveOutcome> whole;
  for (auto& answer : answers) {
    if (!answer) {
      if (answers.size() > 1) answer.error().effect = Error::Effect::unknown;  // of other parts
      co_return std::unexpected(std::move(answer).error());
    }
    auto& removed = answer->value.removed;
    whole.value.removed.insert(whole.value.removed.end(), removed.begin(), removed.end());
    whole.view.removal_repeated |= answer->view.removal_repeated;
  }
  // What was withdrawn before: the first part saw it. What is left: the last one did.
  whole.value.remaining = answers.back()->value.remaining;
  const bool repeated = whole.view.removal_repeated;
  auto withdrawn = std::move(answers.front()->view.withdrawn);
  whole.view = std::move(answers.back()->view);
  whole.view.withdrawn = std::move(withdrawn);
  whole.view.removal_repeated = repeated;
  co_return whole;
}

// Removes first and looks second whether anything else is kept of the messages. In this order no
// interleaving hides a removal: what was claimed by the archiver before it was removed is still
// noted as moving when that is asked for, unless the archiver has found out by itself.
redis::Request RedisStore::plain_removal(const Connection& connection, const OwnIds& own) const {
  const std::string queue = keys_.queue(connection);
  redis::Request request(queue);
  std::uint64_t freed = 0;
  for (const redis::ServerMessageId& id : own) {
    request.add({"XDEL", queue, redis::entry_of(id.position)});
    freed += kOneInCounter + id.size;
  }
  request.add({"DECRBY", keys_.of_connection("n", connection), std::to_string(freed)});
  Words exists = {"EXISTS"};
  for (const std::string_view part : {"m", "g", "x", "i"}) {
    exists.push_back(keys_.of_connection(part, connection));
  }
  request.add(exists, redis::Repeat::safe);
  request.add({"HGETALL", keys_.of_connection("c", connection)}, redis::Repeat::safe);
  request.add({"XLEN", queue}, redis::Repeat::safe);
  request.durability(options_.durability);
  return request;
}

// Yields nothing if nobody knows whether it was executed.
Task<std::optional<Result<HotAnswer<RemoveOutcome>>>> RedisStore::remove_plain(
    Connection connection, std::vector<MessageId> ids, OwnIds own, Wanted wanted,
    Deadline deadline) {
  auto answers = co_await client_.run(plain_removal(connection, own), deadline);
  if (!answers) {
    const redis::Failure failure = note_failure(std::move(answers).error());
    if (failure.maybe_executed && !deadline.passed()) co_return std::nullopt;
    co_return std::unexpected(failure.error);
  }
  HotAnswer<RemoveOutcome> out;
  std::vector<bool> xdel(own.size());
  std::uint64_t not_freed = 0;
  for (std::size_t i = 0; i < own.size(); ++i) {
    xdel[i] = (*answers)[i].integer == 1;
    if (xdel[i]) out.value.removed.push_back(own[i].position);
    if (!xdel[i]) not_freed += kOneInCounter + own[i].size;
  }
  for (std::size_t i = 0; i < answers->size(); ++i) {
    // A full server removes but does not count: the counter is corrected when it would matter.
    if (!(*answers)[i].is_error() || i == own.size()) continue;
    Error refused = note_refusal((*answers)[i]).error;
    if (!out.value.removed.empty()) refused.effect = Error::Effect::unknown;
    co_return std::unexpected(std::move(refused));
  }
  if (not_freed > 0) {
    const std::string key = keys_.of_connection("n", connection);
    redis::Request correct(key);
    correct.add({"INCRBY", key, std::to_string(not_freed)});
    (void)co_await client_.run(std::move(correct), deadline);
  }
  const std::size_t rest = own.size() + 1;
  const bool more = (*answers)[rest].integer > 0;
  out.view = redis::make_view(redis::parse_tier_state(connection, (*answers)[rest + 1]), "");
  out.value.remaining = static_cast<std::uint64_t>((*answers)[rest + 2].integer);
  if (!more && (wanted == Wanted::outcome || !out.view.cold_possible)) co_return out;

  // Messages of the queue expire, are moved, or have ids of callers; or the cold tier has to be
  // asked, for which length and first entry have to be of one moment.
  auto whole = co_await remove_by_script(std::move(connection), std::move(ids), std::move(xdel),
                                         Attempt::first, deadline);
  if (!whole) co_return std::unexpected(std::move(whole).error());
  whole->view.withdrawn = std::move(out.view.withdrawn);
  co_return std::move(*whole);
}

RedisStore::Answer<RemoveOutcome> RedisStore::remove_by_script(Connection connection,
                                                               std::vector<MessageId> ids,
                                                               std::vector<bool> xdel,
                                                               Attempt attempt, Deadline deadline) {
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
  if (!answer && answer.error().maybe_executed && !deadline.passed()) {
    attempt = Attempt::again;
    answer = co_await run_script(script_request(script, connection, Words(), arguments,
                                                redis::Repeat::safe, options_.durability),
                                 deadline);
  }
  if (!answer) {
    Error error = std::move(answer).error().error;
    if (attempt == Attempt::again || !xdel.empty()) error.effect = Error::Effect::unknown;
    co_return std::unexpected(std::move(error));
  }
  auto items = redis::expect_items(std::move(*answer), 6);
  if (!items) co_return std::unexpected(std::move(items).error());

  HotAnswer<RemoveOutcome> out;
  const std::string& marks = items->items[0].text;
  for (std::size_t i = 0; i < own.size() && i < marks.size(); ++i) {
    // Of a repetition, what is not there was removed by the first attempt, as far as anyone knows.
    const bool before = attempt == Attempt::again || (i < xdel.size() && xdel[i]);
    const bool removed = marks[i] == '1' || (before && marks[i] == '0');
    if (removed && own[i]) out.value.removed.push_back(*own[i]);
    if (before && marks[i] == '3') count_expired(1);
  }
  add_positions(out.value.removed, items->items[1]);
  out.value.remaining =
      static_cast<std::uint64_t>(std::max<std::int64_t>(items->items[2].integer, 0));
  out.view =
      redis::make_view(redis::parse_tier_state(connection, items->items[4]), items->items[3].text);
  out.view.removal_repeated = attempt == Attempt::again;
  if (items->items[5].integer > 0) co_await purge(connection, deadline);
  co_return out;
}

// The oldest first: what a failure leaves is pending still.
Task<Result<std::vector<StoredMessage>>> RedisStore::remove_taken(Connection connection,
                                                                  std::vector<StoredMessage> read,
                                                                  Deadline deadline) {
  std::vector<StoredMessage> taken;
  for (std::size_t begin = 0, end = 0; begin < read.size(); begin = end) {
    end = std::min(begin + kAtOnce, read.size());
    std::vector<MessageId> ids;
    for (std::size_t i = begin; i < end; ++i) ids.push_back(read[i].id);
    auto removal = co_await remove_ids(connection, std::move(ids), Wanted::outcome, deadline);
    const bool lost = !removal && removal.error().effect == Error::Effect::unknown;
    if (!removal && !lost) {
      if (taken.empty()) co_return std::unexpected(std::move(removal).error());
      break;
    }
    // What may be removed, although nobody heard so, is handed out too: better twice than never.
    const bool all = lost || removal->view.removal_repeated;
    std::vector<Position> removed;
    if (removal) removed = std::move(removal->value.removed);
    std::sort(removed.begin(), removed.end());
    for (std::size_t i = begin; i < end; ++i) {
      if (all || std::binary_search(removed.begin(), removed.end(), read[i].position)) {
        taken.push_back(std::move(read[i]));
      }
    }
    if (lost) break;
  }
  co_return taken;
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
