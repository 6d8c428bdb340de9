// Counts the queues of an installation from time to time, on a thread of its own: the members of
// the partitions' indexes. Any thread may ask for the last result. The client outlives the census.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "base/task.hpp"
#include "store/redis/client.hpp"
#include "store/redis/keys.hpp"

namespace mpr::redis {

class QueueCensus {
 public:
  QueueCensus(Client& client, Keys keys, std::chrono::milliseconds interval);
  ~QueueCensus();
  QueueCensus(const QueueCensus&) = delete;
  QueueCensus& operator=(const QueueCensus&) = delete;

  // Of the last census that was complete; 0 before the first.
  std::uint64_t queues() const noexcept { return queues_.load(std::memory_order_relaxed); }

 private:
  void run();
  bool stopping();
  Task<Result<std::uint64_t>> take_census(Deadline deadline);

  Client& client_;
  const Keys keys_;
  const std::chrono::milliseconds interval_;
  std::atomic<std::uint64_t> queues_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace mpr::redis
