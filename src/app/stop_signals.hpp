// SIGTERM, SIGINT and SIGHUP as something to wait for. Make one on the main thread before any other
// thread exists, so that all inherit the blocked signals. SIGPIPE is ignored from then on: a peer
// that went away is an error of write(), not the end of the process.
#pragma once

#include <csignal>

namespace mpr {

class StopSignals {
 public:
  StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Blocks until one arrives and yields its number. A signal that the process was started to ignore
  // (nohup) stays ignored.
  int wait();

  // From now on any of them ends the process at once, with exit code 1.
  void exit_on_next();

 private:
  sigset_t signals_;
};

}  // namespace mpr
