// The operations that are written and synced together: their records, and what they will change
// once the disk has them. Made, used and thrown away by the writer thread for one group.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <string>
#include <vector>

#include "base/executor.hpp"
#include "store/embedded/options.hpp"
#include "store/embedded/queue_index.hpp"
#include "store/embedded/record.hpp"
#include "store/embedded/remembered_ids.hpp"
#include "store/embedded/segment_log.hpp"

namespace mpr {

class AddOperation;

class CommitGroup {
 public:
  // What the parts of the store look like to an operation.
  struct Store {
    const EmbeddedOptions& options;
    QueueIndex& index;
    RememberedIds& remembered;
    SegmentLog& log;
    std::uint64_t next_position = 1;
    std::string records;  // of the present group; kept for the next one's
  };

  // What operations of this group have changed about a queue already.
  struct StagedQueue {
    std::uint64_t added = 0;
    std::uint64_t added_bytes = 0;
    std::uint64_t removed = 0;
    std::uint64_t removed_bytes = 0;
  };

  CommitGroup(Store& store, TimePoint now)
      : store_(store),
        now_(now),
        segment_(store.log.head()),
        room_(store.log.room()),
        records_(store.records) {
    records_.clear();
  }

  Store& store() { return store_; }
  QueueIndex& index() { return store_.index; }
  TimePoint now() const { return now_; }
  Segment& segment() { return segment_; }
  std::string& records() { return records_; }
  bool empty() const { return records_.empty(); }

  bool fits(std::uint64_t bytes) const { return records_.size() + bytes <= room_; }
  // Nothing was written to the segment before: what does not fit here fits nowhere.
  bool fresh() const { return empty() && room_ == store_.log.most_room(); }

  StagedQueue& queue(const Hash128& key) { return queues_[key]; }
  const StagedQueue* find_queue(const Hash128& key) const {
    const auto found = queues_.find(key);
    return found == queues_.end() ? nullptr : &found->second;
  }
  // Whether something was added to the queue in this group: then what reads it has to wait.
  bool adds_to(const Hash128& key) const {
    const StagedQueue* queue = find_queue(key);
    return queue && queue->added > 0;
  }
  std::uint64_t added_bytes() const { return added_bytes_; }

  // Each puts one record and yields its offset in the segment.
  std::uint32_t put_add(const NewMessage& message, std::uint64_t position, AddOperation& operation,
                        const Hash128& queue_key, const Hash128& id_key);
  void put_removal(const std::vector<IndexEntry*>& entries);
  std::uint32_t put_copy(std::string_view record);
  void put_remembered(std::span<const RememberedId> ids);

  // The add of this id in this group.
  AddOperation* find_add(const Hash128& id_key) const {
    const auto found = adds_.find(id_key);
    return found == adds_.end() ? nullptr : found->second;
  }

  // Takes one message out of the index for good.
  void remove(IndexEntry& entry);
  // The disk refused: what was staged stays.
  void undo();

  Resumptions answers;

 private:
  std::uint32_t finish_record(std::size_t at);

  Store& store_;
  const TimePoint now_;
  Segment& segment_;
  const std::uint64_t room_;
  std::string& records_;
  boost::unordered_flat_map<Hash128, StagedQueue, Hash128Hash> queues_;
  boost::unordered_flat_map<Hash128, AddOperation*, Hash128Hash> adds_;
  std::vector<IndexEntry*> removals_;
  std::uint64_t added_bytes_ = 0;
};

}  // namespace mpr
