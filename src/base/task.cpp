#include "base/task.hpp"

namespace mpr {

struct TaskGroup::Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};

TaskGroup::Detached TaskGroup::run(Task<void> task) {
  try {
    // The frame of the task is gone before the group counts it as ended, so that an owner who sees
    // running() == 0 may tear down what the task refers to.
    Task<void> owned = std::move(task);
    co_await owned;
  } catch (...) {
    on_exception_(std::current_exception());
  }
  running_.fetch_sub(1, std::memory_order_acq_rel);
}

void TaskGroup::spawn(Task<void> task) {
  running_.fetch_add(1, std::memory_order_acq_rel);
  run(std::move(task));
}

}  // namespace mpr
