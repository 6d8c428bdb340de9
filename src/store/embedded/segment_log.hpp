// The chain of segment files: appends commit groups to the newest, starts new ones, takes the
// oldest away, and keeps a reserve of allocated files so that a full disk can still be drained and
// cleaned. One thread, the writer's. The file system, the directory and the metrics outlive it.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/metrics.hpp"
#include "store/embedded/data_directory.hpp"
#include "store/embedded/segment.hpp"

namespace mpr {

class SegmentLog {
 public:
  // Files that wait to become segments. One is room for removals when the disk is full, the other
  // for the live records of the oldest segment, whose file is then the next in reserve.
  static constexpr std::size_t kReserve = 2;
  // More are kept for reuse: writing over old blocks syncs faster than allocating new ones.
  static constexpr std::size_t kMostSpares = 4;

  SegmentLog(FileSystem& files, const DataDirectory& directory, std::uint64_t segment_bytes,
             Metrics& metrics);
  // Marks the end of the log, so that the next start need not search what is behind it.
  ~SegmentLog();
  SegmentLog(const SegmentLog&) = delete;
  SegmentLog& operator=(const SegmentLog&) = delete;

  // Before the first start_segment(): what recovery found, oldest first; the files that may be
  // overwritten; and the first sequence that no file has.
  void adopt(std::vector<std::shared_ptr<Segment>> segments,
             const std::vector<std::string>& spare_names, std::uint64_t next_sequence);

  // Ends the newest segment where it is and starts another, in a spare file or a new one. After an
  // error writable() says whether the old one can still be used; trying again is fine.
  Result<void> start_segment(std::uint64_t next_position);

  // Whether there is a segment to append to: not after a start or an append that failed.
  bool writable() const noexcept { return writable_; }
  Segment& head() { return *segments_.back(); }
  // Bytes that a group appended now may have.
  std::uint64_t room() const;
  std::uint64_t most_room() const { return segment_bytes_ - kSegmentHeaderBytes; }

  // Writes a group of records and syncs it. After an error nothing of it counts, now or after a
  // restart, and there is no segment to append to.
  Result<void> append(std::string& group);

  std::size_t segments() const noexcept { return segments_.size(); }
  Segment& oldest() { return *segments_.front(); }
  std::uint64_t used_bytes() const;
  // Takes the oldest segment out of the chain; nothing live is in it. After an error it is still
  // there: segments go in order or not at all, since each may hold removals of older messages.
  Result<void> drop_oldest();
  // The same, keeping the file under another name: messages in it cannot be read, so their entries
  // go on pointing to it.
  Result<void> set_aside_oldest();

  // Creates what the reserve lacks. The error says why it is not complete.
  Result<void> keep_reserve();
  bool has_reserve() const noexcept { return spares_.size() >= kReserve; }

 private:
  struct Spare {
    std::string name;
    std::shared_ptr<File> file;
    std::uint64_t bytes = 0;
  };

  Result<void> adopt_spare(const std::string& name);
  Result<void> create_spare();
  Result<void> make_head(Spare& spare, const SegmentHeader& header);
  void cut_head();
  void count_disk_bytes();

  FileSystem& files_;
  const DataDirectory& directory_;
  const std::uint64_t segment_bytes_;
  Metrics& metrics_;
  std::deque<std::shared_ptr<Segment>> segments_;  // oldest first
  std::vector<std::shared_ptr<Segment>> set_aside_;
  std::deque<Spare> spares_;
  std::uint64_t next_sequence_ = 1;
  std::uint64_t next_spare_ = 1;
  std::uint64_t counted_disk_bytes_ = 0;
  bool writable_ = false;
};

}  // namespace mpr
