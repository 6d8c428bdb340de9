// The store's one seam to the disk: a test that wants a full or broken disk implements these two
// classes. Errors are `unavailable` and name the file and the system's reason.
// A FileSystem may be used from any thread; of one File, reads from any thread, the rest from one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace mpr {

class File {
 public:
  virtual ~File() = default;

  // Writes all of `bytes`; after an error any part of them may be there.
  virtual Result<void> write(std::string_view bytes, std::uint64_t offset) = 0;
  // Reads until `into` is full or the file ends; yields how many bytes.
  virtual Result<std::size_t> read(std::span<char> into, std::uint64_t offset) const = 0;
  // The same, but only from memory: nullopt when the disk would have to be asked.
  virtual std::optional<Result<std::size_t>> read_cached(std::span<char> into,
                                                         std::uint64_t offset) const = 0;
  // Makes everything written so far survive a power cut. After an error nothing is known of what
  // was written since the last success.
  virtual Result<void> sync() = 0;
  // Makes the file at least that large, with its space allocated.
  virtual Result<void> reserve(std::uint64_t bytes) = 0;
  virtual Result<void> truncate(std::uint64_t bytes) = 0;
  virtual Result<std::uint64_t> size() const = 0;
  // A hint: all of the file is going to be read, in order.
  virtual void read_ahead() const = 0;
};

// Held as long as the object lives; the system lets go of it when the process dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  enum class Open { existing, create };
  virtual Result<std::unique_ptr<File>> open(const std::filesystem::path& path, Open mode) = 0;
  virtual Result<void> rename(const std::filesystem::path& from,
                              const std::filesystem::path& to) = 0;
  virtual Result<void> remove(const std::filesystem::path& path) = 0;
  // Names of the files in a directory, sorted.
  virtual Result<std::vector<std::string>> list(const std::filesystem::path& directory) = 0;
  // With its parents; fine if it exists.
  virtual Result<void> make_directory(const std::filesystem::path& directory) = 0;
  // Makes creations, renames and removals in a directory survive a power cut.
  virtual Result<void> sync_directory(const std::filesystem::path& directory) = 0;
  // Fails when another process, or another store of this one, holds the lock.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::filesystem::path& path) = 0;
};

// The machine's own.
FileSystem& system_files();

}  // namespace mpr
