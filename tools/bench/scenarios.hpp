// What `mpr bench` can measure: one table of scenarios. Each runs once against one target and
// leaves the queues that it used empty.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "tools/bench/options.hpp"
#include "tools/bench/report.hpp"
#include "tools/bench/target.hpp"

namespace mpr::bench {

struct Scenario {
  std::string_view name;
  std::string_view help;
  Report (*run)(const Options& options, const Target& target);
};

std::span<const Scenario> scenarios();
const Scenario* find_scenario(std::string_view name);

// The scenarios; each fails inside its report.
Report run_add(const Options& options, const Target& target);
Report run_cycle(const Options& options, const Target& target);
Report run_client(const Options& options, const Target& target);
Report run_latency(const Options& options, const Target& target);
Report run_sessions(const Options& options, const Target& target);
Report run_depth(const Options& options, const Target& target);
Report run_idle(const Options& options, const Target& target);

// A tag for the names of one run's connections, different each time.
std::string make_run_tag();

}  // namespace mpr::bench
