// A thread of its own for background work that is rare and waits a lot: it resumes coroutines, runs
// what other threads give it, and calls one function about each interval. It is no io thread, so
// that a client has no connections for it.
//
// Any thread may post and run; start() and stop() are the owner's. What comes after stop() is
// dropped.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/executor.hpp"

namespace mpr::redis {

class TickingThread final : public Executor {
 public:
  using Work = std::move_only_function<void()>;

  explicit TickingThread(std::string name) : name_(std::move(name)) {}
  ~TickingThread() override { stop(); }

  void start(std::chrono::milliseconds interval, std::function<void()> tick);
  // Ends after what runs at present, and waits for that.
  void stop();

  void post(std::span<const std::coroutine_handle<>> handles) override;
  void run(Work work);

 private:
  void loop(std::chrono::milliseconds interval, const std::function<void()>& tick);

  const std::string name_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Work> work_;  // guarded by mutex_
  bool stopping_ = false;   // guarded by mutex_
};

}  // namespace mpr::redis
