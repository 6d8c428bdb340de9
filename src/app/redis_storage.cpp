#include "app/redis_storage.hpp"

#include <future>
#include <optional>
#include <thread>

#include "base/run_loop.hpp"
#include "net/io_thread.hpp"
#include "pickup/archiver.hpp"
#include "pickup/tiered_store.hpp"
#include "store/mongo/description.hpp"
#include "store/mongo/mongo_store.hpp"
#include "store/redis/installation.hpp"
#include "store/redis/permissions.hpp"
#include "store/redis/redis_directory.hpp"
#include "store/redis/redis_push_windows.hpp"
#include "store/redis/redis_store.hpp"
#include "store/redis/server_checks.hpp"

namespace mpr {

namespace {

constexpr std::chrono::seconds kStartDeadline{5};   // for all of connecting and checking
constexpr std::chrono::seconds kDrainDeadline{60};  // for what is left in Redis, see drain_hot()
constexpr std::chrono::milliseconds kDrainPause{500};
constexpr std::chrono::milliseconds kArchiverTick{100};

// The archiver on a thread of its own.
class ArchiverThread {
 public:
  ArchiverThread(Archiver::Ports ports, Archiver::Options options) : archiver_(ports, options) {}
  ~ArchiverThread() { stop(Deadline::never()); }

  void start() {
    thread_.every(kArchiverTick, [this] { tick(); });
    thread_.start();
    running_ = true;
  }

  void begin_stop() {
    if (!running_) return;
    thread_.run([this] {
      ending_ = true;
      archiver_.begin_stop();
    });
  }

  // Waits for the step in hand; false: it goes on.
  bool stop(Deadline deadline) {
    if (!running_) return true;
    begin_stop();
    if (idle_told_.wait_until(deadline.at) != std::future_status::ready) return false;
    running_ = false;
    thread_.stop();
    thread_.join();
    return true;
  }

 private:
  void tick() {
    archiver_.tick();
    if (ending_ && archiver_.idle() && !std::exchange(told_, true)) idle_.set_value();
  }

  Archiver archiver_;
  IoThread thread_{"mpr-archive"};
  std::promise<void> idle_;
  std::future<void> idle_told_ = idle_.get_future();
  bool ending_ = false;   // its thread only
  bool told_ = false;     // its thread only
  bool running_ = false;  // the owner's thread only
};

// The members stand in the order of who outlives whom.
class RedisStorage final : public Storage, public MigrationTarget {
 public:
  explicit RedisStorage(Ports ports) : ports_(ports) {}
  ~RedisStorage() override { end_background(Deadline::never()); }

  // The servers and the stores on them.
  Result<void> open_stores(const Settings& settings);
  // The servers alone; changes nothing there.
  Result<void> look(const Settings& settings);
  // And the part of a gateway among others.
  Result<void> join(const Settings& settings, const GatewayId& self);

  redis::Client& client() override { return *client_; }

  MessageStore& store() override { return *store_; }
  MessageStore* store_to_fill() override { return store_; }
  LiveDirectory& directory() override { return *directory_; }
  PushWindows* push_windows() override { return push_windows_.get(); }
  std::vector<Finding> findings() const override { return findings_; }

  void begin_background() override {
    if (archiver_) archiver_->start();
  }
  void stop_background() override {
    if (archiver_) archiver_->begin_stop();
  }
  bool end_background(Deadline deadline) override {
    const bool ended = !archiver_ || archiver_->stop(deadline);
    if (directory_) directory_->leave();
    return ended;
  }

 private:
  Result<void> connect(const Settings& settings, Deadline deadline);
  Result<void> open_hot(const Settings& settings, redis::Durability durability, Deadline deadline);
  Result<void> open_cold(const Settings& settings);
  Result<void> drain_hot(const GatewayId& self);
  // Whether a queue of the hot tier holds messages that could be moved.
  Task<Result<bool>> has_due(Deadline deadline);
  void choose_store(const Settings& settings);
  void find(Finding::Kind kind, std::string text) { findings_.push_back({kind, std::move(text)}); }

