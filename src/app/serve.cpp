#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <mutex>
#include <stop_token>
#include <thread>

#include "app/build_info.hpp"
#include "app/commands.hpp"
#include "app/configuration.hpp"
#include "app/file_limit.hpp"
#include "app/host_name.hpp"
#include "app/mongo_uri.hpp"
#include "app/start_warnings.hpp"
#include "app/stop_signals.hpp"
#include "app/wiring.hpp"
#include "base/log.hpp"

namespace mpr {

namespace {

// A limit of open files that is no limit should not make the number of connections one either.
constexpr std::uint64_t kDefaultConnections = 1'000'000;
// How long after the drain timeout a process ends that waits for Redis or the database.
constexpr std::chrono::milliseconds kBeyondDrain{1'500};

// Written beside its place and renamed, so that a reader sees all of it or nothing.
Result<void> write_ports_file(const std::filesystem::path& path, const Node& node) {
  std::filesystem::path beside = path;
  beside += ".new";
  {
    std::ofstream out(beside, std::ios::trunc);
    out << "{\"ws\":" << node.ws_port() << ",\"app\":" << node.app_port() << "}\n";
    if (!out.flush()) {
      return fail(Errc::unavailable,
                  "cannot write " + beside.string() + " (MPR_PORTS_FILE): " + std::strerror(errno));
    }
  }
  std::error_code error;
  std::filesystem::rename(beside, path, error);
  if (error) {
    return fail(Errc::unavailable,
                "cannot write " + path.string() + " (MPR_PORTS_FILE): " + error.message());
  }
  return {};
}

int report_problems(const Configuration& configuration) {
  for (const std::string& problem : configuration.problems) std::cerr << "mpr: " << problem << "\n";
  std::cerr << "mpr: nothing was started; `mpr help` lists the options\n";
  return 2;
}

// Of the servers, for the line of several gateways: which messages are where.
std::string database_of(const Settings& settings) {
  if (settings.mongodb_uri.empty()) return "none";
  return settings.mongodb_database.empty() ? mongo_uri_database(settings.mongodb_uri.reveal())
                                           : settings.mongodb_database;
}

void log_ready(const Node& node, const Settings& settings, const Configuration& configuration,
               std::chrono::steady_clock::time_point started) {
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - started);
  if (settings.backend == Backend::redis) {
    log::info("ready", {{"version", version()},
                        {"backend", to_string(settings.backend)},
                        {"gateway", node.gateway().value},
                        {"host", host_name()},
                        {"redis", settings.redis_type == RedisType::cluster ? "cluster" : "single"},
                        {"prefix", settings.redis_prefix},
                        {"durability", to_string(settings.durability)},
                        {"database", database_of(settings)},
                        {"bind", settings.bind},
                        {"ws_port", node.ws_port()},
                        {"app_port", node.app_port()},
                        {"max_connections", settings.max_connections},
                        {"changed_options", summary_of_changes(configuration)},
                        {"took_ms", took.count()},
                        {"pid", getpid()}});
    return;
  }
  const bool on_disk = settings.backend == Backend::embedded;
  log::info("ready", {{"version", version()},
                      {"backend", to_string(settings.backend)},
                      {"gateway", node.gateway().value},
                      {"host", host_name()},
                      {"data_dir", on_disk ? settings.data_dir.string() : "none"},
                      {"bind", settings.bind},
                      {"ws_port", node.ws_port()},
                      {"app_port", node.app_port()},
                      {"max_connections", settings.max_connections},
                      {"restored_sessions", node.restored_sessions()},
                      {"changed_options", summary_of_changes(configuration)},
                      {"took_ms", took.count()},
                      {"pid", getpid()}});
}

// Nothing is lost: what was answered is where the mode keeps it.
[[noreturn]] void end_at_once() {
  log::warn("stopped while Redis or the database still owed answers");
  std::_Exit(0);
}

// Ends the process after so long, unless it is told to stop before. For a thread of its own.
void end_after(std::stop_token stopped, std::chrono::milliseconds time) {
  std::mutex mutex;
  std::condition_variable_any told;
  std::unique_lock lock(mutex);
  told.wait_for(lock, stopped, time, [] { return false; });
  if (!stopped.stop_requested()) end_at_once();
}

int serve(const Configuration& configuration, StopSignals& signals) {
  const auto started = std::chrono::steady_clock::now();
  Settings settings = configuration.settings;
  raise_file_limit();
  if (settings.max_connections == 0) {
    settings.max_connections = std::min(room_for_connections(), kDefaultConnections);
  }
  std::vector<std::string> warnings = start_warnings(settings);
  warnings.insert(warnings.begin(), configuration.warnings.begin(), configuration.warnings.end());
  for (const std::string& warning : warnings) log::warn(warning);

  auto node = Node::start(settings, std::move(warnings));
  if (!node) {
    log::error("cannot start", {{"reason", node.error().context}});
    return 1;
  }
  log_ready(**node, settings, configuration, started);
  if (!settings.ports_file.empty()) {
    if (const auto written = write_ports_file(settings.ports_file, **node); !written) {
      log::error("cannot start", {{"reason", written.error().context}});
      return 1;
    }
  }

  const int signal = signals.wait();
  log::info("draining; a second signal ends the process at once", {{"signal", strsignal(signal)}});
  signals.exit_on_next();
  std::jthread limit;
  if (settings.backend == Backend::redis) {
    limit = std::jthread(end_after, settings.drain_timeout + kBeyondDrain);
  }
  if (!(*node)->drain()) end_at_once();
  node->reset();
  log::info("stopped");
  return 0;
}

}  // namespace

int serve_command(std::span<const std::string> args) {
  StopSignals signals;
  const Configuration configuration = configure(args, process_environment());
  if (!configuration.problems.empty()) return report_problems(configuration);
  log::configure(configuration.settings.log_level, configuration.settings.log_format);
  return serve(configuration, signals);
}

}  // namespace mpr
