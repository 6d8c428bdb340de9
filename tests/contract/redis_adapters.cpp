// The contract suites, run on real Redis servers: a single one and a cluster of three primaries
// with a replica each. One of each serves the whole binary; every home has a prefix of its own.
#include "store/redis/client.hpp"
#include "store/redis/redis_store.hpp"
#include "tests/contract/live_directory_contract.hpp"
#include "tests/contract/message_store_contract.hpp"
#include "tests/contract/named_store.hpp"
#include "tests/support/redis_server.hpp"

namespace mpr::test {

namespace {

enum class Kind { single, cluster };

std::vector<redis::ServerAddress> addresses_of(const std::vector<std::string>& texts) {
  std::vector<redis::ServerAddress> addresses;
  for (const std::string& text : texts) {
    const auto parsed = redis::parse_nodes(text);
    if (!parsed) throw std::runtime_error(parsed.error().context);
    addresses.push_back(parsed->front());
  }
  return addresses;
}

// A server, or several, and a client of it; started when the first test asks.
class Backend {
 public:
  explicit Backend(Kind kind) {
    // Machines that stall for a moment are not what is tested here.
    redis::ClientOptions options;
    options.silence_limit = std::chrono::seconds(20);
    options.replica_wait = std::chrono::seconds(10);
    if (kind == Kind::single) {
      single_ = std::make_unique<RedisServer>();
      options.servers = addresses_of({single_->address()});
    } else {
      cluster_ =
          std::make_unique<RedisCluster>(std::vector<std::string>(), std::chrono::seconds(15));
      options.mode = redis::ClientOptions::Mode::cluster;
      options.servers = addresses_of(cluster_->addresses());
    }
    client_ = std::make_unique<redis::Client>(std::move(options), metrics_);
    RunLoop loop;
    const auto connected = loop.run(client_->connect(Deadline::after(std::chrono::seconds(20))));
    if (!connected) throw std::runtime_error(connected.error().context);
  }

  redis::Client& client() { return *client_; }

  // Servers are stopped at the end of the program, after the last test.
  static Backend& of(Kind kind) {
    if (kind == Kind::single) {
      static Backend single(Kind::single);
      return single;
    }
    static Backend cluster(Kind::cluster);
    return cluster;
  }

 private:
  std::unique_ptr<RedisServer> single_;
  std::unique_ptr<RedisCluster> cluster_;
  Metrics metrics_;
  std::unique_ptr<redis::Client> client_;
};

class RedisHome final : public StoreHome {
 public:
  RedisHome(Kind kind, redis::Durability durability) : kind_(kind), durability_(durability) {
    static int homes = 0;
    prefix_ = "home" + std::to_string(homes++);
  }

  std::unique_ptr<MessageStore> open(const StoreSettings& settings, Clock& clock,
                                     Metrics& metrics) override {
    RedisStore::Options options;
    options.prefix = prefix_;
    options.partitions = 64;
    options.durability = durability_;
    options.max_queue_messages = settings.max_queue_messages;
    options.max_queue_bytes = settings.max_queue_bytes;
    options.idempotency_window = settings.idempotency_window;
    options.census_interval = {};
    RunLoop loop;
    auto store = loop.run(RedisStore::open(Backend::of(kind_).client(), options, clock, metrics,
                                           Deadline::after(std::chrono::seconds(10))));
    EXPECT_TRUE(store.has_value()) << store.error().context;
    if (!store) return nullptr;
    return std::make_unique<NamedStore>(std::move(*store), names_);
  }

 private:
  const Kind kind_;
  const redis::Durability durability_;
  std::string prefix_;
  std::shared_ptr<MessageNames> names_ = std::make_shared<MessageNames>();
};

StoreFactory stores(std::string name, Kind kind, redis::Durability durability) {
  StoreFactory factory{std::move(name), [kind, durability] {
                         return std::make_unique<RedisHome>(kind, durability);
                       }};
  factory.bounds = StoreFactory::Bounds::queues_only;
  return factory;
}

const StoreFactory kSingle = stores("single", Kind::single, redis::Durability::primary);
const StoreFactory kCluster = stores("cluster", Kind::cluster, redis::Durability::primary);
const StoreFactory kReplicated =
    stores("cluster_replicated", Kind::cluster, redis::Durability::replicated);

std::string name_of(const testing::TestParamInfo<StoreFactory>& info) { return info.param.name; }

}  // namespace

INSTANTIATE_TEST_SUITE_P(Redis, MessageStoreContract,
                         testing::Values(kSingle, kCluster, kReplicated), name_of);
INSTANTIATE_TEST_SUITE_P(Redis, DurableStoreContract,
                         testing::Values(kSingle, kCluster, kReplicated), name_of);

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LiveDirectoryContract);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LiveDirectoryClusterContract);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DurableDirectoryContract);

}  // namespace mpr::test
