// How a MongoStore is set up, and its own bounds.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace mpr {

// Who gives messages their place in the queue.
enum class PositionsFrom {
  store,     // add(): the database alone holds the queues
  hot_tier,  // copy(): the tail of a queue is the hot tier's business
};

struct MongoOptions {
  std::string uri;       // mongodb:// or mongodb+srv://; holds the password, never shown
  std::string database;  // empty: the one in the URI, or else "test", as the drivers do
  PositionsFrom positions = PositionsFrom::store;

  std::uint64_t max_queue_messages = 1'000'000;  // per connection; over it: quota_exceeded
  std::uint64_t max_queue_bytes = 4ULL << 30;    // payload bytes per connection
  std::uint64_t max_store_bytes = 0;  // payload bytes in all, as totals() knows them; 0: no bound
  std::chrono::milliseconds idempotency_window{std::chrono::minutes(10)};
  std::size_t remembered_ids = 0;  // callers' ids kept after removal; 0: all within the window

  // Threads that wait for the database. A connection's operations go through one of `workers`.
  std::size_t workers = 8;
  std::size_t copy_workers = 2;
  // What may wait for one of them; beyond it calls are refused with `unavailable`.
  std::size_t max_waiting_operations = 16'384;
  std::size_t max_waiting_bytes = 64 << 20;
  // How long an operation without a deadline is tried again.
  std::chrono::milliseconds patience{10'000};
  // Queues whose tail a worker remembers, so that an add costs one round trip.
  std::size_t remembered_queues = 10'000;
  std::chrono::milliseconds totals_every{30'000};
  // How often what has expired is removed, and ids past their window are forgotten; a second at
  // least.
  std::chrono::milliseconds sweep_every{10'000};
};

}  // namespace mpr
