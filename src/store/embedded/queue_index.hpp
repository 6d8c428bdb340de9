// Every pending message of the store in RAM, without its payload: the queues in order, the parts of
// a queue that belong to one recipient DID, ids, expiry, and where each record is in the log.
// Connections, ids and DIDs are known by keyed hashes only; a message costs about 200 bytes.
//
// The writer thread alone changes it and may read without locks. Other threads read through
// locate(), count(), status() and newest_with_token(), which lock one of 64 shards for
// O(log n + answer + exclude list + what expired and was not yet dropped).
// It never reads or writes the disk.
#pragma once

#include <array>
#include <atomic>
#include <boost/intrusive/set.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/keyed_hash.hpp"
#include "core/ports.hpp"
#include "store/embedded/segment.hpp"

namespace mpr {

struct IndexEntry;
struct IndexLane;
struct IndexQueue;

// A message's place in one lane.
struct LaneLink
    : boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>,
                                      boost::intrusive::link_mode<boost::intrusive::normal_link>> {
  IndexEntry* entry = nullptr;
  IndexLane* lane = nullptr;
};

// Exists for messages that expire: their place among those of their queue, and among all.
struct ExpiryOfQueue;
struct ExpiryOfStore;
template <class Tag>
using ExpiryHook =
    boost::intrusive::set_base_hook<boost::intrusive::tag<Tag>,
                                    boost::intrusive::link_mode<boost::intrusive::normal_link>>;
struct ExpiryLink : ExpiryHook<ExpiryOfQueue>, ExpiryHook<ExpiryOfStore> {
  TimePoint at;
  IndexEntry* entry = nullptr;

  friend bool operator<(const ExpiryLink& a, const ExpiryLink& b) { return a.at < b.at; }
};
template <class Tag>
using ExpiryTree =
    boost::intrusive::multiset<ExpiryLink, boost::intrusive::base_hook<ExpiryHook<Tag>>,
                               boost::intrusive::constant_time_size<false>>;

struct IndexEntry {
  Hash128 id_key;
  std::uint64_t position = 0;
  Segment* segment = nullptr;  // owned by the log as long as entries are in it
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  std::uint32_t size = 0;  // payload bytes
  std::uint16_t did_lanes = 0;
  bool caller_chose_id = false;
  bool has_token = false;
  bool staged_for_removal = false;  // the writer's own: no other thread looks
  TimePoint received_at;
  IndexQueue* queue = nullptr;
  LaneLink place;                          // in the lane of the whole queue
  std::unique_ptr<LaneLink[]> did_places;  // in those of its recipients
  std::unique_ptr<ExpiryLink> expiry;

  bool expired(TimePoint now) const { return expiry && expiry->at <= now; }
};

struct PositionOfLink {
  using type = std::uint64_t;
  const std::uint64_t& operator()(const LaneLink& link) const { return link.entry->position; }
};

// Messages of one queue, or of one recipient in it, in order.
struct IndexLane {
  using Links = boost::intrusive::set<LaneLink, boost::intrusive::key_of_value<PositionOfLink>,
                                      boost::intrusive::constant_time_size<false>>;
  Hash128 key;
  Links links;
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
  bool times_in_order = true;  // received_at never falls: first and last are oldest and newest
};

struct IndexQueue {
  IndexLane all;
  ExpiryTree<ExpiryOfQueue> expiring;
};

class QueueIndex {
 public:
  // Names a connection, a message or a recipient in it.
  static Hash128 queue_key(const KeyedHash& hash, const Connection& connection);
  static Hash128 queue_key(const KeyedHash& hash, std::string_view tenant,
                           std::string_view connection);
  static Hash128 key_in(const KeyedHash& hash, const Hash128& queue_key, std::string_view text);

  QueueIndex();
  ~QueueIndex();
  QueueIndex(const QueueIndex&) = delete;
  QueueIndex& operator=(const QueueIndex&) = delete;

  // Which messages an operation is about.
  struct Scope {
    Hash128 queue;
    std::optional<Hash128> lane;  // of a recipient
  };

