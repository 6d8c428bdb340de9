// The contract suite of stores, run on Redis and MongoDB read as one store: `fresh`, while messages
// are too young to be moved, and `moving`, while an archiver moves everything that it finds, which
// is harder than the archiver's own rule (a message is never moved while a call that began before
// its add still runs) and than quotas (they bound the hot tier). Redis is one server; MongoDB is
// what tests/support/mongo_server.hpp finds. Each test has a prefix and a database of its own.
#include <atomic>
#include <thread>

#include "pickup/archiver.hpp"
#include "store/mongo/mongo_store.hpp"
#include "store/redis/redis_store.hpp"
#include "tests/contract/live_directory_contract.hpp"
#include "tests/contract/message_store_contract.hpp"
#include "tests/contract/named_store.hpp"
#include "tests/contract/precise_tiers.hpp"
#include "tests/support/mongo_server.hpp"
#include "tests/support/redis_server.hpp"

namespace mpr::test {

namespace {

// Archives without a pause, on a thread of its own.
class BusyArchiver {
 public:
  BusyArchiver(std::chrono::milliseconds threshold, HotStore& hot, ColdStore& cold, Clock& clock,
               Metrics& metrics)
      : archiver_({hot, &cold, clock, metrics}, options(threshold)), thread_([this] { run(); }) {}
  ~BusyArchiver() {
    ending_ = true;
    thread_.join();
  }

 private:
  static Archiver::Options options(std::chrono::milliseconds threshold) {
    Archiver::Options options;
    options.threshold = threshold;
    options.batch_messages = 50;
    return options;
  }
  void run() {
    RunLoop loop;
    while (!ending_) {
      const auto report = loop.run(archiver_.pass(Deadline::never()));
      if (report.first_failure) ADD_FAILURE() << report.first_failure->context;
    }
  }

  Archiver archiver_;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

// The client of the one Redis server, which lives as long as the program.
redis::Client& shared_client() {
  struct Backend {
    RedisServer server;
    Metrics metrics;
    std::unique_ptr<redis::Client> client;

    Backend() {
      const auto address = redis::parse_nodes(server.address());
      if (!address) throw std::runtime_error(address.error().context);
      redis::ClientOptions options;
      options.servers = *address;
      client = std::make_unique<redis::Client>(std::move(options), metrics);
      RunLoop loop;
      const auto connected = loop.run(client->connect(Deadline::after(std::chrono::seconds(20))));
      if (!connected) throw std::runtime_error(connected.error().context);
    }
  };
  static Backend backend;
  return *backend.client;
}

struct Tiers {
  std::unique_ptr<RedisStore> hot;
  std::unique_ptr<MongoStore> cold;
};

class TieredOnServers final : public PreciseTiers {
 public:
  TieredOnServers(Tiers tiers, std::chrono::milliseconds threshold, Clock& clock, Metrics& metrics)
      : PreciseTiers(store_),
        tiers_(std::move(tiers)),
        store_(*tiers_.hot, *tiers_.cold),
        archiver_(threshold, *tiers_.hot, *tiers_.cold, clock, metrics) {}

 private:
  const Tiers tiers_;
  TieredStore store_;
  BusyArchiver archiver_;
};

class ServersHome final : public StoreHome {
 public:
  explicit ServersHome(std::chrono::milliseconds threshold) : threshold_(threshold) {
    static int homes = 0;
    prefix_ = "tiered" + std::to_string(homes++);
  }

  std::unique_ptr<MessageStore> open(const StoreSettings& settings, Clock& clock,
                                     Metrics& metrics) override {
    auto tiers = open_tiers(settings, clock, metrics);
    EXPECT_TRUE(tiers.has_value()) << tiers.error().context;
    if (!tiers) return nullptr;
    return std::make_unique<NamedStore>(
        std::make_unique<TieredOnServers>(std::move(*tiers), threshold_, clock, metrics), names_);
  }

 private:
  Result<Tiers> open_tiers(const StoreSettings& settings, Clock& clock, Metrics& metrics) {
    RedisStore::Options hot;
    hot.prefix = prefix_;
    hot.partitions = 16;
    hot.max_queue_messages = settings.max_queue_messages;
    hot.max_queue_bytes = settings.max_queue_bytes;
    hot.idempotency_window = settings.idempotency_window;
    hot.census_interval = {};
    RunLoop loop;
    auto opened = loop.run(RedisStore::open(shared_client(), hot, clock, metrics,
                                            Deadline::after(std::chrono::seconds(10))));
    if (!opened) return std::unexpected(opened.error());
    MongoStore::Options cold;
    cold.uri = uri_;
    cold.positions = PositionsFrom::hot_tier;
    auto database = MongoStore::open(cold, clock, metrics);
    if (!database) return std::unexpected(database.error());
    return Tiers{std::move(*opened), std::move(*database)};
  }

  const std::chrono::milliseconds threshold_;
  std::string prefix_;
  const std::string uri_ = MongoServer::instance().fresh_uri();
  std::shared_ptr<MessageNames> names_ = std::make_shared<MessageNames>();
};

StoreFactory stores(std::string name, std::chrono::milliseconds threshold,
                    bool ids_may_stay_known) {
  StoreFactory factory{std::move(name),
                       [threshold] { return std::make_unique<ServersHome>(threshold); }};
  factory.bounds = StoreFactory::Bounds::queues_only;
  factory.ids_may_stay_known = ids_may_stay_known;
  return factory;
}

std::string name_of(const testing::TestParamInfo<StoreFactory>& info) { return info.param.name; }

const auto kStores = testing::Values(stores("fresh", std::chrono::hours(1), false),
                                     stores("moving", std::chrono::milliseconds(0), true));

}  // namespace

INSTANTIATE_TEST_SUITE_P(Servers, MessageStoreContract, kStores, name_of);
INSTANTIATE_TEST_SUITE_P(Servers, DurableStoreContract, kStores, name_of);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LiveDirectoryContract);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LiveDirectoryClusterContract);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DurableDirectoryContract);

}  // namespace mpr::test
