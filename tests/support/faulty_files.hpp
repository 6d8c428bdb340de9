// The machine's files, with faults on demand: a full disk, failing writes, syncs and reads. Faults
// are switched on and off by the test while the store runs; any thread.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "store/embedded/file_system.hpp"

namespace mpr::test {

class FaultyFiles final : public FileSystem {
 public:
  struct Faults {
    std::atomic<bool> full = false;          // nothing can be allocated
    std::atomic<bool> writes = false;        // writes fail at once
    std::atomic<bool> short_writes = false;  // writes fail after half of the bytes
    std::atomic<bool> syncs = false;         // syncs fail; the bytes may be there or not
    std::atomic<bool> stall = false;         // syncs wait until this is false again
    std::atomic<bool> stalled = false;       // one does wait
    std::atomic<bool> reads = false;
    std::atomic<bool> cold = false;  // nothing is in memory: every read has to wait
    std::atomic<bool> renames = false;
    std::atomic<bool> removals = false;
    std::atomic<bool> truncations = false;
  };
  Faults faults;

  Result<std::unique_ptr<File>> open(const std::filesystem::path& path, Open mode) override {
    if (mode == Open::create && faults.full && !std::filesystem::exists(path)) {
      return fault("create", path.string());
    }
    auto file = system_files().open(path, mode);
    if (!file) return file;
    return std::make_unique<FaultyFile>(std::move(*file), faults);
  }
  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    if (faults.renames) return fault("rename", from.string());
    return system_files().rename(from, to);
  }
  Result<void> remove(const std::filesystem::path& path) override {
    if (faults.removals) return fault("remove", path.string());
    return system_files().remove(path);
  }
  Result<std::vector<std::string>> list(const std::filesystem::path& directory) override {
    return system_files().list(directory);
  }
  Result<void> make_directory(const std::filesystem::path& directory) override {
    return system_files().make_directory(directory);
  }
  Result<void> sync_directory(const std::filesystem::path& directory) override {
    if (faults.syncs) return fault("sync", directory.string());
    return system_files().sync_directory(directory);
  }
  Result<std::unique_ptr<FileLock>> lock(const std::filesystem::path& path) override {
    return system_files().lock(path);
  }

 private:
  static std::unexpected<Error> fault(std::string_view what, const std::string& where) {
    return fail(Errc::unavailable,
                "cannot " + std::string(what) + " " + where + ": fault injected");
  }

  class FaultyFile final : public File {
   public:
    FaultyFile(std::unique_ptr<File> file, Faults& faults)
        : file_(std::move(file)), faults_(faults) {}

    Result<void> write(std::string_view bytes, std::uint64_t offset) override {
      if (faults_.writes) return fault("write", "file");
      if (faults_.short_writes) {
        if (auto half = file_->write(bytes.substr(0, bytes.size() / 2), offset); !half) return half;
        return fault("write all of", "file");
      }
      return file_->write(bytes, offset);
    }
    Result<std::size_t> read(std::span<char> into, std::uint64_t offset) const override {
      if (faults_.reads) return fault("read", "file");
      return file_->read(into, offset);
    }
    std::optional<Result<std::size_t>> read_cached(std::span<char> into,
                                                   std::uint64_t offset) const override {
      if (faults_.cold || faults_.reads) return std::nullopt;
      return file_->read_cached(into, offset);
    }
    Result<void> sync() override {
      while (faults_.stall) {
        faults_.stalled = true;
        std::this_thread::yield();
      }
      faults_.stalled = false;
      if (faults_.syncs) return fault("sync", "file");
      return file_->sync();
    }
    Result<void> reserve(std::uint64_t bytes) override {
      if (faults_.full) return fault("allocate", "file");
      return file_->reserve(bytes);
    }
    Result<void> truncate(std::uint64_t bytes) override {
      if (faults_.truncations) return fault("truncate", "file");
      return file_->truncate(bytes);
    }
    Result<std::uint64_t> size() const override { return file_->size(); }
    void read_ahead() const override { file_->read_ahead(); }

   private:
    std::unique_ptr<File> file_;
    Faults& faults_;
  };
};

}  // namespace mpr::test
