#include "push/memory_push_windows.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

namespace mpr {

namespace {

using std::chrono::milliseconds;

// The policy counts in points of time; ours come from the clock that nobody sets.
TimePoint steady_point(const Clock& clock) {
  return TimePoint(std::chrono::floor<milliseconds>(clock.steady_now().time_since_epoch()));
}

}  // namespace

MemoryPushWindows::MemoryPushWindows(PushPolicy policy, Clock& clock)
    : policy_(policy), clock_(clock) {}

void MemoryPushWindows::begin(const std::string& token_key, PushWindow window) {
  windows_.insert_or_assign(token_key, window);
  by_age_.push_back({token_key, window.began});
}

// Windows that ended a whole window ago: what was planned for their end is long done.
void MemoryPushWindows::forget_old(TimePoint now) {
  while (!by_age_.empty() && now >= by_age_.front().at + 2 * policy_.window) {
    const auto found = windows_.find(by_age_.front().token_key);
    if (found != windows_.end() && found->second.began == by_age_.front().at) windows_.erase(found);
    by_age_.pop_front();
  }
}

Task<Result<WindowAnswer>> MemoryPushWindows::on_message(std::string token_key, Deadline) {
  const TimePoint now = steady_point(clock_);
  std::lock_guard lock(mutex_);
  forget_old(now);
  const auto found = windows_.find(token_key);
  const auto present =
      found == windows_.end() ? std::nullopt : std::optional<PushWindow>(found->second);
  const PushPolicy::Outcome outcome = policy_.on_message(false, present, now);
  WindowAnswer answer{outcome.decision, milliseconds(0)};
  if (outcome.decision == PushDecision::now) {
    begin(token_key, *outcome.next);
  } else if (outcome.decision == PushDecision::at_window_end) {
    found->second = *outcome.next;
    answer.remaining = outcome.next->began + policy_.window - now;
  }
  co_return answer;
}

Task<Result<WindowAnswer>> MemoryPushWindows::on_window_end(std::string token_key, Deadline) {
  const TimePoint now = steady_point(clock_);
  std::lock_guard lock(mutex_);
  const auto found = windows_.find(token_key);
  // A window that began since is another push, which covers this one.
  const bool newer = found != windows_.end() && !found->second.trailing &&
                     now < found->second.began + policy_.window;
  if (newer) co_return WindowAnswer{};
  const PushWindow planned{found == windows_.end() ? now : found->second.began, true};
  const PushPolicy::Outcome outcome = policy_.on_window_end(planned, false, true, now);
  begin(token_key, *outcome.next);
  forget_old(now);
  co_return WindowAnswer{outcome.decision, milliseconds(0)};
}

std::size_t MemoryPushWindows::size() const {
  std::lock_guard lock(mutex_);
  return windows_.size();
}

}  // namespace mpr
