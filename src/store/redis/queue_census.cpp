#include "store/redis/queue_census.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "base/run_loop.hpp"

namespace mpr::redis {

namespace {

// Partitions asked at once: a census must not be felt.
constexpr std::uint32_t kAtOnce = 64;
constexpr std::chrono::seconds kPatience{2};

}  // namespace

QueueCensus::QueueCensus(Client& client, Keys keys, std::chrono::milliseconds interval)
    : client_(client), keys_(std::move(keys)), interval_(interval), thread_([this] { run(); }) {}

QueueCensus::~QueueCensus() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool QueueCensus::stopping() {
  std::lock_guard lock(mutex_);
  return stop_;
}

void QueueCensus::run() {
  RunLoop loop;
  while (!stopping()) {
    if (const auto counted = loop.run(take_census(Deadline::after(kPatience)))) queues_ = *counted;
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, interval_, [this] { return stop_; });
  }
}

Task<Result<std::uint64_t>> QueueCensus::take_census(Deadline deadline) {
  std::uint64_t queues = 0;
  for (std::uint32_t first = 0; first < keys_.partitions() && !stopping(); first += kAtOnce) {
    std::vector<Task<Outcome<Value>>> counts;
    const std::uint32_t end = std::min(first + kAtOnce, keys_.partitions());
    for (std::uint32_t partition = first; partition < end; ++partition) {
      const std::string key = keys_.of_partition("due", partition);
      Request request(key);
      request.add({"ZCARD", key}, Repeat::safe);
      counts.push_back(client_.run_one(std::move(request), deadline));
    }
    for (const auto& count : co_await when_all(std::move(counts))) {
      if (!count) co_return std::unexpected(count.error().error);
      if (count->is_error()) co_return std::unexpected(error_of(*count));
      queues += static_cast<std::uint64_t>(count->integer);
    }
  }
  co_return queues;
}

}  // namespace mpr::redis
