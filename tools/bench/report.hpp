// What a scenario found: figures with units, and failures. Printed as a table for people and as
// JSON for scripts. A run with a failure is a failed run, however good its figures are.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/bench/latency_histogram.hpp"

namespace mpr::bench {

struct Figure {
  std::string name;  // snake_case, the unit last: "adds_per_second"
  double value = 0;
};

class Report {
 public:
  Report(std::string scenario, std::string setting)
      : scenario_(std::move(scenario)), setting_(std::move(setting)) {}

  void add(std::string name, double value) { figures_.push_back({std::move(name), value}); }
  // NAME_p50_us, _p90_us, _p99_us and _max_us.
  void add_latencies(std::string_view name, const LatencyHistogram& latencies);
  // Counts a failure; the first few of them keep their text.
  void fail(std::string_view what);
  // Counts `count` failures of one kind; none when it is 0.
  void fail(std::uint64_t count, std::string_view what);

  // Counts the failures of another run as well.
  void add_failures_of(const Report& other);

  const std::string& scenario() const noexcept { return scenario_; }
  const std::string& setting() const noexcept { return setting_; }
  std::span<const Figure> figures() const noexcept { return figures_; }
  std::span<const std::string> failures() const noexcept { return failure_texts_; }
  std::uint64_t failure_count() const noexcept { return failure_count_; }

 private:
  std::string scenario_;
  std::string setting_;
  std::vector<Figure> figures_;
  std::vector<std::string> failure_texts_;
  std::uint64_t failure_count_ = 0;
};

// One report with the median of each figure and the failures of all runs. `runs` is not empty and
// holds runs of one scenario.
Report median_of(std::span<const Report> runs);

std::string to_table(const Report& report);
// {"scenario":..,"setting":..,"figures":{..},"failureCount":..,"failures":[..]}
std::string to_json(const Report& report);

}  // namespace mpr::bench
