#include "base/run_loop.hpp"

namespace mpr {

void RunLoop::post(std::span<const std::coroutine_handle<>> handles) {
  // Under the lock: once the loop has seen the handles it may end and be destroyed.
  std::lock_guard lock(mutex_);
  ready_.insert(ready_.end(), handles.begin(), handles.end());
  wake_.notify_one();
}

std::size_t RunLoop::poll() {
  Scope scope(*this);
  std::vector<std::coroutine_handle<>> batch;
  {
    std::lock_guard lock(mutex_);
    batch.swap(ready_);
  }
  for (const auto handle : batch) handle.resume();
  return batch.size();
}

void RunLoop::drive(Task<void> task) {
  std::exception_ptr failure;
  TaskGroup group([&](std::exception_ptr e) { failure = e; });
  group.spawn(std::move(task));
  while (group.running() > 0) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return !ready_.empty(); });
    }
    poll();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace mpr
