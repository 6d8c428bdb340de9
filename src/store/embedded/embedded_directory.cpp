#include "store/embedded/embedded_directory.hpp"

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/log.hpp"
#include "store/embedded/session_journal.hpp"

namespace mpr {

namespace {

// An epoch is the number of the start that made it, then a counter: so epochs grow over restarts
// even when the journal lost its end.
constexpr unsigned kCounterBits = 40;

constexpr std::size_t kMostJournalFiles = 8;

}  // namespace

class EmbeddedDirectory::Sessions {
 public:
  Sessions(Options o, std::unique_ptr<DataDirectory> d, FileSystem& files, Metrics& metrics)
      : options(std::move(o)),
        directory_(std::move(d)),
        metrics_(metrics),
        journal_(files, *directory_) {}

  ~Sessions() {
    {
      std::lock_guard lock(compactor_mutex_);
      stop_ = true;
    }
    wake_compactor_.notify_one();
    if (compactor_.joinable()) compactor_.join();
  }

  Result<void> load() {
    if (auto loaded = load_table(); !loaded) return loaded;
    note(journal_.start());
    first_epoch_ = journal_.incarnation() << kCounterBits;
    next_epoch_.store(first_epoch_ + 1, std::memory_order_relaxed);
    compactor_ = std::thread([this] { run_compactor(); });
    compact_if_due();
    return {};
  }

  Epoch open(const Connection& connection, const SessionId& session_id, Position opened_at) {
    const Hash128 key = key_of(connection.tenant.value, connection.id.value);
    Epoch epoch;
    {
      Shard& shard = shard_of(key);
      std::lock_guard lock(shard.mutex);
      epoch.value = next_epoch_.fetch_add(1, std::memory_order_relaxed);
      const auto [place, fresh] = shard.epochs.insert_or_assign(key, epoch.value);
      if (fresh) live_.fetch_add(1, std::memory_order_relaxed);
    }
    note(journal_.append(SessionOpened{connection.tenant.value, connection.id.value,
                                       session_id.value, epoch, opened_at}));
    compact_if_due();
    return epoch;
  }

  bool close(const Connection& connection, Epoch epoch) {
    const Hash128 key = key_of(connection.tenant.value, connection.id.value);
    {
      Shard& shard = shard_of(key);
      std::lock_guard lock(shard.mutex);
      const auto found = shard.epochs.find(key);
      if (found == shard.epochs.end() || found->second != epoch.value) return false;
      shard.epochs.erase(found);
      live_.fetch_sub(1, std::memory_order_relaxed);
    }
    note(journal_.append(SessionClosed{key, epoch}));
    compact_if_due();
    return true;
  }

  std::optional<Epoch> find(const Connection& connection) {
    const Hash128 key = key_of(connection.tenant.value, connection.id.value);
    Shard& shard = shard_of(key);
    std::lock_guard lock(shard.mutex);
    const auto found = shard.epochs.find(key);
    if (found == shard.epochs.end()) return std::nullopt;
    return Epoch{found->second};
  }

  Result<std::vector<RecoveredSession>> recover() {
    // A compaction would remove files under the reader.
    std::lock_guard lock(files_in_use_);
    std::vector<RecoveredSession> sessions;
    const auto read = journal_.read_opened([&](const SessionOpened& opened) {
      if (opened.epoch.value >= first_epoch_ || !is_live(opened)) return;
      Connection connection{TenantId(opened.tenant), ConnectionId(opened.connection)};
      sessions.push_back(
          {std::move(connection), SessionId(opened.session_id), opened.epoch, opened.opened_at});
    });
    if (!read) return std::unexpected(read.error());
    return sessions;
  }

  const Options options;
  std::atomic<LiveDirectoryListener*> listener = nullptr;

 private:
  struct alignas(64) Shard {
    std::mutex mutex;
    boost::unordered_flat_map<Hash128, std::uint64_t, Hash128Hash> epochs;  // guarded by mutex
  };

  Hash128 key_of(std::string_view tenant, std::string_view connection) const {
    return directory_->hash()({tenant, connection});
  }
  Shard& shard_of(const Hash128& key) { return shards_[key.high % shards_.size()]; }

  bool is_live(const SessionOpened& opened) {
    const Hash128 key = key_of(opened.tenant, opened.connection);
    Shard& shard = shard_of(key);
    std::lock_guard lock(shard.mutex);
    const auto found = shard.epochs.find(key);
    return found != shard.epochs.end() && found->second == opened.epoch.value;
  }

  // Reads the journal into the table. The records of one connection come in any order.
  Result<void> load_table() {
    boost::unordered_flat_map<Hash128, std::uint64_t, Hash128Hash> closed;
    const auto loaded = journal_.load(
        [&](const SessionOpened& opened) {
          const Hash128 key = key_of(opened.tenant, opened.connection);
          std::uint64_t& epoch = shard_of(key).epochs[key];
          epoch = std::max(epoch, opened.epoch.value);
        },
        [&](const SessionClosed& c) {
          std::uint64_t& epoch = closed[c.key];
          epoch = std::max(epoch, c.epoch.value);
        });
    if (!loaded) return loaded;
    for (Shard& shard : shards_) {
      boost::unordered::erase_if(shard.epochs, [&closed](const auto& session) {
        const auto found = closed.find(session.first);
        return found != closed.end() && found->second >= session.second;
      });
      live_.fetch_add(shard.epochs.size(), std::memory_order_relaxed);
    }
    return {};
  }

