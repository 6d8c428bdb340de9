// What the lanes of one client have in common. Thread-safe; outlives the lanes.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "base/metrics.hpp"
#include "net/resolver.hpp"
#include "store/redis/client.hpp"
#include "store/redis/link.hpp"
#include "store/redis/slot_map.hpp"

namespace mpr::redis {

struct Shared {
  Shared(ClientOptions o, Metrics& m) : options(std::move(o)), metrics(m) {}

  const ClientOptions options;
  Metrics& metrics;
  LinkSettings links;
  Resolver resolver;

  bool is_cluster() const noexcept { return options.mode == ClientOptions::Mode::cluster; }

  // The newest map; null before the first. The version tells cheaply that there is a newer one.
  std::shared_ptr<const SlotMap> map() const {
    std::lock_guard lock(mutex_);
    return map_;
  }
  std::uint64_t map_version() const noexcept { return version_.load(std::memory_order_acquire); }
  void publish(std::shared_ptr<const SlotMap> map) {
    std::lock_guard lock(mutex_);
    map_ = std::move(map);
    version_.fetch_add(1, std::memory_order_acq_rel);
  }

  // The map seems to be out of date.
  void want_refresh() {
    if (!refresh_wanted_.exchange(true) && wake_watch) wake_watch();
  }
  bool take_refresh_wish() noexcept { return refresh_wanted_.exchange(false); }

  Result<void> ready() const {
    std::lock_guard lock(mutex_);
    return ready_;
  }
  void set_ready(Result<void> ready) {
    std::lock_guard lock(mutex_);
    ready_ = std::move(ready);
  }

  // Callable on any thread; set before the first lane starts.
  std::function<void()> wake_watch;

 private:
  std::atomic<std::uint64_t> version_ = 0;
  std::atomic<bool> refresh_wanted_ = false;
  mutable std::mutex mutex_;
  std::shared_ptr<const SlotMap> map_;                                          // guarded by mutex_
  Result<void> ready_ = fail(Errc::unavailable, "Redis is not connected yet");  // guarded by mutex_
};

}  // namespace mpr::redis
