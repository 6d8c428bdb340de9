// Gets rid of old segments: copies what is still alive in the oldest one behind the newest, a slice
// with each commit group, and drops the file when nothing is left. Only the oldest ever goes, so
// that removals in it speak of messages that are gone already, and positions never change. On the
// writer thread.
#pragma once

#include <optional>
#include <vector>

#include "base/metrics.hpp"
#include "store/embedded/commit_group.hpp"
#include "store/embedded/segment_scan.hpp"

namespace mpr {

class Cleaner {
 public:
  Cleaner(CommitGroup::Store& store, const KeyedHash& hash, Metrics& metrics)
      : store_(store), hash_(hash), metrics_(metrics) {}

  // Whether the log is so much larger than what lives in it that the oldest segment should go.
  bool due() const;
  // Whether the slice that comes next does not fit into what is left of the newest segment.
  bool needs_room() const noexcept { return needs_room_; }

  // Stages copies from the oldest segment, reading about `bytes` of it.
  Result<void> stage(CommitGroup& group, std::uint64_t bytes);
  // The group is on disk: the copies count, and a segment that is finished goes.
  Result<void> apply(CommitGroup& group);
  // The disk refused the group: the slice is staged again.
  void undo();

 private:
  struct Copy {
    IndexEntry* entry = nullptr;
    std::uint32_t offset = 0;
  };

  bool copy_record(CommitGroup& group, const SegmentScan::Step& step);
  bool copy_add(CommitGroup& group, const SegmentScan::Step& step);
  bool copy_remembered(CommitGroup& group, const SegmentScan::Step& step);
  Result<bool> copy_next(CommitGroup& group);
  Result<void> finish();

  CommitGroup::Store& store_;
  const KeyedHash& hash_;
  Metrics& metrics_;
  std::optional<SegmentScan> scan_;  // over the oldest segment, while it is being cleaned
  std::uint64_t slice_began_ = 0;
  bool finished_ = false;
  bool needs_room_ = false;
  std::vector<Copy> copies_;
  std::vector<Hash128> remembered_;
};

}  // namespace mpr
