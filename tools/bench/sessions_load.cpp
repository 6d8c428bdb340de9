// The scenario "sessions": opens very many live sessions over a few sockets, and measures the rate
// with none and with all of them open, and what each costs in memory.

#include <algorithm>
#include <utility>

#include "tools/bench/fleet.hpp"
#include "tools/bench/request_text.hpp"
#include "tools/bench/scenarios.hpp"

namespace mpr::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{600};

class SessionsLoad {
 public:
  SessionsLoad(const Options& options, const Target& target)
      : options_(options),
        target_(target),
        report_("sessions", std::to_string(options.sessions) + " sessions, " +
                                std::to_string(options.sockets) + " sockets, " +
                                std::to_string(options.in_flight) + " in flight"),
        fleet_(io_, target.token()),
        params_(ConnectionNames(make_run_tag()),
                R"(,"sessionId":"b4a5bd2e-7c9f-4a0e-8d2b-3f1c5e6a7b8c")") {}

  Report run() {
    const Result<void> done = measure();
    if (!done) report_.fail(done.error().context);
    return report_;
  }

 private:
  Result<void> measure() {
    const Result<void> connected = fleet_.connect(target_.url(), options_.sockets);
    if (!connected) return connected;
    const std::uint64_t few = share(std::min<std::uint64_t>(options_.sessions / 10, 50'000));
    const std::uint64_t all = share(options_.sessions);
    const auto before = target_.usage();
    Result<void> done = open(few, "opens_with_none_open");
    if (done) done = open(all - few, "opens_between");
    if (!done) return done;
    const auto after = target_.usage();
    if (before && after) {
      const double grown =
          static_cast<double>(after->resident_bytes) - static_cast<double>(before->resident_bytes);
      report_.add("server_bytes_per_session", grown / static_cast<double>(all));
      report_.add("server_resident_mb", static_cast<double>(after->resident_bytes) / 1e6);
    }
    done = open(few, "opens_with_all_open");
    if (!done) return done;
    return close_all();
  }

  Result<void> open(std::uint64_t count, std::string_view name) {
    Stopwatch stopwatch;
    stopwatch.start(target_);
    const Result<void> done = run_calls(fleet_, plan_for("addLiveSession", count), kPatience);
    stopwatch.stop(target_);
    opened_ += count;
    report_.add(std::string(name) + "_per_second",
                static_cast<double>(count) / stopwatch.seconds());
    return done;
  }

  Result<void> close_all() {
    const std::uint64_t all = std::exchange(opened_, 0);
    Stopwatch stopwatch;
    stopwatch.start(target_);
    const Result<void> done = run_calls(fleet_, plan_for("removeLiveSession", all), kPatience);
    stopwatch.stop(target_);
    report_.add("closes_per_second", static_cast<double>(all) / stopwatch.seconds());
    return done;
  }

  // Only the socket that opened a session closes it. Calls go to sockets by their number, so every
  // round has a multiple of the number of sockets.
  std::uint64_t share(std::uint64_t count) const {
    return std::max(count - count % options_.sockets, options_.sockets);
  }

  // Calls for the connections behind those opened so far.
  CallPlan plan_for(std::string_view method, std::uint64_t count) {
    return {.method = method,
            .count = count,
            .in_flight = options_.in_flight,
            .params = [this](std::uint64_t number) { return params_.patch(opened_ + number); },
            .check = expect_true};
  }

  const Options& options_;
  const Target& target_;
  Report report_;
  boost::asio::io_context io_{1};
  Fleet fleet_;
  ConnectionParams params_;
  std::uint64_t opened_ = 0;
};

}  // namespace

Report run_sessions(const Options& options, const Target& target) {
  return SessionsLoad(options, target).run();
}

}  // namespace mpr::bench
