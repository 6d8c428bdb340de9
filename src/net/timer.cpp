#include "net/timer.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

namespace mpr {

namespace {

using Clock = std::chrono::steady_clock;

int make_timer() {
  const int fd = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
  return fd;
}

}  // namespace

Timer::Timer(IoThread& thread, std::function<void()> function)
    : fd_(make_timer()), function_(std::move(function)) {
  thread.watch(fd_, *this, IoThread::Interest::read);
}

Timer::~Timer() { ::close(fd_); }

void Timer::at_latest(Clock::time_point moment) {
  if (moment >= set_) return;
  set_ = moment;
  // steady_clock is CLOCK_MONOTONIC; zero would disarm.
  const auto since =
      std::max(std::chrono::nanoseconds(1), std::chrono::nanoseconds(moment.time_since_epoch()));
  itimerspec spec{};
  spec.it_value.tv_sec = since.count() / 1'000'000'000;
  spec.it_value.tv_nsec = since.count() % 1'000'000'000;
  ::timerfd_settime(fd_, TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Timer::on_ready(IoThread::Ready) {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto read = ::read(fd_, &count, sizeof count);
  set_ = Clock::time_point::max();
  function_();
}

}  // namespace mpr
