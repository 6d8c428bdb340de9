// Keeps a line that an outage would repeat for every message to one in some seconds, which says how
// many times it stands for. Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/error.hpp"
#include "base/log.hpp"

namespace mpr::log {

class Limit {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit Limit(std::chrono::milliseconds interval) : interval_(interval) {}

  // It happened once more. How often it has since the last line, if a line is due; else 0.
  std::uint64_t happened(Time now = std::chrono::steady_clock::now()) {
    times_.fetch_add(1, std::memory_order_relaxed);
    Rep next = next_.load(std::memory_order_relaxed);
    const Rep at = now.time_since_epoch().count();
    if (at < next ||
        !next_.compare_exchange_strong(next, (now + interval_).time_since_epoch().count(),
                                       std::memory_order_relaxed)) {
      return 0;
    }
    return times_.exchange(0, std::memory_order_relaxed);
  }

 private:
  using Rep = Time::duration::rep;

  const std::chrono::milliseconds interval_;
  std::atomic<std::uint64_t> times_ = 0;
  std::atomic<Rep> next_ = 0;
};

inline void warn(Limit& limit, std::string_view sentence, const Error& reason) {
  const std::uint64_t times = limit.happened();
  if (times > 0) warn(sentence, {{"reason", reason.context}, {"times", times}});
}

}  // namespace mpr::log
