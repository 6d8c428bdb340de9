// Which live sessions were opened and closed, on disk: a set of append-only files whose records may
// be read in any order, since of one connection the largest epoch counts, and a close ends its own
// epoch only. Records are handed to the system without a sync: they survive the death of the
// process and may miss the last moments before a power cut.
//
// append() is for any thread; load(), read_opened() and start() belong to the start. A damaged end
// of a file is dropped with a warning. It knows nothing of who is live: compact() asks.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "core/ports.hpp"
#include "store/embedded/data_directory.hpp"

namespace mpr {

struct SessionOpened {
  std::string_view tenant;
  std::string_view connection;
  std::string_view session_id;
  Epoch epoch;
  Position opened_at;
};

struct SessionClosed {
  Hash128 key;  // the directory's hash of the connection
  Epoch epoch;
};

class SessionJournal {
 public:
  explicit SessionJournal(FileSystem& files, const DataDirectory& directory)
      : files_(files), directory_(directory) {}

  using OnOpened = std::function<void(const SessionOpened&)>;
  using OnClosed = std::function<void(const SessionClosed&)>;
  // Reads everything there is. The error is the disk's.
  Result<void> load(const OnOpened& on_opened, const OnClosed& on_closed);
  // Reads the sessions that were opened before start(), of all files, again.
  Result<void> read_opened(const OnOpened& on_opened);
  // Begins a new file; after an error appends will try again.
  Result<void> start();
  // The number of this start: one more than that of any start that is on disk.
  std::uint64_t incarnation() const noexcept { return incarnation_; }

  // A failure loses the record; later appends try a new file.
  Result<void> append(const SessionOpened& opened);
  Result<void> append(const SessionClosed& closed);

  // What the files hold, for the decision to compact.
  struct Size {
    std::uint64_t bytes = 0;
    std::size_t files = 0;
  };
  Size size() const;
  // Copies the records that `is_live` and removes the files they were in; appends go on meanwhile.
  // One thread at a time.
  using IsLive = std::function<bool(const SessionOpened&)>;
  Result<void> compact(const IsLive& is_live);

 private:
  struct JournalFile {
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;
  };

  std::string name_of(std::uint64_t number) const;
  Result<void> read(const std::string& name, const OnOpened& on_opened, const OnClosed& on_closed,
                    bool report);
  Result<void> append_bytes(std::string_view record);
  Result<void> begin_file();
  Result<JournalFile> write_live(const std::vector<JournalFile>& old, std::uint64_t number,
                                 const IsLive& is_live);

  FileSystem& files_;
  const DataDirectory& directory_;
  std::uint64_t incarnation_ = 0;  // of this start

  mutable std::mutex mutex_;
  std::vector<JournalFile> full_;  // not appended to any more; guarded by mutex_
  std::unique_ptr<File> file_;     // appended to; none after a failure; guarded by mutex_
  JournalFile present_;            // guarded by mutex_
  std::uint64_t next_number_ = 1;  // guarded by mutex_
  std::chrono::steady_clock::time_point next_try_;  // guarded by mutex_
};

}  // namespace mpr
