#include "tests/support/memory_tiers.hpp"

#include <algorithm>

namespace mpr::test {

namespace {

std::unexpected<Error> too_late() {
  return fail(Errc::deadline_exceeded, "the deadline passed before the store began");
}

const NewMessage& message_in(const NewMessage& message) { return message; }
template <class Entry>
const NewMessage& message_in(const Entry& entry) {
  return entry.message;
}

bool is_for(const NewMessage& message, const std::optional<RecipientDid>& did) {
  const auto& dids = message.recipient_dids;
  return !did || std::find(dids.begin(), dids.end(), *did) != dids.end();
}

bool has_expired(const NewMessage& message, TimePoint now) {
  return message.expires_at && *message.expires_at <= now;
}

StoredMessage stored(Position position, const NewMessage& message) {
  return {message.id,         position,        message.received_at,
          message.expires_at, message.payload, message.push_token};
}

template <class Queue>
std::vector<StoredMessage> select(const Queue& queue, const TakeQuery& query) {
  std::vector<StoredMessage> out;
  Selection selection(query);
  Exclusion excluded(query.queue.exclude);
  for (auto it = queue.upper_bound(query.after); it != queue.end() && !selection.full(); ++it) {
    const NewMessage& message = message_in(it->second);
    if (!is_for(message, query.queue.recipient_did) || excluded.contains(it->first)) continue;
    if (selection.admit(message.size())) out.push_back(stored(it->first, message));
  }
  return out;
}

template <class Queue>
QueueStatus status_of(const Queue& queue, const QueueQuery& query) {
  QueueStatus status;
  Exclusion excluded(query.exclude);
  for (const auto& [position, entry] : queue) {
    const NewMessage& message = message_in(entry);
    if (!is_for(message, query.recipient_did) || excluded.contains(position)) continue;
    const TimePoint at = message.received_at;
    status.message_count += 1;
    status.total_bytes += message.size();
    status.oldest_received = std::min(status.oldest_received.value_or(at), at);
    status.newest_received = std::max(status.newest_received.value_or(at), at);
  }
  return status;
}

template <class Queue>
std::optional<PushToken> newest_token(const Queue& queue, std::size_t most) {
  for (auto it = queue.rbegin(); it != queue.rend() && most > 0; ++it, --most) {
    if (message_in(it->second).push_token) return message_in(it->second).push_token;
  }
  return std::nullopt;
}

template <class T>
Result<T> without_view(Result<HotAnswer<T>> answer) {
  if (!answer) return std::unexpected(answer.error());
  return std::move(answer->value);
}

}  // namespace

// --- the hot tier --------------------------------------------------------------------------------

// One operation's stay: holds the lock and drops what has expired.
class MemoryHotStore::Visit {
 public:
  Visit(MemoryHotStore& store, const Connection& connection)
      : lock_(store.mutex_), queue(store.queues_[connection]), now(store.clock_.now()) {
    for (auto it = queue.entries.begin(); it != queue.entries.end() && queue.expiring > 0;) {
      const auto next = std::next(it);
      if (has_expired(it->second.message, now)) {
        store.expired_.count(it->first);
        store.erase(queue, it);
      }
      it = next;
    }
    std::erase_if(queue.ghosts, [&](const auto& ghost) { return ghost.second <= now; });
  }

 private:
  std::lock_guard<std::mutex> lock_;

