#include "push/alarm.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace mpr {

namespace {

int new_timer() {
  const int fd = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
  return fd;
}

// Zero disarms, so the earliest moment is one nanosecond.
itimerspec spec_of(std::chrono::nanoseconds at) {
  itimerspec spec{};
  spec.it_value.tv_sec = at.count() / 1'000'000'000;
  spec.it_value.tv_nsec = at.count() % 1'000'000'000;
  return spec;
}

}  // namespace

Alarm::Alarm(IoThread& thread, std::function<void()> ring)
    : thread_(thread), ring_(std::move(ring)), fd_(new_timer()) {
  thread_.watch(fd_, *this, IoThread::Interest::read);
}

Alarm::~Alarm() {
  thread_.unwatch(fd_, *this);
  ::close(fd_);
}

void Alarm::set(TimePoint at) {
  if (at_ == at) return;
  at_ = at;
  const std::chrono::nanoseconds when = at.time_since_epoch();
  const itimerspec spec = spec_of(std::max(when, std::chrono::nanoseconds(1)));
  ::timerfd_settime(fd_, TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Alarm::clear() {
  if (!std::exchange(at_, std::nullopt)) return;
  const itimerspec spec{};
  ::timerfd_settime(fd_, 0, &spec, nullptr);
}

void Alarm::on_ready(IoThread::Ready) {
  std::uint64_t times = 0;
  // Nothing to read: it was set anew after it had rung.
  if (::read(fd_, &times, sizeof times) != sizeof times) return;
  at_.reset();
  ring_();
}

}  // namespace mpr