  const Ports ports_;
  std::vector<Finding> findings_;
  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<RedisStore> hot_;
  std::unique_ptr<MongoStore> cold_;  // null: messages stay in Redis
  std::unique_ptr<TieredStore> tiered_;
  MessageStore* store_ = nullptr;  // one of the three; null until they are opened
  std::unique_ptr<RedisDirectory> directory_;
  std::unique_ptr<RedisPushWindows> push_windows_;
  std::unique_ptr<ArchiverThread> archiver_;
};

Archiver::Options archiver_options(const Settings& settings, const GatewayId& self) {
  return {.threshold = settings.threshold_timestamp,
          .batch_messages = settings.archive_batch,
          .seed = std::hash<std::string>{}(self.value)};
}

Result<void> RedisStorage::connect(const Settings& settings, Deadline deadline) {
  auto options = redis_client_options(settings);
  if (!options) return std::unexpected(options.error());
  client_ = std::make_unique<redis::Client>(std::move(*options), ports_.metrics);
  if (auto connected = RunLoop().run(connect_redis(*client_, deadline)); !connected) {
    return connected;
  }
  // What would lose messages stops the start.
  const auto report = RunLoop().run(examine_redis(*client_, settings, deadline));
  if (!report) return std::unexpected(report.error());
  using Severity = redis::ServerFinding::Severity;
  for (const redis::ServerFinding& finding : report->findings) {
    if (finding.severity == Severity::error) return fail(Errc::unavailable, finding.sentence);
    find(finding.severity == Severity::warning ? Finding::Kind::warning : Finding::Kind::good,
         finding.sentence);
  }
  return {};
}

Result<void> RedisStorage::look(const Settings& settings) {
  return connect(settings, Deadline::after(kStartDeadline));
}

Result<void> RedisStorage::open_stores(const Settings& settings) {
  const Deadline deadline = Deadline::after(kStartDeadline);
  if (auto connected = connect(settings, deadline); !connected) return connected;
  const redis::Durability durability = durability_of(settings);
  if (auto opened = open_hot(settings, durability, deadline); !opened) return opened;
  if (auto opened = open_cold(settings); !opened) return opened;
  choose_store(settings);
  return {};
}

Result<void> RedisStorage::join(const Settings& settings, const GatewayId& self) {
  if (settings.durability == DurabilityMode::durable) {
    if (auto drained = drain_hot(self); !drained) return drained;
  }
  const Deadline deadline = Deadline::after(kStartDeadline);
  auto directory = RedisDirectory::start(*client_, hot_->keys(),
                                         {.self = self, .orphan_grace = settings.orphan_grace},
                                         ports_.clock, ports_.metrics, deadline);
  if (!directory) return std::unexpected(directory.error());
  directory_ = std::move(*directory);
  push_windows_ = std::make_unique<RedisPushWindows>(*client_, hot_->keys(), settings.push_window);
  archiver_ = std::make_unique<ArchiverThread>(
      Archiver::Ports{*hot_, cold_.get(), ports_.clock, ports_.metrics},
      archiver_options(settings, self));
  return {};
}

Result<void> RedisStorage::open_hot(const Settings& settings, redis::Durability durability,
                                    Deadline deadline) {
  RedisStore::Options options;
  options.prefix = settings.redis_prefix;
  options.partitions = settings.redis_partitions;
  options.durability = durability;
  options.max_queue_messages = settings.max_queue_messages;
  options.max_queue_bytes = settings.max_queue_bytes;
  options.idempotency_window = settings.idempotency_window;
  // With `durable` the first gateway has emptied the queues.
  const bool used = settings.durability != DurabilityMode::durable;
  if (used) options.patrol_interval = settings.patrol_interval;
  auto hot = RunLoop().run(
      RedisStore::open(*client_, std::move(options), ports_.clock, ports_.metrics, deadline));
  if (!hot) return std::unexpected(hot.error());
  hot_ = std::move(*hot);
  return {};
}

Result<void> RedisStorage::open_cold(const Settings& settings) {
  if (settings.mongodb_uri.empty()) {
    find(Finding::Kind::warning,
         "MONGODB_URI is not set: messages that stay long stay in the memory of Redis");
    return {};
  }
  auto cold = MongoStore::open(mongo_options(settings), ports_.clock, ports_.metrics);
  if (!cold) return fail(cold.error().code, "MONGODB_URI: " + cold.error().context);
  cold_ = std::move(*cold);
  return {};
}

Task<Result<bool>> RedisStorage::has_due(Deadline deadline) {
  for (std::uint32_t partition = 0; partition < hot_->partitions(); ++partition) {
    const auto due = co_await hot_->due(partition, ports_.clock.now(), 1, deadline);
    if (!due) co_return std::unexpected(due.error());
    if (!due->empty()) co_return true;
  }
  co_return false;
}

// Where the hot tier was used before, its messages have to be in the database before anybody reads
// there.
Result<void> RedisStorage::drain_hot(const GatewayId& self) {
  Archiver archiver(
      {*hot_, cold_.get(), ports_.clock, ports_.metrics},
      {.threshold = std::chrono::milliseconds(0), .seed = std::hash<std::string>{}(self.value)});
  RunLoop loop;
  std::uint64_t moved = 0;
  std::uint64_t refused = 0;  // queues
  const Deadline deadline = Deadline::after(kDrainDeadline);
  while (true) {
    const Archiver::PassReport report = loop.run(archiver.pass(deadline));
    moved += report.archived;
    refused += report.set_aside;
    if (report.first_failure) {
      return fail(report.first_failure->code, "messages in Redis could not be moved to MongoDB: " +
                                                  report.first_failure->context);
    }
    if (report.archived > 0) continue;
    const auto left = loop.run(has_due(deadline));
    if (!left) return std::unexpected(left.error());
    if (!*left) break;
    // Another gateway holds a lease: of one that was killed it ends by itself.
    if (deadline.passed()) {
      return fail(Errc::unavailable,
                  "messages in Redis could not be moved to MongoDB in a minute: are all gateways "
                  "that use MPR_DURABILITY=fast or replicated stopped?");
    }
    std::this_thread::sleep_for(kDrainPause);
  }
  if (refused > 0) {
    find(Finding::Kind::warning,
         std::to_string(refused) +
             " queues in Redis have messages that MongoDB refuses: nobody sees "
             "them while MPR_DURABILITY is durable");
  }
  if (moved > 0) {
    find(Finding::Kind::good, "moved " + std::to_string(moved) +
                                  " messages from Redis to MongoDB, where MPR_DURABILITY=durable "
                                  "keeps them");
  }
  return {};
}

void RedisStorage::choose_store(const Settings& settings) {
  if (settings.durability == DurabilityMode::durable) {
    store_ = cold_.get();
  } else if (cold_) {
    tiered_ = std::make_unique<TieredStore>(*hot_, *cold_);
    store_ = tiered_.get();
  } else {
    store_ = hot_.get();
  }
}

}  // namespace

MongoOptions mongo_options(const Settings& settings) {
  MongoOptions options;
  options.uri = settings.mongodb_uri.reveal();
  options.database = settings.mongodb_database;
  options.positions = settings.durability == DurabilityMode::durable ? PositionsFrom::store
                                                                     : PositionsFrom::hot_tier;
  options.max_queue_messages = settings.max_queue_messages;
  options.max_queue_bytes = settings.max_queue_bytes;
  options.max_store_bytes = settings.max_store_bytes;
  options.idempotency_window = settings.idempotency_window;
  options.remembered_ids = settings.remembered_ids;
  options.workers = settings.mongodb_threads;
  return options;
}

redis::Durability durability_of(const Settings& settings) {
  return settings.durability == DurabilityMode::replicated ? redis::Durability::replicated
                                                           : redis::Durability::primary;
}

Task<Result<void>> connect_redis(redis::Client& client, Deadline deadline) {
  auto connected = co_await client.connect(deadline);
  const bool single =
      !connected && connected.error().context.find("cluster support disabled") != std::string::npos;
  if (single) {
    connected.error().context +=
        ": it is a single server, so set REDIS_TYPE=single and REDIS_URL, without REDIS_NODES";
  }
  co_return connected;
}

Task<Result<redis::ServerReport>> examine_redis(redis::Client& client, Settings settings,
                                                Deadline deadline) {
  const redis::Durability durability = durability_of(settings);
  auto report = co_await redis::examine_servers(client, durability, deadline);
  if (!report || !report->fit()) co_return report;
  auto rights =
      co_await redis::examine_permissions(client, settings.redis_prefix, durability, deadline);
  if (!rights) co_return std::unexpected(std::move(rights).error());
  for (redis::ServerFinding& finding : *rights) report->findings.push_back(std::move(finding));
  if (!report->fit()) co_return report;
  const redis::Keys keys(settings.redis_prefix, settings.redis_partitions);
  const auto installation = co_await redis::read_installation(client, keys, deadline);
  if (!installation) co_return std::unexpected(installation.error());
  if (!*installation) co_return report;
  if (const auto usable = redis::check_installation(**installation, keys); !usable) {
    report->findings.push_back({redis::ServerFinding::Severity::error, usable.error().context});
  }
  co_return report;
}

Result<redis::ClientOptions> redis_client_options(const Settings& settings) {
  redis::ClientOptions options;
  options.mode = settings.redis_type == RedisType::cluster ? redis::ClientOptions::Mode::cluster
                                                           : redis::ClientOptions::Mode::single;
  if (!settings.redis_url.empty()) {
    auto url = redis::parse_server_url(settings.redis_url.reveal());
    if (!url) return fail(url.error().code, "REDIS_URL: " + url.error().context);
    options.servers.push_back(std::move(url->address));
    options.login = std::move(url->login);
  }
  if (options.mode == redis::ClientOptions::Mode::cluster && !settings.redis_nodes.empty()) {
    auto nodes = redis::parse_nodes(settings.redis_nodes.reveal());
    if (!nodes) return fail(nodes.error().code, "REDIS_NODES: " + nodes.error().context);
    options.servers.insert(options.servers.end(), nodes->begin(), nodes->end());
  }
  if (!settings.redis_nat_map.empty()) {
    auto map = redis::parse_nat_map(settings.redis_nat_map);
    if (!map) return fail(map.error().code, "REDIS_NATMAP: " + map.error().context);
    options.nat_map = std::move(*map);
  }
  options.login.ca_file = settings.redis_ca_file;
  return options;
}

Result<std::unique_ptr<Storage>> open_redis_storage(const Settings& settings, const GatewayId& self,
                                                    Storage::Ports ports) {
  auto storage = std::make_unique<RedisStorage>(ports);
  if (auto opened = storage->open_stores(settings); !opened) return std::unexpected(opened.error());
  if (auto joined = storage->join(settings, self); !joined) return std::unexpected(joined.error());
  return std::unique_ptr<Storage>(std::move(storage));
}

Result<std::unique_ptr<MigrationTarget>> MigrationTarget::open(const Settings& settings,
                                                               Purpose purpose, Clock& clock,
                                                               Metrics& metrics) {
  auto storage = std::make_unique<RedisStorage>(Storage::Ports{clock, metrics});
  const auto opened =
      purpose == Purpose::look ? storage->look(settings) : storage->open_stores(settings);
  if (!opened) return std::unexpected(opened.error());
  return std::unique_ptr<MigrationTarget>(std::move(storage));
}

}  // namespace mpr
