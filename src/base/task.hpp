// Task<T> is a lazily started coroutine that yields one T. Awaiting it starts it; it resumes its
// awaiter when done, without growing the stack. It runs on the thread that awaits it and, after a
// wait inside, on the executor (base/executor.hpp) of that thread.
//
// Rules of the house: parameters by value; no lock is held across co_await; nothing is detached,
// a TaskGroup owns what is spawned.
#pragma once

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/executor.hpp"

namespace mpr {

// The moment by which a call has to be answered: made once where the call enters and passed down.
struct Deadline {
  std::chrono::steady_clock::time_point at = std::chrono::steady_clock::time_point::max();

  static Deadline never() { return {}; }
  static Deadline after(std::chrono::steady_clock::duration d) {
    return {std::chrono::steady_clock::now() + d};
  }
  bool passed(std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now()) const {
    return now >= at;
  }
};

template <class T = void>
class Task;

namespace detail {

struct FinalAwaiter {
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> done) const noexcept {
    return done.promise().continuation;
  }
  void await_resume() const noexcept {}
};

struct PromiseBase {
  std::coroutine_handle<> continuation = std::noop_coroutine();
  std::exception_ptr exception;

  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { exception = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;

  Task<T> get_return_object();
  template <class U>
  void return_value(U&& v) {
    value.emplace(std::forward<U>(v));
  }
  T take() {
    if (exception) std::rethrow_exception(exception);
    return std::move(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() const noexcept {}
  void take() const {
    if (exception) std::rethrow_exception(exception);
  }
};

}  // namespace detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) noexcept {
    handle_.promise().continuation = awaiter;
    return handle_;
  }
  T await_resume() { return handle_.promise().take(); }

 private:
  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

namespace detail {
template <class T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}
}  // namespace detail

// One answer that another thread will give. It lives in the frame of the waiting coroutine; whoever
// was handed a reference calls set() or complete() exactly once.
template <class T>
class Completion {
 public:
  Completion() = default;
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;

  // Stores the answer and queues the waiting coroutine in `batch`; the caller flushes the batch.
  // After the flush this object may be gone.
  void set(T value, Resumptions& batch) {
    value_.emplace(std::move(value));
    batch.add(*executor_, handle_);
  }

  // Stores the answer and resumes the waiting coroutine on its executor at once.
  void complete(T value) {
    value_.emplace(std::move(value));
    Executor* executor = executor_;
    const std::coroutine_handle<> handle = handle_;
    executor->post(std::span(&handle, 1));
  }

 protected:
  void bind(std::coroutine_handle<> handle) {
    handle_ = handle;
    executor_ = Executor::current();
  }
  std::optional<T> value_;

 private:
  std::coroutine_handle<> handle_;
  Executor* executor_ = nullptr;
};

// co_await answer_of<T>([&](Completion<T>& c) { worker.enqueue(op, c); }): suspends, runs the
// starter on this thread, and yields what the worker sets. The calling thread must be an executor.
template <class T, class Start>
class [[nodiscard]] AnswerOf : public Completion<T> {
 public:
  explicit AnswerOf(Start start) : start_(std::move(start)) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    this->bind(handle);
    start_(static_cast<Completion<T>&>(*this));
  }
  T await_resume() { return std::move(*this->value_); }

 private:
  Start start_;
};

template <class T, class Start>
AnswerOf<T, Start> answer_of(Start start) {
  return AnswerOf<T, Start>(std::move(start));
}

// Spawns tasks and knows how many still run. Any thread may call either; on_exception too has to
// be callable on any thread, and must not throw.
// A task that ends with an exception is a bug: on_exception hears of it, the group goes on.
// The owner must not destroy the group before running() is 0.
class TaskGroup {
 public:
  explicit TaskGroup(std::function<void(std::exception_ptr)> on_exception)
      : on_exception_(std::move(on_exception)) {}
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Starts the task on this thread and returns when it first waits or ends.
  void spawn(Task<void> task);
  std::size_t running() const noexcept { return running_.load(std::memory_order_acquire); }

 private:
  struct Detached;
  Detached run(Task<void> task);

  std::function<void(std::exception_ptr)> on_exception_;
  std::atomic<std::size_t> running_ = 0;
};

// Starts all tasks on this thread, in order, and yields their outcomes in the same order when the
// last one has ended. The tasks' waits must resume on this thread's executor.
template <class T>
Task<std::vector<T>> when_all(std::vector<Task<T>> tasks);

namespace detail {

struct Gate {
  std::size_t open = 0;
  std::exception_ptr exception;
  std::coroutine_handle<> waiter;

  bool await_ready() const noexcept { return open == 0; }
  void await_suspend(std::coroutine_handle<> handle) noexcept { waiter = handle; }
  void await_resume() const {
    if (exception) std::rethrow_exception(exception);
  }
};

// A coroutine that starts at once and frees itself at its end.
struct Started {
  struct promise_type {
    Started get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};

template <class T>
Started run_member(Task<T> task, std::optional<T>& slot, Gate& gate) {
  try {
    slot.emplace(co_await task);
  } catch (...) {
    gate.exception = std::current_exception();
  }
  if (--gate.open == 0 && gate.waiter) gate.waiter.resume();
}

}  // namespace detail

template <class T>
Task<std::vector<T>> when_all(std::vector<Task<T>> tasks) {
  std::vector<std::optional<T>> slots(tasks.size());
  detail::Gate gate;
  gate.open = tasks.size();
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    detail::run_member(std::move(tasks[i]), slots[i], gate);
  }
  co_await gate;
  std::vector<T> outcomes;
  outcomes.reserve(slots.size());
  for (auto& slot : slots) outcomes.push_back(std::move(*slot));
  co_return outcomes;
}

}  // namespace mpr