 public:
  Queue& queue;
  const TimePoint now;
};

MemoryHotStore::MemoryHotStore(Options options, Clock& clock, ExpiryLedger& expired)
    : options_(options), clock_(clock), expired_(expired), partitions_(options.partitions) {}

std::uint32_t MemoryHotStore::partition_of(const Connection& connection) const {
  return static_cast<std::uint32_t>(hash_of(connection) % options_.partitions);
}

bool MemoryHotStore::holds(const ArchiveLease& lease) const {
  return partitions_[lease.partition].number == lease.number;
}

HotView MemoryHotStore::view_of(const Queue& queue, Position after) const {
  HotView view;
  const auto first = queue.entries.lower_bound(after);
  if (first != queue.entries.end()) view.first = first->first;
  for (const auto& [id, state] : queue.withdrawn) view.withdrawn.push_back(id);
  view.cold_possible = !queue.cold_empty;
  view.cold_mark = std::to_string(queue.mark);
  return view;
}

template <class T>
HotAnswer<T> MemoryHotStore::answer(T value, const Queue& queue, Position after) const {
  return {std::move(value), view_of(queue, after)};
}

void MemoryHotStore::erase(Queue& queue, std::map<Position, Entry>::iterator place) {
  bytes_ -= place->second.message.size();
  queue.bytes -= place->second.message.size();
  queue.expiring -= place->second.message.expires_at.has_value();
  queue.by_id.erase(place->second.message.id);
  queue.entries.erase(place);
}

// Notes that a message was removed, if copies of it may be on their way.
void MemoryHotStore::withdraw(Queue& queue, const MessageId& id) const {
  const bool open = queue.open.contains(id);
  const bool ghost = queue.ghosts.contains(id);
  if (!open && !ghost) return;
  const TimePoint now = clock_.now();
  queue.withdrawn[id] = {open, false, ghost ? now + options_.ghost_life : now};
}

bool MemoryHotStore::has_to_erase(const Queue& queue) const {
  return std::any_of(queue.withdrawn.begin(), queue.withdrawn.end(), [&](const auto& w) {
    return w.second.erase || w.second.ends <= clock_.now();
  });
}

// Removes a message for its owner.
void MemoryHotStore::remove_entry(const Connection& connection, Queue& queue,
                                  std::map<Position, Entry>::iterator place) {
  const NewMessage& message = place->second.message;
  withdraw(queue, message.id);
  if (message.id_origin == IdOrigin::caller) {
    remember(connection, message.id, {place->first, message.received_at, {}, clock_.now()});
  }
  erase(queue, place);
}

void MemoryHotStore::remember(const Connection& connection, const MessageId& id, Known known) {
  removed_ids_[{connection, id}] = known;
  removed_order_.emplace_back(connection, id);
  while (removed_order_.size() > options_.remembered_ids) {
    removed_ids_.erase(removed_order_.front());
    removed_order_.pop_front();
  }
}

std::optional<MemoryHotStore::Known> MemoryHotStore::find_known(Queue& queue,
                                                                const NewMessage& message) {
  if (const auto here = queue.by_id.find(message.id); here != queue.by_id.end()) {
    return Known{here->second, queue.entries.at(here->second).message.received_at, {}, {}};
  }
  if (message.id_origin == IdOrigin::server) return std::nullopt;
  const TimePoint now = clock_.now();
  if (const auto cold = queue.moved.find(message.id); cold != queue.moved.end()) {
    if (!cold->second.expires_at || *cold->second.expires_at > now) return cold->second;
    queue.moved.erase(cold);
  }
  const auto gone = removed_ids_.find({message.connection, message.id});
  if (gone == removed_ids_.end()) return std::nullopt;
  if (gone->second.removed_at + options_.idempotency_window <= now) return std::nullopt;
  return gone->second;
}

Task<Result<AddOutcome>> MemoryHotStore::add(NewMessage message, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, message.connection);
  Queue& queue = visit.queue;
  AddOutcome outcome;
  outcome.id = message.id;
  outcome.received_at = message.received_at;
  if (const auto known = find_known(queue, message)) {
    outcome.received_at = known->received_at;
    outcome.position = known->position;
    outcome.duplicate = true;
    co_return outcome;
  }
  const std::uint64_t size = message.size();
  const auto full = [](std::uint64_t bound) {
    return fail(Errc::quota_exceeded, "it is full: it may hold " + std::to_string(bound));
  };
  if (queue.entries.size() >= options_.max_queue_messages) {
    co_return full(options_.max_queue_messages);
  }
  if (queue.bytes + size > options_.max_queue_bytes) co_return full(options_.max_queue_bytes);
  if (options_.max_store_bytes != 0 && bytes_ + size > options_.max_store_bytes) {
    co_return full(options_.max_store_bytes);
  }
  outcome.previous = queue.entries.empty() ? Position{} : queue.entries.rbegin()->first;
  outcome.position = Position{++last_.value};
  bytes_ += size;
  queue.bytes += size;
  queue.indexed = true;
  queue.expiring += message.expires_at.has_value();
  queue.by_id[message.id] = last_;
  queue.entries[last_] = {std::move(message), visit.now};
  co_return outcome;
}

