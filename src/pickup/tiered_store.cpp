#include "pickup/tiered_store.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace mpr {

namespace {

constexpr std::size_t kTokenDepth = 16;  // as MessageStore::newest_push_token() promises
// How much of a queue is in hand at once while all of it is removed from the cold tier.
constexpr std::uint64_t kChunkMessages = 1000;
constexpr std::uint64_t kChunkBytes = 4 << 20;

ColdPart part_behind(const HotView& view) { return {view.first, view.withdrawn}; }

QueueQuery all_of(const Connection& connection) { return {connection, std::nullopt, {}}; }

// What is excluded behind the cold part need not be told to the cold tier.
QueueQuery for_cold(QueueQuery query, const HotView& view) {
  if (view.first) {
    std::erase_if(query.exclude, [&](const MessageRef& r) { return r.position >= *view.first; });
  }
  return query;
}

bool is_whole(const QueueQuery& query) { return !query.recipient_did && query.exclude.empty(); }

std::vector<MessageId> ids_of(std::span<const StoredMessage> messages) {
  std::vector<MessageId> ids;
  for (const StoredMessage& message : messages) ids.push_back(message.id);
  return ids;
}

void sort_and_drop_doubles(std::vector<MessageId>& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

std::vector<MessageId> difference(const std::vector<MessageId>& sorted,
                                  std::vector<MessageId> without) {
  std::sort(without.begin(), without.end());
  std::vector<MessageId> left;
  std::set_difference(sorted.begin(), sorted.end(), without.begin(), without.end(),
                      std::back_inserter(left));
  return left;
}

QueueStatus merged(const QueueStatus& a, const QueueStatus& b) {
  if (a.message_count == 0) return b;
  if (b.message_count == 0) return a;
  return {a.message_count + b.message_count, a.total_bytes + b.total_bytes,
          std::min(a.oldest_received, b.oldest_received),
          std::max(a.newest_received, b.newest_received)};
}

}  // namespace

Task<Result<AddOutcome>> TieredStore::add(NewMessage message, Deadline deadline) {
  if (!turns_.holds_single()) co_return co_await hot_.add(std::move(message), deadline);
  Turn turn(turns_, message.connection, QueueTurns::Kind::single);
  co_await turn.first_step();
  co_return co_await hot_.add(std::move(message), deadline);
}

// --- reading -------------------------------------------------------------------------------------

Task<Result<std::vector<StoredMessage>>> TieredStore::take(TakeQuery query, Deadline deadline) {
  const bool removes = query.mode == TakeMode::remove;
  query.mode = TakeMode::keep;
  Turn turn(turns_, query.queue.connection,
            removes ? QueueTurns::Kind::alone : QueueTurns::Kind::read);
  co_await turn.first_step();
  if (!removes) {
    auto reading = co_await read(std::move(query), deadline, turn);
    if (!reading) co_return std::unexpected(reading.error());
    co_return std::move(reading->messages);
  }
  while (true) {
    auto taking = co_await try_taking(query, deadline, turn);
    if (!taking) co_return std::unexpected(taking.error());
    if (!taking->again) co_return std::move(taking->messages);
  }
}

Task<Result<TieredStore::Reading>> TieredStore::read(TakeQuery query, Deadline deadline,
                                                     Turn& turn) {
  auto hot = co_await hot_.take_hot(query, deadline);
  if (!hot) co_return std::unexpected(hot.error());
  const HotView& view = hot->view;
  Reading reading;
  if (!view.cold_possible || (view.first && *view.first <= query.after)) {
    reading.messages = std::move(hot->value);
    co_return reading;
  }

  co_await turn.next_steps();
  query.queue = for_cold(std::move(query.queue), view);
  auto cold = co_await cold_.take_cold(query, part_behind(view), deadline);
  if (!cold) co_return std::unexpected(cold.error());
  if (cold->empty()) {
    if (is_whole(query.queue) && query.after == Position{}) {
      co_await note_nothing_cold(query.queue.connection, view, deadline);
    }
    reading.messages = std::move(hot->value);
    co_return reading;
  }
  Selection selection(query);
  for (const StoredMessage& message : *cold) selection.admit(message.size());
  reading.messages = std::move(*cold);
  reading.cold = reading.messages.size();
  const Position last = reading.messages.back().position;
  for (StoredMessage& message : hot->value) {
    if (!selection.admit(message.size())) break;
    if (reading.messages.size() == reading.cold) {
      const auto more = co_await cold_goes_on(query, part_behind(view), last, deadline);
      if (!more) co_return std::unexpected(more.error());
      if (*more) break;
    }
    reading.messages.push_back(std::move(message));
  }
  co_return reading;
}

// Whether the cold tier has more behind `last`: if its answer ended there for want of bytes,
// nothing that comes later may be returned although it would fit.
Task<Result<bool>> TieredStore::cold_goes_on(TakeQuery query, ColdPart part, Position last,
                                             Deadline deadline) {
  if (query.limit_bytes == 0 && query.response_bytes == 0) co_return false;
  query.after = last;
  query.limit = 1;
  const auto next = co_await cold_.take_cold(std::move(query), std::move(part), deadline);
  if (!next) co_return std::unexpected(next.error());
  co_return !next->empty();
}

Task<Result<std::uint64_t>> TieredStore::count(QueueQuery query, Deadline deadline) {
  Turn turn(turns_, query.connection, QueueTurns::Kind::read);
  co_await turn.first_step();
  co_return co_await count_both(std::move(query), deadline, turn);
}

Task<Result<std::uint64_t>> TieredStore::count_both(QueueQuery query, Deadline deadline,
                                                    Turn& turn) {
  const auto hot = co_await hot_.count_hot(query, deadline);
  if (!hot) co_return std::unexpected(hot.error());
  if (!hot->view.cold_possible) co_return hot->value;

  co_await turn.next_steps();
  query = for_cold(std::move(query), hot->view);
  const auto cold = co_await cold_.count_cold(query, part_behind(hot->view), deadline);
  if (!cold) co_return std::unexpected(cold.error());
  if (*cold == 0 && is_whole(query)) {
    co_await note_nothing_cold(query.connection, hot->view, deadline);
  }
  co_return hot->value + *cold;
}

Task<Result<QueueStatus>> TieredStore::status(QueueQuery query, Deadline deadline) {
  Turn turn(turns_, query.connection, QueueTurns::Kind::read);
  co_await turn.first_step();
  const auto hot = co_await hot_.status_hot(query, deadline);
  if (!hot) co_return std::unexpected(hot.error());
  if (!hot->view.cold_possible) co_return hot->value;

  co_await turn.next_steps();
  query = for_cold(std::move(query), hot->view);
  const auto cold = co_await cold_.status_cold(query, part_behind(hot->view), deadline);
  if (!cold) co_return std::unexpected(cold.error());
  if (cold->message_count == 0 && is_whole(query)) {
    co_await note_nothing_cold(query.connection, hot->view, deadline);
  }
  co_return merged(hot->value, *cold);
}

Task<Result<Position>> TieredStore::tail(Connection connection, Deadline deadline) {
  Turn turn(turns_, connection, QueueTurns::Kind::read);
  co_await turn.first_step();
  const auto hot = co_await hot_.tail_hot(connection, deadline);
  if (!hot) co_return std::unexpected(hot.error());
  if (hot->value != Position{} || !hot->view.cold_possible) co_return hot->value;
  co_await turn.next_steps();
  co_return co_await cold_.tail(std::move(connection), deadline);
}

Task<Result<std::optional<PushToken>>> TieredStore::newest_push_token(Connection connection,
                                                                      Deadline deadline) {
  Turn turn(turns_, connection, QueueTurns::Kind::read);
  co_await turn.first_step();
  auto hot = co_await hot_.newest_push_token_hot(connection, deadline);
  if (!hot) co_return std::unexpected(hot.error());
  if (hot->value || !hot->view.cold_possible) co_return std::move(hot->value);

  const auto counted = co_await hot_.count_hot(all_of(connection), deadline);
  if (!counted) co_return std::unexpected(counted.error());
  if (counted->value >= kTokenDepth) co_return std::nullopt;
  co_await turn.next_steps();
  co_return co_await cold_.newest_push_token_cold(std::move(connection), part_behind(counted->view),
                                                  kTokenDepth - counted->value, deadline);
}

// The cold tier showed nothing in front of what is hot. If it holds nothing at all, it need not be
// asked again; that it is asked once more when this fails does no harm.
Task<void> TieredStore::note_nothing_cold(Connection connection, HotView view, Deadline deadline) {
  if (view.first || !view.withdrawn.empty()) {
    const auto all = co_await cold_.count_cold(all_of(connection), ColdPart(), deadline);
    if (!all || *all != 0) co_return;
  }
  (void)co_await hot_.note_cold_empty(std::move(connection), std::move(view.cold_mark), deadline);
}

// --- removing ------------------------------------------------------------------------------------

Task<Result<TieredStore::Erasure>> TieredStore::erase(Connection connection,
                                                      std::vector<MessageId> ids, Purpose purpose,
                                                      Deadline deadline, Turn& turn) {
  sort_and_drop_doubles(ids);
  auto hot = co_await hot_.remove_hot(connection, ids, deadline);
  if (!hot) co_return std::unexpected(hot.error());
  Erasure erasure;
  erasure.removed.insert(hot->value.removed.begin(), hot->value.removed.end());
  erasure.hot_remaining = hot->value.remaining;
  erasure.view = std::move(hot->view);
  if (!erasure.view.cold_possible) co_return erasure;
  if (!erasure.view.removal_repeated && erasure.removed.size() == ids.size()) co_return erasure;

  // What is withdrawn was somebody else's to remove, or else this call's at its first attempt.
  if (!erasure.view.removal_repeated) ids = difference(ids, erasure.view.withdrawn);
  if (ids.empty()) co_return erasure;
  co_await turn.next_steps();
  auto cold = purpose == Purpose::hand_out
                  ? co_await cold_.claim_and_remove(std::move(connection), std::move(ids), deadline)
                  : co_await cold_.remove(std::move(connection), std::move(ids), deadline);
  if (cold) {
    erasure.removed.insert(cold->removed.begin(), cold->removed.end());
  } else {
    erasure.failed = cold.error();
  }
  co_return erasure;
}

Task<Result<TieredStore::Taking>> TieredStore::try_taking(TakeQuery query, Deadline deadline,
                                                          Turn& turn) {
  const Connection connection = query.queue.connection;
  auto reading = co_await read(std::move(query), deadline, turn);
  if (!reading) co_return std::unexpected(reading.error());
  const std::span<const StoredMessage> messages = reading->messages;
  // The older part first: a failure in between leaves the newer one pending.
  const std::array parts = {messages.first(reading->cold), messages.subspan(reading->cold)};
  std::set<Position> removed;
  std::optional<Error> failed;
  for (std::size_t i = 0; i < parts.size() && !failed; ++i) {
    if (parts[i].empty()) continue;
    auto erasure = co_await erase(connection, ids_of(parts[i]), Purpose::hand_out, deadline, turn);
    failed = erasure ? erasure->failed : erasure.error();
    if (erasure) removed.merge(erasure->removed);
    // What may be removed, although nobody heard so, is returned too: better twice than never.
    const bool unknown = failed && failed->effect == Error::Effect::unknown;
    if (!unknown && !(erasure && erasure->view.removal_repeated)) continue;
    for (const StoredMessage& message : parts[i]) removed.insert(message.position);
  }
  // What is removed has to be returned: nobody would see it again.
  if (failed && removed.empty()) co_return std::unexpected(*failed);
  Taking taking;
  taking.again = removed.empty() && !messages.empty();
  for (StoredMessage& message : reading->messages) {
    if (removed.contains(message.position)) taking.messages.push_back(std::move(message));
  }
  co_return taking;
}

Task<Result<RemoveOutcome>> TieredStore::remove(Connection connection, std::vector<MessageId> ids,
                                                Deadline deadline) {
  Turn turn(turns_, connection, QueueTurns::Kind::change);
  co_await turn.first_step();
  auto erasure = co_await erase(connection, ids, Purpose::acknowledge, deadline, turn);
  if (!erasure) co_return std::unexpected(erasure.error());
  if (erasure->failed) co_return std::unexpected(*erasure->failed);
  RemoveOutcome outcome;
  outcome.removed.assign(erasure->removed.begin(), erasure->removed.end());
  outcome.remaining = erasure->hot_remaining;
  if (!erasure->view.cold_possible) co_return outcome;

  co_await turn.next_steps();
  ColdPart part = part_behind(erasure->view);
  // Copies of what this call removed may still come to light.
  part.without.insert(part.without.end(), ids.begin(), ids.end());
  const auto cold = co_await cold_.count_cold(all_of(connection), std::move(part), deadline);
  if (!cold) co_return std::unexpected(cold.error());
  outcome.remaining += *cold;
  if (*cold == 0) {
    HotView view = std::move(erasure->view);
    view.withdrawn.insert(view.withdrawn.end(), ids.begin(), ids.end());
    co_await note_nothing_cold(std::move(connection), std::move(view), deadline);
  }
  co_return outcome;
}

Task<Result<RemoveOutcome>> TieredStore::remove_all(Connection connection,
                                                    std::optional<RecipientDid> recipient_did,
                                                    Deadline deadline) {
  Turn turn(turns_, connection, QueueTurns::Kind::change);
  co_await turn.first_step();
  auto hot = co_await hot_.remove_all_hot(connection, recipient_did, deadline);
  if (!hot) co_return std::unexpected(hot.error());
  if (!hot->view.cold_possible) co_return std::move(hot->value);

  co_await turn.next_steps();
  auto removed =
      co_await erase_cold_part(connection, recipient_did, part_behind(hot->view), deadline, turn);
  if (!removed) co_return std::unexpected(removed.error());
  removed->insert(hot->value.removed.begin(), hot->value.removed.end());
  const auto remaining = co_await count_both(all_of(connection), deadline, turn);
  if (!remaining) co_return std::unexpected(remaining.error());
  RemoveOutcome outcome;
  outcome.removed.assign(removed->begin(), removed->end());
  outcome.remaining = *remaining;
  co_return outcome;
}

// By ids, chunk by chunk: so each message goes through the hot tier's eyes, as every removal does.
Task<Result<std::set<Position>>> TieredStore::erase_cold_part(
    Connection connection, std::optional<RecipientDid> recipient_did, ColdPart part,
    Deadline deadline, Turn& turn) {
  std::set<Position> removed;
  TakeQuery query;
  query.queue = {connection, std::move(recipient_did), {}};
  query.limit = kChunkMessages;
  query.response_bytes = kChunkBytes;
  while (true) {
    const auto chunk = co_await cold_.take_cold(query, part, deadline);
    if (!chunk) co_return std::unexpected(chunk.error());
    if (chunk->empty()) co_return removed;
    auto erasure = co_await erase(connection, ids_of(*chunk), Purpose::acknowledge, deadline, turn);
    if (!erasure) co_return std::unexpected(erasure.error());
    if (erasure->failed) co_return std::unexpected(*erasure->failed);
    removed.merge(erasure->removed);
    query.after = chunk->back().position;
  }
}

// --- about the whole -----------------------------------------------------------------------------

Result<void> TieredStore::ready() const {
  if (auto hot = hot_.ready(); !hot) return hot;
  return cold_.ready();
}

StoreTotals TieredStore::totals() const {
  const StoreTotals hot = hot_.totals();
  const StoreTotals cold = cold_.totals();
  return {hot.messages + cold.messages, hot.bytes + cold.bytes, hot.queues + cold.queues,
          std::max(hot.known, cold.known)};
}

}  // namespace mpr
