// The contract suite of stores, run on two tiers read as one: left alone, and with an archiver that
// goes some random steps on before every operation and between the steps of each. MPR_SEED repeats
// a run.
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <random>

#include "pickup/archiver.hpp"
#include "pickup/tiered_store.hpp"
#include "tests/contract/live_directory_contract.hpp"
#include "tests/contract/message_store_contract.hpp"
#include "tests/contract/precise_tiers.hpp"
#include "tests/support/memory_tiers.hpp"
#include "tests/support/stepped_tiers.hpp"

namespace mpr::test {

namespace {

MemoryHotStore::Options hot_options(const StoreSettings& settings) {
  MemoryHotStore::Options options;
  options.max_queue_messages = settings.max_queue_messages;
  options.max_queue_bytes = settings.max_queue_bytes;
  options.max_store_bytes = settings.max_store_bytes;
  options.idempotency_window = settings.idempotency_window;
  options.remembered_ids = settings.remembered_ids;
  return options;
}

std::uint64_t random_seed() {
  const char* const fixed = std::getenv("MPR_SEED");
  const std::uint64_t seed = fixed ? std::strtoull(fixed, nullptr, 10) : std::random_device{}();
  std::cout << "archiver: MPR_SEED=" << seed << "\n";
  return seed;
}

// An archiver that moves everything at once, on whatever thread lets it go some steps on.
class RestlessArchiver {
 public:
  RestlessArchiver(HotStore& hot, ColdStore& cold, Clock& clock, Metrics& metrics)
      : hot_(hot, steps_),
        cold_(cold, steps_),
        dice_(random_seed()),
        archiver_({hot_, &cold_, clock, metrics}, options()) {}
  ~RestlessArchiver() { finish(); }

  void go_on() {
    std::lock_guard lock(mutex_);
    for (auto steps = dice_() % 12; steps > 0; --steps) {
      if (!steps_.waiting()) passes_.spawn(pass());
      if (steps_.waiting()) steps_.let_go(dice_() % steps_.size());
    }
  }
  // Moves what there is.
  void settle() {
    std::lock_guard lock(mutex_);
    finish();
    steps_.stop_at_steps(false);
    passes_.spawn(pass());
    steps_.stop_at_steps(true);
  }

 private:
  static Archiver::Options options() {
    Archiver::Options options;
    options.threshold = std::chrono::milliseconds(0);
    options.batch_messages = 7;
    options.sweep_interval = std::chrono::milliseconds(0);
    return options;
  }
  Task<void> pass() { (void)co_await archiver_.pass(Deadline::never()); }
  void finish() {
    while (steps_.waiting()) steps_.let_go(0);
  }

  Stepper steps_;  // guarded by mutex_, as is everything below
  SteppedHotStore hot_;
  SteppedColdStore cold_;
  std::mt19937_64 dice_;
  Archiver archiver_;
  TaskGroup passes_{[](const std::exception_ptr& e) { std::rethrow_exception(e); }};
  std::mutex mutex_;
};

// Tiers in RAM. Their totals are made exact by moving everything first.
class TieredInMemory final : public PreciseTiers {
 public:
  enum class Archiving { none, restless };

  TieredInMemory(const StoreSettings& settings, Clock& clock, Metrics& metrics, Archiving archiving)
      : PreciseTiers(store_),
        metrics_(metrics),
        expired_(metrics),
        hot_(hot_options(settings), clock, expired_),
        cold_(clock, expired_) {
    steps_.stop_at_steps(false);
    if (archiving == Archiving::none) return;
    archiver_ = std::make_unique<RestlessArchiver>(hot_, cold_, clock, metrics);
    steps_.faults([this](std::string_view) {
      archiver_->go_on();
      return Stepper::Fault::none;
    });
  }

  StoreTotals totals() const override {
    if (archiver_) archiver_->settle();
    const StoreTotals totals = store_.totals();
    metrics_.messages_pending.set(static_cast<std::int64_t>(totals.messages));
    metrics_.bytes_pending.set(static_cast<std::int64_t>(totals.bytes));
    metrics_.queues.set(static_cast<std::int64_t>(totals.queues));
    return totals;
  }

 private:
  Metrics& metrics_;
  ExpiryLedger expired_;
  MemoryHotStore hot_;
  MemoryColdStore cold_;
  Stepper steps_;
  SteppedHotStore hot_seen_{hot_, steps_};
  SteppedColdStore cold_seen_{cold_, steps_};
  TieredStore store_{hot_seen_, cold_seen_};
  std::unique_ptr<RestlessArchiver> archiver_;
};

class TiersHome final : public StoreHome {
 public:
  explicit TiersHome(TieredInMemory::Archiving archiving) : archiving_(archiving) {}

  std::unique_ptr<MessageStore> open(const StoreSettings& settings, Clock& clock,
                                     Metrics& metrics) override {
    // Quotas bound the hot tier: a test of them needs its messages to stay there.
    const StoreSettings usual;
    const bool bounded = settings.max_queue_messages != usual.max_queue_messages ||
                         settings.max_queue_bytes != usual.max_queue_bytes ||
                         settings.max_store_bytes != usual.max_store_bytes;
    return std::make_unique<TieredInMemory>(settings, clock, metrics,
                                            bounded ? TieredInMemory::Archiving::none : archiving_);
  }

 private:
  const TieredInMemory::Archiving archiving_;
};

const StoreFactory kStill{
    "tiered", [] { return std::make_unique<TiersHome>(TieredInMemory::Archiving::none); }};
const StoreFactory kRestless{
    "archiving", [] { return std::make_unique<TiersHome>(TieredInMemory::Archiving::restless); }};

std::string name_of(const testing::TestParamInfo<StoreFactory>& info) { return info.param.name; }

}  // namespace

TEST(TieredInMemory, ItsArchiverMovesMessagesWhileOthersAsk) {
  FakeClock clock;
  Metrics metrics;
  RunLoop loop;
  const auto store = TiersHome(TieredInMemory::Archiving::restless).open({}, clock, metrics);
  for (int i = 0; i < 100; ++i) {
    loop.run(store->add(MessageBuilder("c", "m-" + std::to_string(i)).message, Deadline::never()));
    ASSERT_EQ(loop.run(store->count(all_of("c"), Deadline::never())), i + 1);
  }
  EXPECT_GT(metrics.messages_archived.value(), 10U);
}

INSTANTIATE_TEST_SUITE_P(Tiers, MessageStoreContract, testing::Values(kStill, kRestless), name_of);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DurableStoreContract);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LiveDirectoryContract);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LiveDirectoryClusterContract);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DurableDirectoryContract);

}  // namespace mpr::test
