// The scenario "idle": holds very many sockets open that say nothing, and asks what they cost the
// server in memory and, with its keepalive pings, in CPU time.

#include "tools/bench/fleet.hpp"
#include "tools/bench/phased_run.hpp"
#include "tools/bench/scenarios.hpp"

namespace mpr::bench {
namespace {

// Files that are no sockets: standard streams, epoll, timers, the log.
constexpr std::uint64_t kOtherFiles = 64;

Result<void> measure(const Options& options, const Target& target, Report& report) {
  const std::uint64_t files = raise_file_limit();
  if (options.idle_sockets + kOtherFiles > files) {
    return fail(Errc::invalid_argument, "--idle-sockets: this process may open " +
                                            std::to_string(files) + " files only (ulimit -Hn)");
  }
  boost::asio::io_context io(1);
  Fleet fleet(io, target.token());
  const auto before = target.usage();
  Stopwatch stopwatch;
  stopwatch.start(target);
  Result<void> done = fleet.connect(target.url(), options.idle_sockets);
  stopwatch.stop(target);
  if (!done) return done;
  report.add("connects_per_second",
             static_cast<double>(options.idle_sockets) / stopwatch.seconds());

  PhasedRun phases(io, options, target);
  phases.run([] { return true; });
  const auto after = target.usage();
  if (before && after) {
    const double grown =
        static_cast<double>(after->resident_bytes) - static_cast<double>(before->resident_bytes);
    report.add("server_bytes_per_socket", grown / static_cast<double>(options.idle_sockets));
    report.add("server_resident_mb", static_cast<double>(after->resident_bytes) / 1e6);
  }
  const auto percent = phases.stopwatch().server_cpu_percent();
  if (percent) report.add("server_cpu_percent_while_idle", *percent);
  return fleet.intact();
}

}  // namespace

Report run_idle(const Options& options, const Target& target) {
  Report report("idle", std::to_string(options.idle_sockets) + " sockets");
  const Result<void> done = measure(options, target, report);
  if (!done) report.fail(done.error().context);
  return report;
}

}  // namespace mpr::bench
