// Reads the log at start: fills the index with what is pending and says what the log consists of.
// Damage is reported, never passed over: as a warning where an interrupted write explains it, as an
// error where answered messages may be lost. It changes no segment file; one whose header cannot be
// read gets another name. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store/embedded/data_directory.hpp"
#include "store/embedded/queue_index.hpp"
#include "store/embedded/record.hpp"

namespace mpr {

struct RecoveredLog {
  std::vector<std::shared_ptr<Segment>> segments;  // oldest first
  std::vector<std::string> spare_names;            // files that may be overwritten
  std::uint64_t next_sequence = 1;
  std::uint64_t next_position = 1;
  struct Remembered {
    RememberedId id;
    std::uint64_t segment_sequence = 0;
  };
  std::vector<Remembered> remembered;  // by time of removal
  std::uint64_t bytes_read = 0;
};

// Messages that are expired at `now` are left out, ids removed before `forgotten` too. The error is
// the disk's: a file that cannot be read at all.
Result<RecoveredLog> recover_log(FileSystem& files, const DataDirectory& directory, TimePoint now,
                                 TimePoint forgotten, QueueIndex& index);

}  // namespace mpr
