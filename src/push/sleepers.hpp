// Coroutines of an io thread that wait for a moment. For that thread only. Nobody may sleep any
// more when it is destroyed.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>

#include "base/task.hpp"
#include "push/alarm.hpp"

namespace mpr {

enum class Wake {
  in_time,
  early,  // wake_all() was called
};

class Sleepers {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit Sleepers(IoThread& thread);

  Task<Wake> until(TimePoint at);

  // Everybody wakes now, and who comes later does not sleep at all.
  void wake_all();

  std::size_t size() const noexcept { return asleep_.size(); }

 private:
  void wake_due();

  Alarm alarm_;
  std::multimap<TimePoint, Completion<Wake>*> asleep_;
  bool closed_ = false;
};

}  // namespace mpr
