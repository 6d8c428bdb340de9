#include "push/sleepers.hpp"

#include <utility>

namespace mpr {

Sleepers::Sleepers(IoThread& thread) : alarm_(thread, [this] { wake_due(); }) {}

Task<Wake> Sleepers::until(TimePoint at) {
  if (closed_) co_return Wake::early;
  const auto fall_asleep = [&](Completion<Wake>& completion) {
    asleep_.emplace(at, &completion);
    alarm_.set(asleep_.begin()->first);
  };
  co_return co_await answer_of<Wake>(fall_asleep);
}

void Sleepers::wake_due() {
  const TimePoint now = std::chrono::steady_clock::now();
  Resumptions resumptions;
  while (!asleep_.empty() && asleep_.begin()->first <= now) {
    asleep_.begin()->second->set(Wake::in_time, resumptions);
    asleep_.erase(asleep_.begin());
  }
  resumptions.flush();
  if (!asleep_.empty()) alarm_.set(asleep_.begin()->first);
}

void Sleepers::wake_all() {
  closed_ = true;
  alarm_.clear();
  Resumptions resumptions;
  for (const auto& [at, completion] : std::exchange(asleep_, {})) {
    completion->set(Wake::early, resumptions);
  }
  resumptions.flush();
}

}  // namespace mpr
