#include "store/embedded/queue_index.hpp"

#include <algorithm>
#include <iterator>

namespace mpr {

namespace {

std::string_view bytes_of(const Hash128& key) {
  return {reinterpret_cast<const char*>(&key), sizeof key};
}

// Gives the memory of a table back that a burst has left far too large.
template <class Table>
void shrink_if_sparse(Table& table) {
  if (table.bucket_count() > 4096 && table.size() < table.bucket_count() / 16) table.rehash(0);
}

void add_link(IndexLane& lane, LaneLink& link, IndexEntry& entry) {
  link.entry = &entry;
  link.lane = &lane;
  const auto place = lane.links.insert(lane.links.end(), link);
  if (place != lane.links.begin() && std::prev(place)->entry->received_at > entry.received_at) {
    lane.times_in_order = false;
  }
  if (const auto after = std::next(place);
      after != lane.links.end() && after->entry->received_at < entry.received_at) {
    lane.times_in_order = false;
  }
  lane.count += 1;
  lane.bytes += entry.size;
}

void remove_link(LaneLink& link) {
  IndexLane& lane = *link.lane;
  lane.links.erase(lane.links.iterator_to(link));
  lane.count -= 1;
  lane.bytes -= link.entry->size;
}

bool is_in(const IndexEntry& entry, const IndexLane& lane) {
  if (entry.place.lane == &lane) return true;
  const LaneLink* const places = entry.did_places.get();
  return std::any_of(places, places + entry.did_lanes,
                     [&lane](const LaneLink& link) { return link.lane == &lane; });
}

// Walks a lane as a take does; `skip` leaves out more.
template <class Skip>
std::vector<IndexEntry*> walk(const IndexLane& lane, const TakeQuery& query, TimePoint now,
                              const Skip& skip) {
  std::vector<IndexEntry*> chosen;
  Selection selection(query);
  Exclusion exclusion(query.queue.exclude);
  for (auto link = lane.links.upper_bound(query.after.value);
       link != lane.links.end() && !selection.full(); ++link) {
    IndexEntry& entry = *link->entry;
    if (exclusion.contains(Position{entry.position})) continue;
    if (entry.expired(now) || skip(entry)) continue;
    if (selection.admit(entry.size)) chosen.push_back(&entry);
  }
  return chosen;
}

// Calls `visit` with every message of the lane that is in it but not to be counted.
template <class Visit>
void for_each_uncounted(const IndexLane& lane, const IndexQueue& queue,
                        const std::vector<MessageRef>& exclude, TimePoint now, const Visit& visit) {
  for (auto link = queue.expiring.begin(); link != queue.expiring.end() && link->at <= now;
       ++link) {
    if (is_in(*link->entry, lane)) visit(*link->entry);
  }
  Position before;
  for (const MessageRef& ref : exclude) {
    if (ref.position == before) continue;  // named twice
    before = ref.position;
    const auto link = lane.links.find(ref.position.value);
    if (link != lane.links.end() && !link->entry->expired(now)) visit(*link->entry);
  }
}

RecordPlace place_of(const IndexEntry& entry) {
  return {entry.segment->shared_from_this(), entry.offset, entry.length, entry.position};
}

}  // namespace

Hash128 QueueIndex::queue_key(const KeyedHash& hash, const Connection& connection) {
  return queue_key(hash, connection.tenant.value, connection.id.value);
}

Hash128 QueueIndex::queue_key(const KeyedHash& hash, std::string_view tenant,
                              std::string_view connection) {
  return hash({tenant, connection});
}

Hash128 QueueIndex::key_in(const KeyedHash& hash, const Hash128& queue_key, std::string_view text) {
  return hash({bytes_of(queue_key), text});
}

QueueIndex::QueueIndex() = default;

QueueIndex::~QueueIndex() {
  for (Shard& shard : shards_) {
    for (IndexEntry* entry : shard.by_id) delete entry;
  }
}

Position QueueIndex::insert(const NewEntry& what) {
  auto entry = std::make_unique<IndexEntry>();
  entry->id_key = what.id_key;
  entry->position = what.position;
  entry->segment = what.segment;
  entry->offset = what.offset;
  entry->length = what.length;
  entry->size = what.size;
  entry->caller_chose_id = what.caller_chose_id;
  entry->has_token = what.has_token;
  entry->received_at = what.received_at;
  if (what.expires_at) {
    entry->expiry = std::make_unique<ExpiryLink>();
    entry->expiry->at = *what.expires_at;
    entry->expiry->entry = entry.get();
    expiring_.insert(*entry->expiry);
  }
  messages_.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(what.size, std::memory_order_relaxed);
  live_bytes_.fetch_add(what.length, std::memory_order_relaxed);
  what.segment->live_bytes += what.length;

  Shard& shard = shard_of(what.queue_key);
  std::lock_guard lock(shard.mutex);
  link(shard, *entry, what);
  const IndexEntry& added = *entry.release();
  const auto place = added.queue->all.links.iterator_to(added.place);
  if (place == added.queue->all.links.begin()) return Position{};
  return Position{std::prev(place)->entry->position};
}

void QueueIndex::link(Shard& shard, IndexEntry& entry, const NewEntry& what) {
  const auto [place, fresh] = shard.queues.try_emplace(what.queue_key);
  if (fresh) {
    place->second = std::make_unique<IndexQueue>();
    place->second->all.key = what.queue_key;
    queues_.fetch_add(1, std::memory_order_relaxed);
  }
  IndexQueue& queue = *place->second;
  entry.queue = &queue;
  add_link(queue.all, entry.place, entry);
  if (entry.expiry) queue.expiring.insert(*entry.expiry);
  shard.by_id.insert(&entry);

  if (what.lane_keys.empty()) return;
  entry.did_places = std::make_unique<LaneLink[]>(what.lane_keys.size());
  for (const Hash128& key : what.lane_keys) {
    std::unique_ptr<IndexLane>& lane = shard.lanes[key];
    if (!lane) {
      lane = std::make_unique<IndexLane>();
      lane->key = key;
    }
    if (is_in(entry, *lane)) continue;  // a recipient that is named twice
    add_link(*lane, entry.did_places[entry.did_lanes], entry);
    entry.did_lanes += 1;
  }
}

void QueueIndex::unlink(Shard& shard, IndexEntry& entry) {
  for (std::size_t i = 0; i < entry.did_lanes; ++i) {
    LaneLink& link = entry.did_places[i];
    remove_link(link);
    if (link.lane->count == 0) shard.lanes.erase(Hash128(link.lane->key));
  }
  IndexQueue& queue = *entry.queue;
  if (entry.expiry) queue.expiring.erase(queue.expiring.iterator_to(*entry.expiry));
  remove_link(entry.place);
  shard.by_id.erase(&entry);
  if (queue.all.count == 0) {
    shard.queues.erase(Hash128(queue.all.key));
    queues_.fetch_sub(1, std::memory_order_relaxed);
  }
  shrink_if_sparse(shard.queues);
  shrink_if_sparse(shard.lanes);
  shrink_if_sparse(shard.by_id);
}

void QueueIndex::erase(IndexEntry& entry) {
  const std::unique_ptr<IndexEntry> owned(&entry);
  messages_.fetch_sub(1, std::memory_order_relaxed);
  bytes_.fetch_sub(entry.size, std::memory_order_relaxed);
  live_bytes_.fetch_sub(entry.length, std::memory_order_relaxed);
  entry.segment->live_bytes -= entry.length;
  if (entry.expiry) expiring_.erase(expiring_.iterator_to(*entry.expiry));
  Shard& shard = shard_of(entry.queue->all.key);
  std::lock_guard lock(shard.mutex);
  unlink(shard, entry);
}

void QueueIndex::move(IndexEntry& entry, Segment& segment, std::uint32_t offset) {
  entry.segment->live_bytes -= entry.length;
  segment.live_bytes += entry.length;
  std::lock_guard lock(shard_of(entry.queue->all.key).mutex);
  entry.segment = &segment;
  entry.offset = offset;
}

IndexEntry* QueueIndex::find(const Hash128& queue_key, const Hash128& id_key) const {
  const Shard& shard = shard_of(queue_key);
  const auto found = shard.by_id.find(id_key);
  return found == shard.by_id.end() ? nullptr : *found;
}

const IndexQueue* QueueIndex::queue(const Hash128& queue_key) const {
  const Shard& shard = shard_of(queue_key);
  const auto found = shard.queues.find(queue_key);
  return found == shard.queues.end() ? nullptr : found->second.get();
}

const IndexLane* QueueIndex::lane_of(const Shard& shard, const Scope& scope) {
  if (scope.lane) {
    const auto found = shard.lanes.find(*scope.lane);
    return found == shard.lanes.end() ? nullptr : found->second.get();
  }
  const auto found = shard.queues.find(scope.queue);
  return found == shard.queues.end() ? nullptr : &found->second->all;
}

std::vector<IndexEntry*> QueueIndex::choose(const Scope& scope, const TakeQuery& query,
                                            TimePoint now) const {
  const IndexLane* lane = lane_of(shard_of(scope.queue), scope);
  if (!lane) return {};
  return walk(*lane, query, now, [](const IndexEntry& e) { return e.staged_for_removal; });
}

std::vector<IndexEntry*> QueueIndex::all_of(const Scope& scope, std::size_t most) const {
  std::vector<IndexEntry*> entries;
  const IndexLane* lane = lane_of(shard_of(scope.queue), scope);
  if (!lane) return entries;
  for (const LaneLink& link : lane->links) {
    if (link.entry->staged_for_removal) continue;
    if (entries.size() == most) break;
    entries.push_back(link.entry);
  }
  return entries;
}

std::size_t QueueIndex::drop_expired(TimePoint now) {
  std::size_t dropped = 0;
  while (!expiring_.empty() && expiring_.begin()->at <= now) {
    erase(*expiring_.begin()->entry);
    ++dropped;
  }
  return dropped;
}

std::optional<TimePoint> QueueIndex::next_expiry() const {
  if (expiring_.empty()) return std::nullopt;
  return expiring_.begin()->at;
}

std::vector<RecordPlace> QueueIndex::locate(const Scope& scope, const TakeQuery& query,
                                            TimePoint now) const {
  const Shard& shard = shard_of(scope.queue);
  std::lock_guard lock(shard.mutex);
  std::vector<RecordPlace> places;
  const IndexLane* lane = lane_of(shard, scope);
  if (!lane) return places;
  const auto chosen = walk(*lane, query, now, [](const IndexEntry&) { return false; });
  places.reserve(chosen.size());
  for (const IndexEntry* entry : chosen) places.push_back(place_of(*entry));
  return places;
}

std::uint64_t QueueIndex::count(const Scope& scope, const std::vector<MessageRef>& exclude,
                                TimePoint now) const {
  const Shard& shard = shard_of(scope.queue);
  std::lock_guard lock(shard.mutex);
  const IndexLane* lane = lane_of(shard, scope);
  if (!lane) return 0;
  std::uint64_t count = lane->count;
  for_each_uncounted(*lane, *shard.queues.at(scope.queue), exclude, now,
                     [&count](const IndexEntry&) { --count; });
  return count;
}

QueueStatus QueueIndex::status(const Scope& scope, const std::vector<MessageRef>& exclude,
                               TimePoint now) const {
  const Shard& shard = shard_of(scope.queue);
  std::lock_guard lock(shard.mutex);
  QueueStatus status;
  const IndexLane* lane = lane_of(shard, scope);
  if (!lane) return status;
  status.message_count = lane->count;
  status.total_bytes = lane->bytes;
  std::vector<std::uint64_t> uncounted;
  for_each_uncounted(*lane, *shard.queues.at(scope.queue), exclude, now,
                     [&](const IndexEntry& entry) {
                       status.message_count -= 1;
                       status.total_bytes -= entry.size;
                       uncounted.push_back(entry.position);
                     });
  if (status.message_count == 0) return status;

  std::sort(uncounted.begin(), uncounted.end());
  const auto counted = [&uncounted](const LaneLink& link) {
    return !std::binary_search(uncounted.begin(), uncounted.end(), link.entry->position);
  };
  const auto first = std::find_if(lane->links.begin(), lane->links.end(), counted);
  const auto last = std::find_if(lane->links.rbegin(), lane->links.rend(), counted);
  TimePoint oldest = first->entry->received_at;
  TimePoint newest = last->entry->received_at;
  if (!lane->times_in_order) {
    // Callers may state the time of reception, so that it says nothing about the order.
    for (const LaneLink& link : lane->links) {
      if (!counted(link)) continue;
      oldest = std::min(oldest, link.entry->received_at);
      newest = std::max(newest, link.entry->received_at);
    }
  }
  status.oldest_received = oldest;
  status.newest_received = newest;
  return status;
}

std::optional<RecordPlace> QueueIndex::newest_with_token(const Hash128& queue_key, int look_at,
                                                         TimePoint now) const {
  const Shard& shard = shard_of(queue_key);
  std::lock_guard lock(shard.mutex);
  const auto found = shard.queues.find(queue_key);
  if (found == shard.queues.end()) return std::nullopt;
  const auto& links = found->second->all.links;
  for (auto link = links.rbegin(); link != links.rend() && look_at > 0; ++link) {
    if (link->entry->expired(now)) continue;
    if (link->entry->has_token) return place_of(*link->entry);
    --look_at;
  }
  return std::nullopt;
}

StoreTotals QueueIndex::totals() const {
  return {messages_.load(std::memory_order_relaxed), bytes_.load(std::memory_order_relaxed),
          queues_.load(std::memory_order_relaxed)};
}

}  // namespace mpr