  void note(const Result<void>& written) {
    if (written) {
      if (failing_.load(std::memory_order_relaxed) && failing_.exchange(false)) {
        log::info("the session journal is written again");
      }
      return;
    }
    metrics_.store_errors.add();
    if (!failing_.exchange(true)) {
      log::error("live sessions are not journaled: a restart will forget them",
                 {{"reason", written.error().context}});
    }
  }

  // Looks only now and then: once for every so many records.
  void compact_if_due() {
    if (changes_.fetch_add(1, std::memory_order_relaxed) % 1024 != 0) return;
    const SessionJournal::Size size = journal_.size();
    constexpr std::uint64_t kTypicalRecordBytes = 120;
    const std::uint64_t live = live_.load(std::memory_order_relaxed) * kTypicalRecordBytes;
    const bool large = size.bytes > std::max(options.compact_above_bytes, 2 * live);
    if (!large && size.files <= kMostJournalFiles) return;
    {
      std::lock_guard lock(compactor_mutex_);
      if (wanted_ || size.bytes < 2 * compacted_bytes_) return;
      wanted_ = true;
    }
    wake_compactor_.notify_one();
  }

  void run_compactor() {
    std::unique_lock lock(compactor_mutex_);
    while (true) {
      wake_compactor_.wait(lock, [this] { return wanted_ || stop_; });
      if (!wanted_) return;
      lock.unlock();
      compact();
      const std::uint64_t bytes = journal_.size().bytes;
      lock.lock();
      compacted_bytes_ = bytes;
      wanted_ = false;
    }
  }

  void compact() {
    std::lock_guard lock(files_in_use_);
    const auto done = journal_.compact([this](const SessionOpened& o) { return is_live(o); });
    if (done) return;
    metrics_.store_errors.add();
    log::warn("the session journal cannot be compacted", {{"reason", done.error().context}});
  }

  const std::unique_ptr<DataDirectory> directory_;
  Metrics& metrics_;
  SessionJournal journal_;
  std::array<Shard, 64> shards_;
  std::uint64_t first_epoch_ = 0;  // of this start; constant after load()
  std::atomic<std::uint64_t> next_epoch_ = 1;
  std::atomic<std::uint64_t> live_ = 0;
  std::atomic<std::uint64_t> changes_ = 0;
  std::atomic<bool> failing_ = false;
  std::mutex files_in_use_;  // held while old journal files are read or removed

  std::mutex compactor_mutex_;
  std::condition_variable wake_compactor_;
  bool wanted_ = false;                // guarded by compactor_mutex_
  bool stop_ = false;                  // guarded by compactor_mutex_
  std::uint64_t compacted_bytes_ = 0;  // after the last time; guarded by compactor_mutex_
  std::thread compactor_;
};

EmbeddedDirectory::EmbeddedDirectory(std::unique_ptr<Sessions> sessions)
    : sessions_(std::move(sessions)) {}

EmbeddedDirectory::~EmbeddedDirectory() = default;

Result<std::unique_ptr<EmbeddedDirectory>> EmbeddedDirectory::open(Options options,
                                                                   Metrics& metrics,
                                                                   FileSystem& files) {
  auto directory = DataDirectory::open(files, options.directory);
  if (!directory) return std::unexpected(directory.error());
  auto sessions =
      std::make_unique<Sessions>(std::move(options), std::move(*directory), files, metrics);
  if (auto loaded = sessions->load(); !loaded) return std::unexpected(loaded.error());
  return std::unique_ptr<EmbeddedDirectory>(new EmbeddedDirectory(std::move(sessions)));
}

Task<Result<Epoch>> EmbeddedDirectory::open(Connection connection, SessionId session_id,
                                            Position opened_at, Deadline) {
  co_return sessions_->open(connection, session_id, opened_at);
}

Task<Result<bool>> EmbeddedDirectory::close(Connection connection, Epoch epoch, Deadline) {
  co_return sessions_->close(connection, epoch);
}

Task<Result<std::optional<SessionPlace>>> EmbeddedDirectory::find(Connection connection, Deadline) {
  const auto epoch = sessions_->find(connection);
  if (!epoch) co_return std::optional<SessionPlace>();
  co_return SessionPlace{self(), *epoch};
}

Task<Result<bool>> EmbeddedDirectory::moved_on(Connection, SessionId, Deadline) { co_return false; }

// The journal loses nothing: without a record the session was closed meanwhile.
Task<Result<SessionPlace>> EmbeddedDirectory::renew(Connection connection, SessionId, Epoch epoch,
                                                    Position, Deadline) {
  co_return SessionPlace{self(), sessions_->find(connection).value_or(epoch)};
}

Presence EmbeddedDirectory::presence(const SessionPlace& place) const {
  return place.gateway == self() ? Presence::live : Presence::gone;
}

Task<Result<void>> EmbeddedDirectory::announce(Connection connection, SessionPlace place,
                                               Position position, Deadline) {
  if (place.gateway != self()) {
    co_return fail(Errc::unavailable, "gateway " + place.gateway.value + " is not known here");
  }
  if (LiveDirectoryListener* listener = sessions_->listener.load()) {
    listener->on_announced(std::move(connection), position);
  }
  co_return Result<void>();
}

Task<Result<void>> EmbeddedDirectory::broadcast(Connection, Epoch, StoredMessage, Deadline) {
  co_return Result<void>();
}

Task<Result<void>> EmbeddedDirectory::listener_came(TenantId, Deadline) {
  co_return Result<void>();
}

Task<Result<std::vector<RecoveredSession>>> EmbeddedDirectory::recover() {
  co_return sessions_->recover();
}

void EmbeddedDirectory::listen(LiveDirectoryListener& listener) {
  sessions_->listener.store(&listener);
}

const GatewayId& EmbeddedDirectory::self() const { return sessions_->options.self; }

}  // namespace mpr
