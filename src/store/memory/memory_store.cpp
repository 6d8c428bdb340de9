#include "store/memory/memory_store.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>

namespace mpr {

namespace {

struct Entry {
  MessageId id;
  IdOrigin id_origin = IdOrigin::server;
  std::vector<RecipientDid> recipient_dids;
  Payload payload;
  TimePoint received_at;
  std::optional<TimePoint> expires_at;
  std::optional<PushToken> push_token;

  std::uint64_t size() const { return payload->size(); }
  bool is_for(const std::optional<RecipientDid>& did) const {
    return !did ||
           std::find(recipient_dids.begin(), recipient_dids.end(), *did) != recipient_dids.end();
  }
};

struct Queue {
  Connection connection;
  std::map<Position, Entry> entries;
  std::unordered_map<std::string_view, Position> by_id;  // views into the entries' ids
  std::uint64_t bytes = 0;
};

StoredMessage stored(Position position, const Entry& entry) {
  StoredMessage message;
  message.id = entry.id;
  message.position = position;
  message.received_at = entry.received_at;
  message.expires_at = entry.expires_at;
  message.payload = entry.payload;
  message.push_token = entry.push_token;
  return message;
}

std::unexpected<Error> too_late() {
  return fail(Errc::deadline_exceeded, "the deadline passed before the store began");
}

}  // namespace

// Callers' ids of removed messages, oldest removal first. Its mutex is taken inside a shard's.
class MemoryStore::RememberedIds {
 public:
  struct Id {
    TimePoint received_at;
    Position position;
    TimePoint removed_at;
  };

  RememberedIds(std::chrono::milliseconds window, std::size_t most)
      : window_(window), most_(most) {}

  std::optional<Id> find(const Connection& connection, const MessageId& id, TimePoint now) {
    std::lock_guard lock(mutex_);
    forget_old(now);
    const auto found = ids_.find({connection, id});
    if (found == ids_.end()) return std::nullopt;
    return found->second;
  }

  void remember(const Connection& connection, const MessageId& id, Id what) {
    std::lock_guard lock(mutex_);
    const auto [place, fresh] = ids_.insert_or_assign({connection, id}, what);
    if (fresh) order_.push_back(place);
    forget_old(what.removed_at);
  }

 private:
  using Ids = std::map<std::pair<Connection, MessageId>, Id>;

  void forget_old(TimePoint now) {
    while (!order_.empty() &&
           (order_.size() > most_ || order_.front()->second.removed_at + window_ <= now)) {
      ids_.erase(order_.front());
      order_.pop_front();
    }
  }

  const std::chrono::milliseconds window_;
  const std::size_t most_;
  std::mutex mutex_;
  Ids ids_;                          // guarded by mutex_
  std::deque<Ids::iterator> order_;  // guarded by mutex_
};

struct alignas(64) MemoryStore::Shard {
  using Expiring = std::set<std::tuple<TimePoint, Position, Queue*>>;

  std::mutex mutex;  // guards everything below
  std::unordered_map<Connection, Queue, ConnectionHash> queues;
  Expiring expiring;
  Position last;  // of all queues of the shard, so that a queue may vanish when it is empty
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;

  Queue* find(const Connection& connection) {
    const auto found = queues.find(connection);
    return found == queues.end() ? nullptr : &found->second;
  }

  Queue& make(const Connection& connection) {
    Queue& queue = queues[connection];
    queue.connection = connection;
    return queue;
  }

  void insert(Queue& queue, Entry entry) {
    last.value += 1;
    messages += 1;
    bytes += entry.size();
    queue.bytes += entry.size();
    if (entry.expires_at) expiring.emplace(*entry.expires_at, last, &queue);
    const auto place = queue.entries.emplace_hint(queue.entries.end(), last, std::move(entry));
    queue.by_id.emplace(place->second.id.value, last);
  }

  // Takes one entry out; an empty queue stays until drop_if_empty().
  Entry extract(Queue& queue, std::map<Position, Entry>::iterator place) {
    queue.by_id.erase(place->second.id.value);
    if (place->second.expires_at) {
      expiring.erase({*place->second.expires_at, place->first, &queue});
    }
    messages -= 1;
    bytes -= place->second.size();
    queue.bytes -= place->second.size();
    Entry entry = std::move(place->second);
    queue.entries.erase(place);
    return entry;
  }

