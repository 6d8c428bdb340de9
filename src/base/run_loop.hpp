// An executor on the calling thread: runs one task to its end and returns its outcome. For
// subcommands and tests; the gateway's io threads are executors of their own.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <vector>

#include "base/executor.hpp"
#include "base/task.hpp"

namespace mpr {

class RunLoop final : public Executor {
 public:
  void post(std::span<const std::coroutine_handle<>> handles) override;

  // Runs `task` on this thread until it ends; rethrows what it threw. Not reentrant.
  template <class T>
  T run(Task<T> task) {
    Scope scope(*this);
    std::optional<T> outcome;
    drive(collect(std::move(task), outcome));
    return std::move(*outcome);
  }
  void run(Task<void> task) {
    Scope scope(*this);
    drive(std::move(task));
  }

  // Resumes what is queued now, without waiting for more; returns how many were resumed.
  std::size_t poll();

 private:
  template <class T>
  static Task<void> collect(Task<T> task, std::optional<T>& outcome) {
    outcome.emplace(co_await task);
  }
  void drive(Task<void> task);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::coroutine_handle<>> ready_;  // guarded by mutex_
};

}  // namespace mpr
