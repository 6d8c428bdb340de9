// The gateway that a run loads, and what is known about its process.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "client/url.hpp"
#include "tools/bench/options.hpp"
#include "tools/bench/process_usage.hpp"
#include "tools/bench/report.hpp"
#include "tools/bench/server_process.hpp"

namespace mpr::bench {

class Target {
 public:
  // Starts a server when the options ask for one, else takes --url, which has to be loopback unless
  // --allow-remote was given. The token to log in with is MPR_AUTH_TOKEN of the environment.
  static Result<Target> open(const Options& options);

  // As URLs, for mpr::client::Client.
  const std::string& address() const noexcept { return address_; }
  const std::string& receiver_address() const noexcept { return receiver_address_; }
  const client::Url& url() const noexcept { return url_; }
  const client::Url& receiver_url() const noexcept { return receiver_url_; }
  const std::string& token() const noexcept { return token_; }
  // Of the server's process; nullopt when its id is not known.
  std::optional<ProcessUsage> usage() const;

  // Adds what was seen when the server was started, if it was.
  void describe_start(Report& report) const;
  // Stops the server that was started, if one was.
  Result<void> close();

 private:
  Target() = default;

  std::string address_;
  std::string receiver_address_;
  client::Url url_;
  client::Url receiver_url_;
  std::string token_;
  std::optional<pid_t> pid_;
  std::unique_ptr<ServerProcess> own_;
};

// The time and the CPU time that pass between two moments, here and in the server.
class Stopwatch {
 public:
  void start(const Target& target);
  void stop(const Target& target);

  double seconds() const noexcept { return seconds_; }
  // Of one CPU; nullopt when the server's process is not known.
  std::optional<double> server_cpu_percent() const noexcept;
  // NAME_per_second, and CPU time per operation on both sides as far as it is known.
  void add_rates(Report& report, std::string_view name, std::uint64_t operations) const;

 private:
  std::chrono::steady_clock::time_point started_;
  ProcessUsage own_;
  std::optional<ProcessUsage> server_;
  double seconds_ = 0;
  double own_cpu_seconds_ = 0;
  std::optional<double> server_cpu_seconds_;
};

}  // namespace mpr::bench
