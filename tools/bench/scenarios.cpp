#include "tools/bench/scenarios.hpp"

#include <unistd.h>

#include <array>
#include <chrono>

#include "tools/bench/request_text.hpp"

namespace mpr::bench {
namespace {

constexpr std::array kScenarios = {
    Scenario{"add", "addMessage to offline connections, as fast as the window allows", run_add},
    Scenario{"cycle", "addMessage -> messagesReceived -> removeMessages over live sessions",
             run_cycle},
    Scenario{"client", "the same through the C++ client: what a program in C++ gets", run_client},
    Scenario{"latency", "the cycle at a fixed --rate: how long from addMessage to messagesReceived",
             run_latency},
    Scenario{"sessions", "addLiveSession: rate with none and with all open, memory per session",
             run_sessions},
    Scenario{"depth", "one caller takes 10 and acknowledges 10 of a queue that stays --depth deep",
             run_depth},
    Scenario{"idle", "memory per idle socket, CPU time of all together", run_idle},
};

}  // namespace

std::span<const Scenario> scenarios() { return kScenarios; }

const Scenario* find_scenario(std::string_view name) {
  for (const Scenario& scenario : kScenarios) {
    if (scenario.name == name) return &scenario;
  }
  return nullptr;
}

std::string make_run_tag() {
  PatchedText tag;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  tag.set(tag.append_field(6), static_cast<std::uint64_t>(now / std::chrono::milliseconds(1)));
  tag.set(tag.append_field(4), static_cast<std::uint64_t>(getpid()));
  return std::string(tag.text());
}

}  // namespace mpr::bench
