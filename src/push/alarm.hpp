// One moment at which something is to be done on an io thread (a timerfd). For that thread only,
// which outlives it; made and destroyed while the thread does not run, or on it.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "net/io_thread.hpp"

namespace mpr {

class Alarm final : private IoThread::Source {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // `ring` is called once for each set(), not before its moment. It may set the alarm again.
  Alarm(IoThread& thread, std::function<void()> ring);
  ~Alarm() override;
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  void set(TimePoint at);  // replaces an earlier moment
  void clear();
  std::optional<TimePoint> at() const noexcept { return at_; }

 private:
  void on_ready(IoThread::Ready ready) override;

  IoThread& thread_;
  const std::function<void()> ring_;
  const int fd_;
  std::optional<TimePoint> at_;
};

}  // namespace mpr
