// What the threads of one store share: settings, figures, health. Any thread; everything referred
// to outlives it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "base/log_limit.hpp"
#include "base/metrics.hpp"
#include "core/ports.hpp"
#include "store/mongo/database.hpp"
#include "store/mongo/options.hpp"

namespace mpr::mongo {

class StoreState {
 public:
  StoreState(const MongoOptions& o, Pool& p, Clock& c, Metrics& m)
      : options(o), pool(p), clock(c), metrics(m) {}
  ~StoreState();
  StoreState(const StoreState&) = delete;
  StoreState& operator=(const StoreState&) = delete;

  // Counts what this process changed; a survey of the database replaces the sum of it.
  void count(std::int64_t messages, std::int64_t bytes, std::int64_t queues);
  void surveyed(const StoreTotals& totals);
  StoreTotals totals() const;

  // How the last conversation with the database ended.
  void healthy();
  void failed(const Error& error);
  Result<void> ready() const;

  // Sleeps, unless the store is closing.
  void pause(std::chrono::milliseconds duration);
  void close();
  bool closing() const { return closing_.load(std::memory_order_acquire); }

  const MongoOptions& options;
  Pool& pool;
  Clock& clock;
  Metrics& metrics;
  // Documents of the existing service are there, or may be.
  std::atomic<bool> old_documents = true;
  std::atomic<bool> sharded = false;

 private:
  void publish(const StoreTotals& now);

  std::atomic<bool> closing_ = false;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  StoreTotals totals_;            // guarded by mutex_
  std::optional<Error> trouble_;  // guarded by mutex_
  bool said_ = false;             // guarded by mutex_: this trouble has its line
  log::Limit troubles_said_{std::chrono::seconds(10)};
};

}  // namespace mpr::mongo