Task<Result<HotAnswer<std::vector<StoredMessage>>>> MemoryHotStore::take_hot(TakeQuery query,
                                                                             Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, query.queue.connection);
  auto taken = select(visit.queue.entries, query);
  if (query.mode == TakeMode::remove) {
    for (const auto& message : taken) {
      remove_entry(query.queue.connection, visit.queue, visit.queue.entries.find(message.position));
    }
  }
  co_return answer(std::move(taken), visit.queue, query.after);
}

Task<Result<HotAnswer<std::uint64_t>>> MemoryHotStore::count_hot(QueueQuery query,
                                                                 Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, query.connection);
  co_return answer(status_of(visit.queue.entries, query).message_count, visit.queue);
}

Task<Result<HotAnswer<QueueStatus>>> MemoryHotStore::status_hot(QueueQuery query,
                                                                Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, query.connection);
  co_return answer(status_of(visit.queue.entries, query), visit.queue);
}

Task<Result<HotAnswer<Position>>> MemoryHotStore::tail_hot(Connection connection,
                                                           Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, connection);
  co_return answer(last_, visit.queue);
}

Task<Result<HotAnswer<std::optional<PushToken>>>> MemoryHotStore::newest_push_token_hot(
    Connection connection, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, connection);
  co_return answer(newest_token(visit.queue.entries, 16), visit.queue);
}

Task<Result<HotAnswer<RemoveOutcome>>> MemoryHotStore::remove_hot(Connection connection,
                                                                  std::vector<MessageId> ids,
                                                                  Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, connection);
  Queue& queue = visit.queue;
  const HotView before = view_of(queue);
  RemoveOutcome outcome;
  for (const MessageId& id : ids) {
    const auto here = queue.by_id.find(id);
    if (here != queue.by_id.end()) {
      outcome.removed.push_back(here->second);
      remove_entry(connection, queue, queue.entries.find(here->second));
      continue;
    }
    if (!queue.withdrawn.contains(id)) withdraw(queue, id);
    if (const auto cold = queue.moved.find(id); cold != queue.moved.end()) {
      remember(connection, id, {cold->second.position, cold->second.received_at, {}, visit.now});
      queue.moved.erase(cold);
    }
  }
  outcome.remaining = queue.entries.size();
  auto answered = answer(std::move(outcome), queue);
  answered.view.withdrawn = before.withdrawn;
  co_return answered;
}

Task<Result<HotAnswer<RemoveOutcome>>> MemoryHotStore::remove_all_hot(
    Connection connection, std::optional<RecipientDid> recipient_did, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, connection);
  Queue& queue = visit.queue;
  const HotView before = view_of(queue);
  RemoveOutcome outcome;
  for (auto it = queue.entries.begin(); it != queue.entries.end();) {
    const auto next = std::next(it);
    if (is_for(it->second.message, recipient_did)) {
      outcome.removed.push_back(it->first);
      remove_entry(connection, queue, it);
    }
    it = next;
  }
  outcome.remaining = queue.entries.size();
  auto answered = answer(std::move(outcome), queue);
  answered.view.withdrawn = before.withdrawn;
  co_return answered;
}

