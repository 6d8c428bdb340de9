// Walks the records of one segment file in order, as recovery and cleaning do, and finds its way
// behind damage: the next place where a record with the right checksum begins. It reads through a
// window, takes arbitrary bytes without harm and changes nothing. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "store/embedded/file_system.hpp"
#include "store/embedded/record.hpp"

namespace mpr {

class SegmentScan {
 public:
  // Records from offset `from` up to `limit`: where the successor says that they end, or the
  // file's size. The file outlives the scan.
  SegmentScan(const File& file, std::uint32_t seed, std::uint64_t from, std::uint64_t limit);

  enum class Found {
    record,
    end,     // the limit, or the mark behind the last commit group: nothing more was synced
    closed,  // the store was closed here: certainly the end
    damage,  // something is here that is no record
  };
  struct Step {
    Found found = Found::end;
    std::uint64_t offset = 0;
    RecordHeader header;
    std::string_view record;  // until the next call
  };

  // What is at the present offset; a record moves it on. The error is the disk's.
  Result<Step> next();

  // Moves behind damage, or behind an end that may not be one, to the next valid record; false:
  // there is none. Gives up, as if there were none, when hostile bytes make the search too long.
  Result<bool> skip_to_next_record();

  // Goes back, to read again from there.
  void rewind(std::uint64_t offset) noexcept { offset_ = offset; }

  std::uint64_t offset() const noexcept { return offset_; }
  std::uint64_t limit() const noexcept { return limit_; }

  // How many bytes of what begins at the present offset look as if they had been written.
  Result<std::uint64_t> damaged_bytes();

 private:
  Result<std::string_view> view(std::uint64_t offset, std::uint64_t size);
  Result<bool> valid_at(std::uint64_t offset, std::uint64_t& budget);

  const File& file_;
  const std::uint32_t seed_;
  const std::uint64_t limit_;
  std::uint64_t offset_;
  std::string window_;
  std::uint64_t window_at_ = 0;
};

}  // namespace mpr
