// The contract suite, run on MongoDB alone: each test in a database of its own, on the server that
// tests/support/mongo_server.hpp finds.
#include "store/mongo/mongo_store.hpp"
#include "tests/contract/live_directory_contract.hpp"
#include "tests/contract/message_store_contract.hpp"
#include "tests/support/mongo_server.hpp"

namespace mpr::test {

namespace {

class FreshDatabase final : public StoreHome {
 public:
  std::unique_ptr<MessageStore> open(const StoreSettings& settings, Clock& clock,
                                     Metrics& metrics) override {
    MongoStore::Options options;
    options.uri = uri_;
    options.max_queue_messages = settings.max_queue_messages;
    options.max_queue_bytes = settings.max_queue_bytes;
    options.max_store_bytes = settings.max_store_bytes;
    options.idempotency_window = settings.idempotency_window;
    options.remembered_ids = settings.remembered_ids;
    // FerretDB looks for what it shall remove and removes it by its _id, whatever it has become in
    // between: the note of an id that is removed anew just then goes with the old one. MongoDB
    // looks again. The suite has such notes: its clock jumps over the window.
    if (MongoServer::instance().is_ferretdb()) options.sweep_every = std::chrono::hours(1);
    auto store = MongoStore::open(options, clock, metrics);
    EXPECT_TRUE(store.has_value()) << store.error().context;
    return store ? std::move(*store) : nullptr;
  }

 private:
  const std::string uri_ = MongoServer::instance().fresh_uri();
};

const StoreFactory kStores{"mongo", [] { return std::make_unique<FreshDatabase>(); }};

}  // namespace

INSTANTIATE_TEST_SUITE_P(Mongo, MessageStoreContract, testing::Values(kStores));
INSTANTIATE_TEST_SUITE_P(Mongo, DurableStoreContract, testing::Values(kStores));
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LiveDirectoryContract);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LiveDirectoryClusterContract);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DurableDirectoryContract);

}  // namespace mpr::test