Task<Result<std::vector<StoredMessage>>> MemoryHotStore::take(TakeQuery query, Deadline deadline) {
  co_return without_view(co_await take_hot(std::move(query), deadline));
}
Task<Result<std::uint64_t>> MemoryHotStore::count(QueueQuery query, Deadline deadline) {
  co_return without_view(co_await count_hot(std::move(query), deadline));
}
Task<Result<QueueStatus>> MemoryHotStore::status(QueueQuery query, Deadline deadline) {
  co_return without_view(co_await status_hot(std::move(query), deadline));
}
Task<Result<Position>> MemoryHotStore::tail(Connection connection, Deadline deadline) {
  co_return without_view(co_await tail_hot(std::move(connection), deadline));
}
Task<Result<std::optional<PushToken>>> MemoryHotStore::newest_push_token(Connection connection,
                                                                         Deadline deadline) {
  co_return without_view(co_await newest_push_token_hot(std::move(connection), deadline));
}
Task<Result<RemoveOutcome>> MemoryHotStore::remove(Connection connection,
                                                   std::vector<MessageId> ids, Deadline deadline) {
  co_return without_view(co_await remove_hot(std::move(connection), std::move(ids), deadline));
}
Task<Result<RemoveOutcome>> MemoryHotStore::remove_all(Connection connection,
                                                       std::optional<RecipientDid> recipient_did,
                                                       Deadline deadline) {
  co_return without_view(
      co_await remove_all_hot(std::move(connection), std::move(recipient_did), deadline));
}

StoreTotals MemoryHotStore::totals() const {
  std::lock_guard lock(mutex_);
  StoreTotals totals;
  for (const auto& [connection, queue] : queues_) {
    totals.messages += queue.entries.size();
    totals.bytes += queue.bytes;
    totals.queues += !queue.entries.empty();
  }
  return totals;
}

Task<Result<void>> MemoryHotStore::note_cold_empty(Connection connection, std::string cold_mark,
                                                   Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, connection);
  Queue& queue = visit.queue;
  if (std::to_string(queue.mark) == cold_mark && queue.open.empty() && queue.ghosts.empty() &&
      queue.withdrawn.empty()) {
    queue.cold_empty = true;
  }
  co_return Result<void>();
}

// --- archiving -----------------------------------------------------------------------------------

Task<Result<std::optional<ArchiveLease>>> MemoryHotStore::lease(std::uint32_t partition,
                                                                std::optional<ArchiveLease> held,
                                                                std::chrono::milliseconds duration,
                                                                Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  std::lock_guard lock(mutex_);
  Partition& place = partitions_[partition];
  const TimePoint now = clock_.now();
  if (held) {
    if (place.number != held->number || !place.until) co_return std::nullopt;
  } else {
    if (place.until && *place.until > now) co_return std::nullopt;
    ++place.number;
  }
  place.until = now + duration;
  co_return ArchiveLease{partition, place.number};
}

Task<Result<void>> MemoryHotStore::release(ArchiveLease lease, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  std::lock_guard lock(mutex_);
  if (holds(lease)) partitions_[lease.partition].until.reset();
  co_return Result<void>();
}

Task<Result<std::vector<Connection>>> MemoryHotStore::due(std::uint32_t partition, TimePoint until,
                                                          std::size_t most, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  std::lock_guard lock(mutex_);
  std::vector<std::pair<Position, Connection>> found;
  for (auto& [connection, queue] : queues_) {
    if (partition_of(connection) != partition || !queue.indexed) continue;
    const bool unfinished = has_to_erase(queue);
    if (queue.entries.empty()) {
      queue.indexed = !queue.withdrawn.empty();
      if (unfinished) found.emplace_back(Position{}, connection);
      continue;
    }
    const auto head = queue.entries.begin();
    const bool aside =
        queue.aside && queue.aside->first == head->first && queue.aside->second > clock_.now();
    if (!aside && (unfinished || head->second.accepted_at <= until))
      found.emplace_back(head->first, connection);
  }
  std::sort(found.begin(), found.end());
  std::vector<Connection> connections;
  for (const auto& [head, connection] : found) {
    if (connections.size() < most) connections.push_back(connection);
  }
  co_return connections;
}

