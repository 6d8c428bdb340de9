// A directory that belongs to one process: locked, with a FORMAT file that says what wrote it.
// Opened at start, on one thread; the lock is held until the object goes. It never touches files it
// does not know.
#pragma once

#include <filesystem>
#include <memory>

#include "base/error.hpp"
#include "base/keyed_hash.hpp"
#include "store/embedded/file_system.hpp"

namespace mpr {

class DataDirectory {
 public:
  // Creates the directory if need be. Fails with the directory's name when another process holds
  // it, or a newer version of this program wrote it, or the system refuses.
  static Result<std::unique_ptr<DataDirectory>> open(FileSystem& files,
                                                     const std::filesystem::path& path);

  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path file(std::string_view name) const { return path_ / name; }
  // Hashes with the directory's own key, which is the same at every start.
  const KeyedHash& hash() const noexcept { return hash_; }

 private:
  DataDirectory(std::filesystem::path path, std::unique_ptr<FileLock> lock, KeyedHash hash)
      : path_(std::move(path)), lock_(std::move(lock)), hash_(hash) {}

  const std::filesystem::path path_;
  const std::unique_ptr<FileLock> lock_;
  const KeyedHash hash_;
};

}  // namespace mpr
