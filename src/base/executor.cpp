#include "base/executor.hpp"

namespace mpr {

namespace {
thread_local Executor* current_executor = nullptr;
}

Executor* Executor::current() noexcept { return current_executor; }

Executor::Scope::Scope(Executor& executor) noexcept : previous_(current_executor) {
  current_executor = &executor;
}

Executor::Scope::~Scope() { current_executor = previous_; }

void Resumptions::add(Executor& executor, std::coroutine_handle<> handle) {
  for (auto& [known, handles] : by_executor_) {
    if (known == &executor) {
      handles.push_back(handle);
      return;
    }
  }
  by_executor_.push_back({&executor, {handle}});
}

void Resumptions::flush() {
  for (auto& [executor, handles] : by_executor_) {
    if (handles.empty()) continue;
    executor->post(handles);
    handles.clear();
  }
}

}  // namespace mpr