Task<Result<HotStore::Batch>> MemoryHotStore::claim(ArchiveLease lease, Connection connection,
                                                    TimePoint until, std::size_t most,
                                                    std::uint64_t most_bytes, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, connection);
  Queue& queue = visit.queue;
  if (!holds(lease)) co_return fail(Errc::unavailable, "the lease of the partition is lost");
  if (queue.claimed_under != lease.number) {
    for (const auto& [id, position] : queue.open) {
      queue.ghosts[id] = visit.now + options_.ghost_life;
      const auto gone = queue.withdrawn.find(id);
      if (gone != queue.withdrawn.end()) gone->second.ends = queue.ghosts[id];
    }
  }
  queue.claimed_under = lease.number;
  Batch batch;
  std::uint64_t bytes = 0;
  std::map<MessageId, Position> open;
  for (const auto& [position, entry] : queue.entries) {
    const MessageId& id = entry.message.id;
    const bool unfinished = queue.open.contains(id);
    const bool fits =
        batch.messages.size() < most && (batch.messages.empty() || bytes < most_bytes);
    if (!unfinished && (!fits || entry.accepted_at > until)) break;
    if (!unfinished) queue.withdrawn.erase(id);
    bytes += entry.message.size();
    open[id] = position;
    batch.messages.push_back({entry.message, position});
  }
  queue.open = std::move(open);
  for (auto& [id, state] : queue.withdrawn) {
    if (!state.erase && state.ends > visit.now) continue;
    state.named = true;
    batch.withdrawn.push_back(id);
  }
  if (!batch.messages.empty()) {
    queue.cold_empty = false;
    ++queue.mark;
  }
  co_return batch;
}

Task<Result<ArchiveFinish>> MemoryHotStore::finish(ArchiveLease lease, Connection connection,
                                                   std::vector<MessageId> copied,
                                                   Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, connection);
  Queue& queue = visit.queue;
  ArchiveFinish outcome;
  outcome.lease_lost = !holds(lease);
  if (outcome.lease_lost) co_return outcome;
  ++queue.mark;
  for (const MessageId& id : copied) {
    const auto open = queue.open.find(id);
    const auto place =
        open == queue.open.end() ? queue.entries.end() : queue.entries.find(open->second);
    if (open != queue.open.end()) queue.open.erase(open);
    if (place == queue.entries.end()) {
      outcome.withdrawn.push_back(id);
      if (queue.withdrawn.contains(id)) queue.withdrawn[id].named = true;
      continue;
    }
    const NewMessage& message = place->second.message;
    if (message.id_origin == IdOrigin::caller) {
      queue.moved[id] = {place->first, message.received_at, message.expires_at, {}};
    }
    erase(queue, place);
    ++outcome.moved;
  }
  co_return outcome;
}

Task<Result<void>> MemoryHotStore::forget(ArchiveLease lease, Connection connection,
                                          Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, connection);
  Queue& queue = visit.queue;
  if (!holds(lease)) co_return fail(Errc::unavailable, "the lease of the partition is lost");
  for (auto it = queue.withdrawn.begin(); it != queue.withdrawn.end();) {
    Withdrawn& state = it->second;
    const bool named = std::exchange(state.named, false);
    if (named) state.erase = false;
    it = named && state.ends <= visit.now ? queue.withdrawn.erase(it) : std::next(it);
  }
  co_return Result<void>();
}

Task<Result<std::vector<MessageId>>> MemoryHotStore::still_hot(Connection connection,
                                                               std::vector<MessageId> ids,
                                                               Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, connection);
  std::erase_if(ids, [&](const MessageId& id) { return !visit.queue.by_id.contains(id); });
  co_return ids;
}

Task<Result<void>> MemoryHotStore::set_aside(ArchiveLease lease, Connection connection,
                                             TimePoint again, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, connection);
  Queue& queue = visit.queue;
  if (!holds(lease)) co_return fail(Errc::unavailable, "the lease of the partition is lost");
  if (!queue.entries.empty()) queue.aside = {queue.entries.begin()->first, again};
  co_return Result<void>();
}

std::size_t MemoryHotStore::queues_known() const {
  std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(queues_.begin(), queues_.end(),
                                                [](const auto& q) { return q.second.indexed; }));
}

bool MemoryHotStore::knows_cold_empty(const Connection& connection) const {
  std::lock_guard lock(mutex_);
  const auto found = queues_.find(connection);
  return found != queues_.end() && found->second.cold_empty;
}

// --- the cold tier -------------------------------------------------------------------------------

