// A disk in memory that can lose power: whatever was not synced may be there or not, in pieces of
// 512 bytes, and files that were created, renamed or removed without a sync of their directory may
// have their old names. What was synced stays. Thread-safe; one store at a time.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>

#include "store/embedded/file_system.hpp"

namespace mpr::test {

class SimulatedDisk final : public FileSystem {
 public:
  explicit SimulatedDisk(std::uint64_t seed) : dice_(seed) {}

  // Nothing changes from now on: every write fails, as if the process were gone.
  void stop() {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }

  // The power is back. No store may be open.
  void restart_after_power_cut() {
    std::lock_guard lock(mutex_);
    for (const Change& change : unsynced_names_) {
      // The journal of the file system keeps the order: a prefix of the changes is there.
      if (dice_() % 2 == 0) break;
      apply(synced_names_, change);
    }
    unsynced_names_.clear();
    names_ = synced_names_;
    for (const auto& [name, inode] : names_) inode->cut(dice_);
    stopped_ = false;
  }

  Result<std::unique_ptr<File>> open(const std::filesystem::path& path, Open mode) override {
    std::lock_guard lock(mutex_);
    if (stopped_) return gone();
    auto found = names_.find(path.string());
    if (found == names_.end()) {
      if (mode == Open::existing) return fail(Errc::unavailable, "no file " + path.string());
      change({path.string(), std::make_shared<Inode>(), {}});
      found = names_.find(path.string());
    }
    return std::make_unique<SimulatedFile>(*this, found->second);
  }

  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    std::lock_guard lock(mutex_);
    if (stopped_) return gone();
    const auto found = names_.find(from.string());
    if (found == names_.end()) return fail(Errc::unavailable, "no file " + from.string());
    change({to.string(), found->second, from.string()});
    return {};
  }

  Result<void> remove(const std::filesystem::path& path) override {
    std::lock_guard lock(mutex_);
    if (stopped_) return gone();
    change({{}, nullptr, path.string()});
    return {};
  }

  Result<std::vector<std::string>> list(const std::filesystem::path&) override {
    std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, inode] : names_) {
      names.push_back(std::filesystem::path(name).filename().string());
    }
    return names;
  }

  Result<void> make_directory(const std::filesystem::path&) override { return {}; }

  Result<void> sync_directory(const std::filesystem::path&) override {
    std::lock_guard lock(mutex_);
    if (stopped_) return gone();
    synced_names_ = names_;
    unsynced_names_.clear();
    return {};
  }

  Result<std::unique_ptr<FileLock>> lock(const std::filesystem::path&) override {
    return std::make_unique<FileLock>();
  }

 private:
  static constexpr std::size_t kSector = 512;

  struct Inode {
    std::string bytes;            // as the running system sees it
    std::string synced;           // as the disk has it for certain
    std::set<std::size_t> dirty;  // sectors that differ, or may

    void write(std::string_view what, std::size_t offset) {
      if (bytes.size() < offset + what.size()) bytes.resize(offset + what.size(), '\0');
      bytes.replace(offset, what.size(), what);
      for (std::size_t s = offset / kSector; s * kSector < offset + what.size(); ++s) {
        dirty.insert(s);
      }
    }
    void sync() {
      synced.resize(bytes.size(), '\0');
      for (const std::size_t s : dirty) copy_sector(s);
      dirty.clear();
    }
    void copy_sector(std::size_t s) {
      if (s * kSector >= bytes.size()) return;
      const std::size_t n = std::min(kSector, bytes.size() - s * kSector);
      synced.replace(s * kSector, n, bytes, s * kSector, n);
    }
    // Each sector that was not synced is the old or the new one.
    void cut(std::mt19937_64& dice) {
      if (dice() % 2 == 0) synced.resize(bytes.size(), '\0');
      const std::size_t reached = synced.size();
      for (const std::size_t s : dirty) {
        if (s * kSector < reached && dice() % 2 == 0) copy_sector(s);
      }
      synced.resize(reached);
      bytes = synced;
      dirty.clear();
    }
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  struct Change {
    std::string name;  // that appears
    std::shared_ptr<Inode> inode;
    std::string old_name;  // that goes
  };

  static std::unexpected<Error> gone() { return fail(Errc::unavailable, "the process is gone"); }
  static void apply(Names& names, const Change& change) {
    if (!change.old_name.empty()) names.erase(change.old_name);
    if (!change.name.empty()) names[change.name] = change.inode;
  }
  void change(Change what) {
    apply(names_, what);
    unsynced_names_.push_back(std::move(what));
  }

  class SimulatedFile final : public File {
   public:
    SimulatedFile(SimulatedDisk& disk, std::shared_ptr<Inode> inode)
        : disk_(disk), inode_(std::move(inode)) {}

    Result<void> write(std::string_view bytes, std::uint64_t offset) override {
      return change([&] { inode_->write(bytes, static_cast<std::size_t>(offset)); });
    }
    Result<std::size_t> read(std::span<char> into, std::uint64_t offset) const override {
      std::lock_guard lock(disk_.mutex_);
      if (offset >= inode_->bytes.size()) return std::size_t{0};
      return inode_->bytes.copy(into.data(), into.size(), static_cast<std::size_t>(offset));
    }
    std::optional<Result<std::size_t>> read_cached(std::span<char> into,
                                                   std::uint64_t offset) const override {
      return read(into, offset);
    }
    Result<void> sync() override {
      return change([&] { inode_->sync(); });
    }
    Result<void> reserve(std::uint64_t bytes) override {
      return change([&] {
        if (inode_->bytes.size() < bytes) {
          inode_->bytes.resize(static_cast<std::size_t>(bytes), '\0');
        }
      });
    }
    Result<void> truncate(std::uint64_t bytes) override {
      return change([&] { inode_->bytes.resize(static_cast<std::size_t>(bytes), '\0'); });
    }
    Result<std::uint64_t> size() const override {
      std::lock_guard lock(disk_.mutex_);
      return inode_->bytes.size();
    }
    void read_ahead() const override {}

   private:
    template <class What>
    Result<void> change(const What& what) {
      std::lock_guard lock(disk_.mutex_);
      if (disk_.stopped_) return gone();
      what();
      return {};
    }

    SimulatedDisk& disk_;
    const std::shared_ptr<Inode> inode_;
  };

  std::mutex mutex_;
  std::mt19937_64 dice_;
  bool stopped_ = false;
  Names names_;
  Names synced_names_;
  std::vector<Change> unsynced_names_;
};

}  // namespace mpr::test
