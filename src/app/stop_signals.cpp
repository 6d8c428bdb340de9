#include "app/stop_signals.hpp"

#include <unistd.h>

#include <array>

namespace mpr {

namespace {

constexpr std::array kStopSignals = {SIGTERM, SIGINT, SIGHUP};

bool is_ignored(int signal) {
  struct sigaction action{};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

void end_now(int) { _exit(1); }

}  // namespace

StopSignals::StopSignals() {
  sigemptyset(&signals_);
  for (const int signal : kStopSignals) {
    if (!is_ignored(signal)) sigaddset(&signals_, signal);
  }
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int StopSignals::wait() {
  int signal = 0;
  while (sigwait(&signals_, &signal) != 0) {
  }
  return signal;
}

void StopSignals::exit_on_next() {
  for (const int signal : kStopSignals) {
    if (sigismember(&signals_, signal) == 1) std::signal(signal, end_now);
  }
  pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
}

}  // namespace mpr
