#include <unistd.h>

#include <iomanip>
#include <iostream>
#include <memory>
#include <sstream>
#include <utility>

#include "app/commands.hpp"
#include "app/configuration.hpp"
#include "app/migration.hpp"
#include "app/redis_storage.hpp"
#include "app/system_clock.hpp"
#include "base/run_loop.hpp"

namespace mpr {

namespace {

constexpr std::string_view kHelp =
    R"(Usage: mpr migrate [--dry-run] [options of mpr serve]

Takes over the queues that the service which MPR replaces kept in the Redis of REDIS_URL or
REDIS_NODES. Stop that service first. Every message is stored under its own id, and then moved to a
list beside the old one ({<old key>}:taken-over), so that nothing is lost or stored twice when this
is interrupted and run again. The collection in MongoDB is served as it is: nothing to be done.

  --dry-run   say what there is, and change nothing

Exit code 0: all is taken over. 1: a server refused; run it again. 2: wrong options.
3: some elements could not be read; they are in {<old key>}:unreadable. Or keys that are named like a
queue are none; they are left alone.
)";

// Rewrites one line on a terminal; writes a line now and then elsewhere.
class ProgressLine {
 public:
  void show(const MigrationProgress& p) {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    next_ = now + (terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(5));
    std::cerr << (terminal_ ? "\r" : "") << text_of(p) << (terminal_ ? "" : "\n") << std::flush;
    shown_ = true;
  }
  // So that something else can be written.
  void end() {
    if (terminal_ && std::exchange(shown_, false)) std::cerr << "\n";
  }

 private:
  static std::string text_of(const MigrationProgress& p) {
    const std::uint64_t done = p.taken_over + p.known + p.unreadable;
    const std::uint64_t share =
        p.messages == 0 ? 100 : std::min<std::uint64_t>(100, done * 100 / p.messages);
    std::ostringstream out;
    out << "[" << std::string(share / 5, '#') << std::string(20 - share / 5, '.') << "] "
        << std::setw(3) << share << " %  " << done << " of " << p.messages << " messages, "
        << p.queues_done << " of " << p.queues << " queues";
    return out.str();
  }

  const bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool shown_ = false;
  std::chrono::steady_clock::time_point next_{};
};

int report(const MigrationProgress& p, bool dry_run) {
  if (dry_run) {
    std::cout << p.messages << " messages in " << p.queues << " queues would be taken over\n";
  } else {
    std::cout << p.taken_over << " messages taken over from " << p.queues << " queues, " << p.known
              << " were known already\n";
  }
  if (p.unreadable > 0) std::cout << p.unreadable << " elements cannot be read\n";
  if (p.foreign > 0) std::cout << p.foreign << " keys are no queues and are left alone\n";
  return p.unreadable > 0 || p.foreign > 0 ? 3 : 0;
}

int migrate(const Settings& settings, bool dry_run) {
  SystemClock clock;
  Metrics metrics;
  using enum MigrationTarget::Purpose;
  auto target = MigrationTarget::open(settings, dry_run ? look : fill, clock, metrics);
  if (!target) {
    std::cerr << "mpr: " << target.error().context << "\n";
    return 1;
  }
  OldQueues queues((*target)->client());
  ProgressLine line;
  Migration migration({.queues = queues,
                       .store = (*target)->store_to_fill(),
                       .clock = clock,
                       .on_progress = [&line](const MigrationProgress& p) { line.show(p); },
                       .on_unreadable =
                           [&line](const std::string& s) {
                             line.end();
                             std::cerr << s << "\n";
                           }});
  RunLoop loop;
  const auto outcome = dry_run ? loop.run(migration.dry_run()) : loop.run(migration.run());
  line.end();
  if (outcome) return report(*outcome, dry_run);
  std::cerr << "mpr: " << outcome.error().context << "\n"
            << (dry_run ? "" : "mpr: what was taken over stays so; run this again to go on\n");
  return 1;
}

}  // namespace

int migrate_command(std::span<const std::string> args) {
  bool dry_run = false;
  std::vector<std::string> flags;
  for (const std::string& arg : args) {
    if (arg == "--help" || arg == "-h") {
      std::cout << kHelp;
      return 0;
    }
    if (arg == "--dry-run") {
      dry_run = true;
    } else {
      flags.push_back(arg);
    }
  }
  const Configuration configuration = configure(flags, process_environment());
  for (const std::string& problem : configuration.problems) std::cerr << "mpr: " << problem << "\n";
  if (!configuration.problems.empty()) return 2;
  if (configuration.settings.backend != Backend::redis) {
    std::cerr << "mpr: REDIS_URL or REDIS_NODES has to name the Redis of the service that is to be "
                 "replaced\n";
    return 2;
  }
  log::configure(configuration.settings.log_level, configuration.settings.log_format);
  return migrate(configuration.settings, dry_run);
}

}  // namespace mpr
