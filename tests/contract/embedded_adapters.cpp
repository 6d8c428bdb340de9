// The contract suites, run on the embedded store: with segments as they are in production, and with
// segments so small that every test rotates, cleans and reuses them.
#include "store/embedded/embedded_directory.hpp"
#include "store/embedded/embedded_store.hpp"
#include "tests/contract/live_directory_contract.hpp"
#include "tests/contract/message_store_contract.hpp"
#include "tests/support/temporary_directory.hpp"

namespace mpr::test {

namespace {

class DirectoryOfStore final : public StoreHome {
 public:
  explicit DirectoryOfStore(std::uint64_t segment_bytes) : segment_bytes_(segment_bytes) {}

  std::unique_ptr<MessageStore> open(const StoreSettings& settings, Clock& clock,
                                     Metrics& metrics) override {
    EmbeddedStore::Options options;
    options.directory = directory_.path() / "store";
    options.segment_bytes = segment_bytes_;
    options.max_queue_messages = settings.max_queue_messages;
    options.max_queue_bytes = settings.max_queue_bytes;
    options.max_store_bytes = settings.max_store_bytes;
    options.idempotency_window = settings.idempotency_window;
    options.remembered_ids = settings.remembered_ids;
    auto store = EmbeddedStore::open(options, clock, metrics);
    EXPECT_TRUE(store.has_value()) << store.error().context;
    return store ? std::move(*store) : nullptr;
  }

 private:
  const std::uint64_t segment_bytes_;
  TemporaryDirectory directory_;
};

class DirectoryOfSessions final : public DirectoryHome {
 public:
  std::unique_ptr<LiveDirectory> join(std::string_view gateway) override {
    EmbeddedDirectory::Options options;
    options.directory = directory_.path() / "sessions";
    options.self = GatewayId(gateway);
    options.compact_above_bytes = 4096;
    auto opened = EmbeddedDirectory::open(options, metrics_);
    EXPECT_TRUE(opened.has_value()) << opened.error().context;
    return opened ? std::move(*opened) : nullptr;
  }

 private:
  TemporaryDirectory directory_;
  Metrics metrics_;
};

StoreFactory stores(std::string name, std::uint64_t segment_bytes, std::size_t largest_payload) {
  return {std::move(name),
          [segment_bytes] { return std::make_unique<DirectoryOfStore>(segment_bytes); },
          largest_payload};
}

const StoreFactory kStores = stores("embedded", 32 << 20, 3'000'000);
const StoreFactory kTinySegments = stores("embedded_tiny_segments", 16 << 10, 15'000);

const DirectoryFactory kDirectories{"embedded",
                                    [] { return std::make_unique<DirectoryOfSessions>(); }};

std::string name_of(const testing::TestParamInfo<StoreFactory>& info) { return info.param.name; }

}  // namespace

INSTANTIATE_TEST_SUITE_P(Stores, MessageStoreContract, testing::Values(kStores, kTinySegments),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Stores, DurableStoreContract, testing::Values(kStores, kTinySegments),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Embedded, LiveDirectoryContract, testing::Values(kDirectories));
INSTANTIATE_TEST_SUITE_P(Embedded, DurableDirectoryContract, testing::Values(kDirectories));
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LiveDirectoryClusterContract);  // one gateway only

}  // namespace mpr::test
