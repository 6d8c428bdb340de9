// The contract suites, run on the adapters in RAM.
#include "store/memory/memory_directory.hpp"
#include "store/memory/memory_store.hpp"
#include "tests/contract/live_directory_contract.hpp"
#include "tests/contract/message_store_contract.hpp"

namespace mpr::test {

namespace {

class NoHome final : public StoreHome {
 public:
  std::unique_ptr<MessageStore> open(const StoreSettings& settings, Clock& clock,
                                     Metrics& metrics) override {
    MemoryStore::Options options;
    options.max_queue_messages = settings.max_queue_messages;
    options.max_queue_bytes = settings.max_queue_bytes;
    options.max_store_bytes = settings.max_store_bytes;
    options.idempotency_window = settings.idempotency_window;
    options.remembered_ids = settings.remembered_ids;
    return std::make_unique<MemoryStore>(options, clock, metrics);
  }
};

class HubHome final : public DirectoryHome {
 public:
  std::unique_ptr<LiveDirectory> join(std::string_view gateway) override {
    return std::make_unique<MemoryDirectory>(hub_, GatewayId(gateway));
  }

 private:
  std::shared_ptr<MemoryHub> hub_ = make_memory_hub();
};

const StoreFactory kStores{"memory", [] { return std::make_unique<NoHome>(); }};
const DirectoryFactory kDirectories{"memory", [] { return std::make_unique<HubHome>(); }};

}  // namespace

INSTANTIATE_TEST_SUITE_P(Memory, MessageStoreContract, testing::Values(kStores));
INSTANTIATE_TEST_SUITE_P(Memory, LiveDirectoryContract, testing::Values(kDirectories));
INSTANTIATE_TEST_SUITE_P(Memory, LiveDirectoryClusterContract, testing::Values(kDirectories));
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DurableStoreContract);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DurableDirectoryContract);

}  // namespace mpr::test
