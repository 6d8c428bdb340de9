// An `mpr serve` of the load generator's own: this very binary, on free ports of the loopback
// interface, with a temporary data directory. The destructor stops the process and removes the
// directory; it never touches a process that it did not start. One thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "tools/bench/options.hpp"

namespace mpr::bench {

class ServerProcess {
 public:
  // Starts the server and returns when it has answered a ping; fails, with the last lines of its
  // log, when it ends before that or takes longer than ten seconds. It inherits the environment, so
  // that its other options can be set there; `token` logs in when MPR_AUTH_TOKEN is among them.
  static Result<std::unique_ptr<ServerProcess>> start(Backend backend, const std::string& token);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  pid_t pid() const noexcept { return pid_; }
  const std::string& url() const noexcept { return url_; }
  // From just before the process was made to the answer to the first ping.
  std::chrono::nanoseconds start_to_ready() const noexcept { return start_to_ready_; }
  // Memory right after that.
  std::uint64_t resident_bytes_at_start() const noexcept { return resident_bytes_at_start_; }

  // Asks the server to end (SIGTERM) and waits for it; fails when it does not end cleanly within
  // fifteen seconds (then it is killed). At most once.
  Result<void> stop();

 private:
  ServerProcess(std::filesystem::path directory, pid_t pid)
      : directory_(std::move(directory)), pid_(pid) {}
  Result<void> wait_until_ready(std::chrono::steady_clock::time_point started,
                                const std::string& token);
  bool ended();
  std::string log_tail() const;

  const std::filesystem::path directory_;
  pid_t pid_;  // 0: it ended and was waited for
  int exit_status_ = 0;
  std::string url_;
  std::chrono::nanoseconds start_to_ready_{};
  std::uint64_t resident_bytes_at_start_ = 0;
};

}  // namespace mpr::bench
