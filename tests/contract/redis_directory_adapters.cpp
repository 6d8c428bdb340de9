// The contract of live directories, run on a real Redis server and on a real cluster.
#include <atomic>
#include <memory>
#include <string>

#include "tests/contract/live_directory_contract.hpp"
#include "tests/contract/message_store_contract.hpp"
#include "tests/support/joined_directory.hpp"
#include "tests/support/redis_server.hpp"

namespace mpr::test {

namespace {

// Each home has keys of its own on the servers of this test binary.
class RedisHome final : public DirectoryHome {
 public:
  explicit RedisHome(redis::ClientOptions client) : client_(std::move(client)) {
    static std::atomic<int> number = 0;
    prefix_ = "home" + std::to_string(number++);
  }

  std::unique_ptr<LiveDirectory> join(std::string_view gateway) override {
    RedisDirectory::Options options;
    options.self = GatewayId(gateway);
    return std::make_unique<JoinedDirectory>(client_, redis::Keys(prefix_, 16), options);
  }

 private:
  const redis::ClientOptions client_;
  std::string prefix_;
};

// The servers start with the first test that needs them and end with the program.
std::unique_ptr<DirectoryHome> single_home() {
  static RedisServer server;
  redis::ClientOptions client;
  client.servers = {{"127.0.0.1", server.port()}};
  return std::make_unique<RedisHome>(std::move(client));
}

std::unique_ptr<DirectoryHome> cluster_home() {
  static RedisCluster cluster({}, std::chrono::seconds(15));
  redis::ClientOptions client;
  client.mode = redis::ClientOptions::Mode::cluster;
  for (std::size_t i = 0; i < RedisCluster::kNodes; ++i) {
    client.servers.push_back({"127.0.0.1", cluster.node(i).port()});
  }
  return std::make_unique<RedisHome>(std::move(client));
}

const DirectoryFactory kSingle{"single", single_home};
const DirectoryFactory kCluster{"cluster", cluster_home};

}  // namespace

INSTANTIATE_TEST_SUITE_P(Redis, LiveDirectoryContract, testing::Values(kSingle));
INSTANTIATE_TEST_SUITE_P(Redis, LiveDirectoryClusterContract, testing::Values(kSingle));
INSTANTIATE_TEST_SUITE_P(RedisCluster, LiveDirectoryContract, testing::Values(kCluster));
INSTANTIATE_TEST_SUITE_P(RedisCluster, LiveDirectoryClusterContract, testing::Values(kCluster));
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(MessageStoreContract);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DurableStoreContract);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DurableDirectoryContract);

}  // namespace mpr::test