  // --- the writer thread ----------------------------------------------------------------------

  struct NewEntry {
    Hash128 queue_key;
    Hash128 id_key;
    std::span<const Hash128> lane_keys;
    std::uint64_t position = 0;
    Segment* segment = nullptr;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
    std::uint32_t size = 0;
    bool caller_chose_id = false;
    bool has_token = false;
    TimePoint received_at;
    std::optional<TimePoint> expires_at;
  };
  // The id must not be there. Yields the position of the newest message before it in its queue.
  Position insert(const NewEntry& entry);
  void erase(IndexEntry& entry);
  // The message's record was copied.
  void move(IndexEntry& entry, Segment& segment, std::uint32_t offset);
  IndexEntry* find(const Hash128& queue_key, const Hash128& id_key) const;
  const IndexQueue* queue(const Hash128& queue_key) const;
  // What a take would return, without what is staged for removal.
  std::vector<IndexEntry*> choose(const Scope& scope, const TakeQuery& query, TimePoint now) const;
  // At most `most` messages of the scope, first ones first, without what is staged for removal.
  std::vector<IndexEntry*> all_of(const Scope& scope, std::size_t most) const;
  // Drops what has expired; yields how many messages.
  std::size_t drop_expired(TimePoint now);
  std::optional<TimePoint> next_expiry() const;

  // --- any thread -------------------------------------------------------------------------------

  std::vector<RecordPlace> locate(const Scope& scope, const TakeQuery& query, TimePoint now) const;
  std::uint64_t count(const Scope& scope, const std::vector<MessageRef>& exclude,
                      TimePoint now) const;
  QueueStatus status(const Scope& scope, const std::vector<MessageRef>& exclude,
                     TimePoint now) const;
  // The newest pending message with a push token among the `look_at` newest.
  std::optional<RecordPlace> newest_with_token(const Hash128& queue_key, int look_at,
                                               TimePoint now) const;
  StoreTotals totals() const;
  // Bytes of the log that pending messages occupy.
  std::uint64_t live_bytes() const { return live_bytes_.load(std::memory_order_relaxed); }

 private:
  struct IdHash {
    using is_transparent = void;
    using is_avalanching = void;
    std::size_t operator()(const IndexEntry* e) const noexcept { return e->id_key.low; }
    std::size_t operator()(const Hash128& key) const noexcept { return key.low; }
  };
  struct IdEqual {
    using is_transparent = void;
    bool operator()(const IndexEntry* a, const IndexEntry* b) const noexcept {
      return a->id_key == b->id_key;
    }
    bool operator()(const Hash128& a, const IndexEntry* b) const noexcept { return a == b->id_key; }
    bool operator()(const IndexEntry* a, const Hash128& b) const noexcept { return a->id_key == b; }
  };
  struct alignas(64) Shard {
    mutable std::mutex mutex;  // guards all, for readers; the writer locks it to change
    boost::unordered_flat_map<Hash128, std::unique_ptr<IndexQueue>, Hash128Hash> queues;
    boost::unordered_flat_map<Hash128, std::unique_ptr<IndexLane>, Hash128Hash> lanes;
    boost::unordered_flat_set<IndexEntry*, IdHash, IdEqual> by_id;
  };
  static constexpr std::size_t kShards = 64;

  Shard& shard_of(const Hash128& queue_key) { return shards_[queue_key.high % kShards]; }
  const Shard& shard_of(const Hash128& queue_key) const {
    return shards_[queue_key.high % kShards];
  }
  static const IndexLane* lane_of(const Shard& shard, const Scope& scope);
  void link(Shard& shard, IndexEntry& entry, const NewEntry& what);
  void unlink(Shard& shard, IndexEntry& entry);

  std::array<Shard, kShards> shards_;
  ExpiryTree<ExpiryOfStore> expiring_;  // the writer's own
  std::atomic<std::uint64_t> messages_ = 0;
  std::atomic<std::uint64_t> bytes_ = 0;
  std::atomic<std::uint64_t> queues_ = 0;
  std::atomic<std::uint64_t> live_bytes_ = 0;
};

}  // namespace mpr