  void drop_if_empty(Queue& queue) {
    if (queue.entries.empty()) queues.erase(Connection(queue.connection));
  }
};

// One operation's stay in the shard of its connection: holds the lock, drops what has expired on
// the way in, and counts what was gained and lost on the way out.
class MemoryStore::Visit {
 public:
  Visit(MemoryStore& store, const Connection& connection)
      : now(store.clock_.now()),
        shard(store.shards_[hash_of(connection) % kShards]),
        store_(store),
        lock_(shard.mutex),
        messages_(shard.messages),
        bytes_(shard.bytes),
        queues_(shard.queues.size()) {
    while (!shard.expiring.empty() && std::get<TimePoint>(*shard.expiring.begin()) <= now) {
      const auto [at, position, queue] = *shard.expiring.begin();
      shard.extract(*queue, queue->entries.find(position));
      shard.drop_if_empty(*queue);
      store_.metrics_.messages_expired.add();
    }
  }
  ~Visit() {
    store_.bytes_.fetch_add(shard.bytes - bytes_, std::memory_order_relaxed);
    Metrics& metrics = store_.metrics_;
    metrics.messages_pending.add(static_cast<std::int64_t>(shard.messages - messages_));
    metrics.bytes_pending.add(static_cast<std::int64_t>(shard.bytes - bytes_));
    metrics.queues.add(static_cast<std::int64_t>(shard.queues.size() - queues_));
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

  // The first add of the id, if it is known.
  std::optional<RememberedIds::Id> find_duplicate(const Queue* queue, const NewMessage& message) {
    if (queue) {
      const auto known = queue->by_id.find(message.id.value);
      if (known != queue->by_id.end()) {
        return RememberedIds::Id{queue->entries.at(known->second).received_at, known->second, now};
      }
    }
    if (message.id_origin == IdOrigin::server) return std::nullopt;
    return store_.remembered_->find(message.connection, message.id, now);
  }

  // Removes one message for good and remembers its id if a caller chose it.
  void remove(Queue& queue, std::map<Position, Entry>::iterator place) {
    const Position position = place->first;
    const Entry gone = shard.extract(queue, place);
    if (gone.id_origin == IdOrigin::server) return;
    store_.remembered_->remember(queue.connection, gone.id, {gone.received_at, position, now});
  }

  const TimePoint now;
  Shard& shard;

 private:
  MemoryStore& store_;
  std::lock_guard<std::mutex> lock_;
  const std::uint64_t messages_;
  const std::uint64_t bytes_;
  const std::uint64_t queues_;
};

MemoryStore::MemoryStore(Options options, Clock& clock, Metrics& metrics)
    : options_(options),
      clock_(clock),
      metrics_(metrics),
      shards_(std::make_unique<Shard[]>(kShards)),
      remembered_(
          std::make_unique<RememberedIds>(options.idempotency_window, options.remembered_ids)) {}

MemoryStore::~MemoryStore() = default;

Result<AddOutcome> MemoryStore::add_now(NewMessage message) {
  Visit visit(*this, message.connection);
  Shard& shard = visit.shard;
  Queue* queue = shard.find(message.connection);
  AddOutcome outcome;
  outcome.id = message.id;
  outcome.received_at = message.received_at;
  if (const auto known = visit.find_duplicate(queue, message)) {
    outcome.received_at = known->received_at;
    outcome.position = known->position;
    outcome.duplicate = true;
    return outcome;
  }
  const std::uint64_t size = message.size();
  if (queue && queue->entries.size() >= options_.max_queue_messages) {
    return fail(Errc::quota_exceeded, "the queue of this connection is full: it may hold " +
                                          std::to_string(options_.max_queue_messages) +
                                          " messages");
  }
  if ((queue ? queue->bytes : 0) + size > options_.max_queue_bytes) {
    return fail(Errc::quota_exceeded, "the queue of this connection is full: it may hold " +
                                          std::to_string(options_.max_queue_bytes) + " bytes");
  }
  if (options_.max_store_bytes != 0 &&
      bytes_.load(std::memory_order_relaxed) + size > options_.max_store_bytes) {
    return fail(Errc::quota_exceeded, "the store is full: it may hold " +
                                          std::to_string(options_.max_store_bytes) + " bytes");
  }

  outcome.previous = queue ? queue->entries.rbegin()->first : Position{};
  if (!queue) queue = &shard.make(message.connection);
  shard.insert(*queue,
               Entry{std::move(message.id), message.id_origin, std::move(message.recipient_dids),
                     std::move(message.payload), message.received_at, message.expires_at,
                     std::move(message.push_token)});
  outcome.position = shard.last;
  return outcome;
}

Task<Result<AddOutcome>> MemoryStore::add(NewMessage message, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  co_return add_now(std::move(message));
}

Task<Result<std::vector<StoredMessage>>> MemoryStore::take(TakeQuery query, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, query.queue.connection);
  Shard& shard = visit.shard;

