#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "store/embedded/file_system.hpp"

namespace mpr {

namespace {

std::unexpected<Error> cannot(std::string_view what, const std::filesystem::path& path,
                              int reason) {
  return fail(Errc::unavailable, "cannot " + std::string(what) + " " + path.string() + ": " +
                                     std::generic_category().message(reason));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

class SystemFile final : public File {
 public:
  SystemFile(Descriptor fd, std::filesystem::path path)
      : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<void> write(std::string_view bytes, std::uint64_t offset) override {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return cannot("write", path_, errno);
      if (n == 0) return cannot("write", path_, ENOSPC);
      bytes.remove_prefix(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    return {};
  }

  Result<std::size_t> read(std::span<char> into, std::uint64_t offset) const override {
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t n = ::pread(fd_.get(), into.data() + done, into.size() - done,
                                static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return cannot("read", path_, errno);
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  std::optional<Result<std::size_t>> read_cached(std::span<char> into,
                                                 std::uint64_t offset) const override {
    const iovec part{into.data(), into.size()};
    const ssize_t n = ::preadv2(fd_.get(), &part, 1, static_cast<off_t>(offset), RWF_NOWAIT);
    // Whatever the reason, a read that may wait finds it out.
    if (n < 0 || static_cast<std::size_t>(n) < into.size()) return std::nullopt;
    return static_cast<std::size_t>(n);
  }

  Result<void> sync() override {
    if (::fdatasync(fd_.get()) != 0) return cannot("sync", path_, errno);
    return {};
  }

  Result<void> reserve(std::uint64_t bytes) override {
    if (const int reason = ::posix_fallocate(fd_.get(), 0, static_cast<off_t>(bytes))) {
      return cannot("allocate space for", path_, reason);
    }
    return {};
  }

  Result<void> truncate(std::uint64_t bytes) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(bytes)) != 0) {
      return cannot("truncate", path_, errno);
    }
    return {};
  }

  Result<std::uint64_t> size() const override {
    struct stat info{};
    if (::fstat(fd_.get(), &info) != 0) return cannot("examine", path_, errno);
    return static_cast<std::uint64_t>(info.st_size);
  }

  void read_ahead() const override { ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_WILLNEED); }

 private:
  const Descriptor fd_;
  const std::filesystem::path path_;
};

class SystemLock final : public FileLock {
 public:
  explicit SystemLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  const Descriptor fd_;
};

class SystemFiles final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::filesystem::path& path, Open mode) override {
    const int flags = O_RDWR | O_CLOEXEC | (mode == Open::create ? O_CREAT : 0);
    Descriptor fd(::open(path.c_str(), flags, 0600));
    if (fd.get() < 0) return cannot("open", path, errno);
    return std::make_unique<SystemFile>(std::move(fd), path);
  }

  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return cannot("rename", from, errno);
    return {};
  }

  Result<void> remove(const std::filesystem::path& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return cannot("remove", path, errno);
    return {};
  }

  Result<std::vector<std::string>> list(const std::filesystem::path& directory) override {
    std::error_code reason;
    std::vector<std::string> names;
    std::filesystem::directory_iterator entry(directory, reason);
    for (; !reason && entry != std::filesystem::directory_iterator(); entry.increment(reason)) {
      names.push_back(entry->path().filename().string());
    }
    if (reason) return cannot("list", directory, reason.value());
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<void> make_directory(const std::filesystem::path& directory) override {
    std::error_code reason;
    std::filesystem::create_directories(directory, reason);
    if (reason) return cannot("create directory", directory, reason.value());
    return {};
  }

  Result<void> sync_directory(const std::filesystem::path& directory) override {
    const Descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) return cannot("open", directory, errno);
    if (::fsync(fd.get()) != 0) return cannot("sync", directory, errno);
    return {};
  }

  Result<std::unique_ptr<FileLock>> lock(const std::filesystem::path& path) override {
    Descriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (fd.get() < 0) return cannot("open", path, errno);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) {
        return fail(Errc::unavailable, "the directory " + path.parent_path().string() +
                                           " is in use by another process");
      }
      return cannot("lock", path, errno);
    }
    return std::make_unique<SystemLock>(std::move(fd));
  }
};

}  // namespace

FileSystem& system_files() {
  static SystemFiles files;
  return files;
}

}  // namespace mpr
