// The windows of one gateway's own tokens, in memory; gone when the process ends. Thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <unordered_map>

#include "core/ports.hpp"
#include "core/push_windows.hpp"

namespace mpr {

class MemoryPushWindows final : public PushWindows {
 public:
  // The clock outlives it.
  MemoryPushWindows(PushPolicy policy, Clock& clock);

  Task<Result<WindowAnswer>> on_message(std::string token_key, Deadline deadline) override;
  Task<Result<WindowAnswer>> on_window_end(std::string token_key, Deadline deadline) override;

  std::size_t size() const;

 private:
  struct Begun {
    std::string token_key;
    TimePoint at;
  };
  void begin(const std::string& token_key, PushWindow window);
  void forget_old(TimePoint now);

  const PushPolicy policy_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, PushWindow> windows_;  // guarded by mutex_
  std::deque<Begun> by_age_;                             // guarded by mutex_
};

}  // namespace mpr
