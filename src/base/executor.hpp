// An Executor is a thread that resumes coroutines. A coroutine that waits for something is resumed
// on the executor on which it suspended, whichever thread finished the work.
#pragma once

#include <coroutine>
#include <span>
#include <utility>
#include <vector>

namespace mpr {

class Executor {
 public:
  virtual ~Executor() = default;

  // Queues coroutines for resumption, in the order given, on this executor's thread. Callable from
  // any thread; never resumes inline. One call costs one wake-up, so callers batch.
  virtual void post(std::span<const std::coroutine_handle<>> handles) = 0;

  // The executor of the calling thread, or nullptr on a thread that is none.
  static Executor* current() noexcept;

  // Declares the calling thread to be `executor` for the lifetime of the scope.
  class Scope {
   public:
    explicit Scope(Executor& executor) noexcept;
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Executor* previous_;
  };
};

// Coroutines that became ready together, collected by a worker thread (a log writer, a driver's
// pool) and posted with one wake-up per executor. Not thread-safe; one per worker.
class Resumptions {
 public:
  void add(Executor& executor, std::coroutine_handle<> handle);
  void flush();

 private:
  std::vector<std::pair<Executor*, std::vector<std::coroutine_handle<>>>> by_executor_;
};

}  // namespace mpr
