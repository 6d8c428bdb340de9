// How busy the process was in the last seconds: a short history of counters, from which rates and
// latencies of the recent past are made. For one thread: the ops server's.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>

#include "base/metrics.hpp"

namespace mpr {

class Activity {
 public:
  using SteadyPoint = std::chrono::steady_clock::time_point;

  // Long enough to be calm, short enough to follow what happens.
  static constexpr std::chrono::seconds kWindow{10};

  explicit Activity(const Metrics& metrics) : metrics_(metrics) {}

  // Notes the counters; call about once a second.
  void sample(SteadyPoint now);

  // Per second, between the oldest and the newest sample of the window.
  struct Recent {
    double added = 0;
    double delivered = 0;
    double acknowledged = 0;
    double calls = 0;
    double failed = 0;
    double call_p50 = 0;  // seconds
    double call_p99 = 0;
    double commit_p50 = 0;
    double commit_p99 = 0;
  };
  Recent recent() const;

 private:
  struct Sample {
    SteadyPoint at;
    std::uint64_t added, delivered, acknowledged, calls, failed;
    Histogram::Snapshot call_seconds, commit_seconds;
  };

  const Metrics& metrics_;
  std::deque<Sample> samples_;  // oldest first
};

}  // namespace mpr
