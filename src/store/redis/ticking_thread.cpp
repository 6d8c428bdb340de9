#include "store/redis/ticking_thread.hpp"

#include <pthread.h>

#include <utility>

namespace mpr::redis {

void TickingThread::start(std::chrono::milliseconds interval, std::function<void()> tick) {
  thread_ = std::thread([this, interval, tick = std::move(tick)] {
    ::pthread_setname_np(::pthread_self(), name_.substr(0, 15).c_str());
    loop(interval, tick);
  });
}

void TickingThread::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void TickingThread::post(std::span<const std::coroutine_handle<>> handles) {
  // Notified under the lock: what is resumed may let the owner destroy this object.
  std::lock_guard lock(mutex_);
  for (const auto handle : handles) work_.emplace_back([handle] { handle.resume(); });
  wake_.notify_one();
}

void TickingThread::run(Work work) {
  std::lock_guard lock(mutex_);
  work_.push_back(std::move(work));
  wake_.notify_one();
}

void TickingThread::loop(std::chrono::milliseconds interval, const std::function<void()>& tick) {
  Scope scope(*this);
  auto next = std::chrono::steady_clock::now();
  std::vector<Work> running;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_until(lock, next, [this] { return stopping_ || !work_.empty(); });
      if (stopping_) return;
      running.swap(work_);
    }
    for (Work& work : running) work();
    running.clear();
    const auto now = std::chrono::steady_clock::now();
    if (now < next) continue;
    next = now + interval;
    tick();
  }
}

}  // namespace mpr::redis