std::optional<Error> MemoryColdStore::enter(Deadline deadline) {
  if (failing_) {
    ++refused_calls_;
    return Error{Errc::unavailable, "the database is away"};
  }
  if (deadline.passed()) return too_late().error();
  ++asked_;
  return std::nullopt;
}

MemoryColdStore::Queue& MemoryColdStore::queue_of(const Connection& connection) {
  Queue& queue = queues_[connection];
  std::erase_if(queue, [&](const auto& m) {
    if (!has_expired(m.second, clock_.now())) return false;
    expired_.count(m.first);
    return true;
  });
  return queue;
}

MemoryColdStore::Queue MemoryColdStore::part_of(const Connection& connection,
                                                const ColdPart& part) {
  Queue queue = queue_of(connection);
  std::erase_if(queue, [&](const auto& m) {
    const bool behind = part.before && m.first >= *part.before;
    return behind ||
           std::find(part.without.begin(), part.without.end(), m.second.id) != part.without.end();
  });
  return queue;
}

Task<Result<AddOutcome>> MemoryColdStore::add(NewMessage message, Deadline deadline) {
  std::lock_guard lock(mutex_);
  if (auto error = enter(deadline)) co_return std::unexpected(*error);
  AddOutcome outcome;
  outcome.id = message.id;
  outcome.received_at = message.received_at;
  outcome.position = Position{++last_.value};
  queue_of(message.connection)[last_] = std::move(message);
  co_return outcome;
}

Task<Result<std::vector<StoredMessage>>> MemoryColdStore::take_cold(TakeQuery query, ColdPart part,
                                                                    Deadline deadline) {
  std::lock_guard lock(mutex_);
  if (auto error = enter(deadline)) co_return std::unexpected(*error);
  auto taken = select(part_of(query.queue.connection, part), query);
  if (query.mode == TakeMode::remove) {
    for (const auto& message : taken) queues_[query.queue.connection].erase(message.position);
  }
  co_return taken;
}

Task<Result<QueueStatus>> MemoryColdStore::status_cold(QueueQuery query, ColdPart part,
                                                       Deadline deadline) {
  std::lock_guard lock(mutex_);
  if (auto error = enter(deadline)) co_return std::unexpected(*error);
  co_return status_of(part_of(query.connection, part), query);
}

Task<Result<std::uint64_t>> MemoryColdStore::count_cold(QueueQuery query, ColdPart part,
                                                        Deadline deadline) {
  const auto status = co_await status_cold(std::move(query), std::move(part), deadline);
  if (!status) co_return std::unexpected(status.error());
  co_return status->message_count;
}

Task<Result<std::optional<PushToken>>> MemoryColdStore::newest_push_token_cold(
    Connection connection, ColdPart part, std::size_t most, Deadline deadline) {
  std::lock_guard lock(mutex_);
  if (auto error = enter(deadline)) co_return std::unexpected(*error);
  co_return newest_token(part_of(connection, part), most);
}

Task<Result<std::vector<StoredMessage>>> MemoryColdStore::take(TakeQuery query, Deadline deadline) {
  return take_cold(std::move(query), ColdPart(), deadline);
}
Task<Result<std::uint64_t>> MemoryColdStore::count(QueueQuery query, Deadline deadline) {
  return count_cold(std::move(query), ColdPart(), deadline);
}
Task<Result<QueueStatus>> MemoryColdStore::status(QueueQuery query, Deadline deadline) {
  return status_cold(std::move(query), ColdPart(), deadline);
}
Task<Result<std::optional<PushToken>>> MemoryColdStore::newest_push_token(Connection connection,
                                                                          Deadline deadline) {
  return newest_push_token_cold(std::move(connection), ColdPart(), 16, deadline);
}

Task<Result<Position>> MemoryColdStore::tail(Connection connection, Deadline deadline) {
  std::lock_guard lock(mutex_);
  if (auto error = enter(deadline)) co_return std::unexpected(*error);
  const Queue& queue = queue_of(connection);
  co_return queue.empty() ? last_ : std::max(last_, queue.rbegin()->first);
}