  std::vector<StoredMessage> taken;
  Queue* queue = shard.find(query.queue.connection);
  if (!queue) co_return taken;
  Selection selection(query);
  Exclusion exclusion(query.queue.exclude);
  auto next = queue->entries.upper_bound(query.after);
  while (next != queue->entries.end() && !selection.full()) {
    const auto place = next++;
    if (!place->second.is_for(query.queue.recipient_did)) continue;
    if (exclusion.contains(place->first)) continue;
    if (!selection.admit(place->second.size())) break;
    taken.push_back(stored(place->first, place->second));
    if (query.mode == TakeMode::remove) visit.remove(*queue, place);
  }
  shard.drop_if_empty(*queue);
  co_return taken;
}

Task<Result<std::uint64_t>> MemoryStore::count(QueueQuery query, Deadline deadline) {
  const bool everything = !query.recipient_did && query.exclude.empty();
  if (!everything) {
    auto counted = co_await status(std::move(query), deadline);
    if (!counted) co_return std::unexpected(std::move(counted).error());
    co_return counted->message_count;
  }
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, query.connection);
  Shard& shard = visit.shard;
  const Queue* queue = shard.find(query.connection);
  co_return queue ? queue->entries.size() : 0;
}

Task<Result<QueueStatus>> MemoryStore::status(QueueQuery query, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, query.connection);
  Shard& shard = visit.shard;

  QueueStatus status;
  const Queue* queue = shard.find(query.connection);
  if (!queue) co_return status;
  Exclusion exclusion(query.exclude);
  for (const auto& [position, entry] : queue->entries) {
    if (!entry.is_for(query.recipient_did) || exclusion.contains(position)) continue;
    status.message_count += 1;
    status.total_bytes += entry.size();
    if (!status.oldest_received || entry.received_at < *status.oldest_received) {
      status.oldest_received = entry.received_at;
    }
    if (!status.newest_received || entry.received_at > *status.newest_received) {
      status.newest_received = entry.received_at;
    }
  }
  co_return status;
}

Task<Result<Position>> MemoryStore::tail(Connection connection, Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, connection);
  co_return visit.shard.last;
}

Task<Result<std::optional<PushToken>>> MemoryStore::newest_push_token(Connection connection,
                                                                      Deadline deadline) {
  constexpr int kLookAt = 16;
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, connection);
  Shard& shard = visit.shard;
  std::optional<PushToken> newest;
  const Queue* queue = shard.find(connection);
  if (!queue) co_return newest;
  auto entry = queue->entries.rbegin();
  for (int i = 0; i < kLookAt && entry != queue->entries.rend() && !newest; ++i, ++entry) {
    newest = entry->second.push_token;
  }
  co_return newest;
}

Task<Result<RemoveOutcome>> MemoryStore::remove(Connection connection, std::vector<MessageId> ids,
                                                Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, connection);
  Shard& shard = visit.shard;

  RemoveOutcome outcome;
  Queue* queue = shard.find(connection);
  if (!queue) co_return outcome;
  for (const MessageId& id : ids) {
    const auto known = queue->by_id.find(id.value);
    if (known == queue->by_id.end()) continue;
    outcome.removed.push_back(known->second);
    visit.remove(*queue, queue->entries.find(known->second));
  }
  outcome.remaining = queue->entries.size();
  shard.drop_if_empty(*queue);
  co_return outcome;
}

Task<Result<RemoveOutcome>> MemoryStore::remove_all(Connection connection,
                                                    std::optional<RecipientDid> recipient_did,
                                                    Deadline deadline) {
  if (deadline.passed()) co_return too_late();
  Visit visit(*this, connection);
  Shard& shard = visit.shard;

  RemoveOutcome outcome;
  Queue* queue = shard.find(connection);
  if (!queue) co_return outcome;
  for (auto next = queue->entries.begin(); next != queue->entries.end();) {
    const auto place = next++;
    if (!place->second.is_for(recipient_did)) continue;
    outcome.removed.push_back(place->first);
    visit.remove(*queue, place);
  }
  outcome.remaining = queue->entries.size();
  shard.drop_if_empty(*queue);
  co_return outcome;
}

StoreTotals MemoryStore::totals() const {
  StoreTotals totals;
  for (std::size_t i = 0; i < kShards; ++i) {
    std::lock_guard lock(shards_[i].mutex);
    totals.messages += shards_[i].messages;
    totals.bytes += shards_[i].bytes;
    totals.queues += shards_[i].queues.size();
  }
  return totals;
}

}  // namespace mpr