Task<Result<RemoveOutcome>> MemoryColdStore::remove(Connection connection,
                                                    std::vector<MessageId> ids, Deadline deadline) {
  std::lock_guard lock(mutex_);
  if (auto error = enter(deadline)) co_return std::unexpected(*error);
  Queue& queue = queue_of(connection);
  std::sort(ids.begin(), ids.end());
  RemoveOutcome outcome;
  std::erase_if(queue, [&](const auto& m) {
    if (!std::binary_search(ids.begin(), ids.end(), m.second.id)) return false;
    outcome.removed.push_back(m.first);
    return true;
  });
  outcome.remaining = queue.size();
  co_return outcome;
}

Task<Result<RemoveOutcome>> MemoryColdStore::remove_all(Connection connection,
                                                        std::optional<RecipientDid> recipient_did,
                                                        Deadline deadline) {
  std::lock_guard lock(mutex_);
  if (auto error = enter(deadline)) co_return std::unexpected(*error);
  Queue& queue = queue_of(connection);
  RemoveOutcome outcome;
  std::erase_if(queue, [&](const auto& m) {
    if (!is_for(m.second, recipient_did)) return false;
    outcome.removed.push_back(m.first);
    return true;
  });
  outcome.remaining = queue.size();
  co_return outcome;
}

Result<void> MemoryColdStore::ready() const {
  std::lock_guard lock(mutex_);
  if (failing_) return fail(Errc::unavailable, "the database is away");
  return {};
}

StoreTotals MemoryColdStore::totals() const {
  std::lock_guard lock(mutex_);
  StoreTotals totals;
  for (const auto& [connection, queue] : queues_) {
    totals.messages += queue.size();
    totals.queues += !queue.empty();
    for (const auto& [position, message] : queue) totals.bytes += message.size();
  }
  return totals;
}

Task<Result<std::vector<CopyResult>>> MemoryColdStore::copy(std::vector<TierMessage> messages,
                                                            Deadline deadline) {
  std::lock_guard lock(mutex_);
  if (auto error = enter(deadline)) co_return std::unexpected(*error);
  bulks_.push_back(messages.size());
  std::vector<CopyResult> results;
  for (TierMessage& m : messages) {
    if (poison_.contains(m.message.id)) {
      results.push_back({CopyOutcome::refused, "the document is not to its taste"});
      continue;
    }
    Queue& queue = queue_of(m.message.connection);
    const bool known = std::any_of(queue.begin(), queue.end(), [&](const auto& other) {
      return other.second.id == m.message.id;
    });
    results.push_back({known ? CopyOutcome::known : CopyOutcome::copied, ""});
    if (!known) queue[m.position] = std::move(m.message);
  }
  co_return results;
}

Task<Result<std::uint64_t>> MemoryColdStore::remove_expired(std::size_t most, Deadline deadline) {
  std::lock_guard lock(mutex_);
  if (auto error = enter(deadline)) co_return std::unexpected(*error);
  std::uint64_t removed = 0;
  for (auto& [connection, queue] : queues_) {
    std::erase_if(queue, [&](const auto& m) {
      if (removed == most || !has_expired(m.second, clock_.now())) return false;
      ++removed;
      expired_.count(m.first);
      return true;
    });
  }
  co_return removed;
}

void MemoryColdStore::fail_all(bool yes) {
  std::lock_guard lock(mutex_);
  failing_ = yes;
}
std::uint64_t MemoryColdStore::refused_calls() const {
  std::lock_guard lock(mutex_);
  return refused_calls_;
}
void MemoryColdStore::refuse(const MessageId& id) {
  std::lock_guard lock(mutex_);
  poison_.insert(id);
}
void MemoryColdStore::refuse_nothing() {
  std::lock_guard lock(mutex_);
  poison_.clear();
}
std::vector<std::size_t> MemoryColdStore::bulks() const {
  std::lock_guard lock(mutex_);
  return bulks_;
}
std::uint64_t MemoryColdStore::asked() const {
  std::lock_guard lock(mutex_);
  return asked_;
}

}  // namespace mpr::test
