// A thread with an event loop over epoll: it tells sources that their file descriptor is ready,
// resumes coroutines, runs tasks of other threads and calls periodic functions. One turn = one
// epoll_wait and everything that it and the queues brought; what was written meanwhile is flushed
// once, by the functions given to at_turn_end().
//
// post() and run() are for any thread; everything else is for the thread itself, or for the owner
// before start() and after join(). Sources, and what tasks refer to, outlive their use here. The
// object outlives everything that may still post to it: what is posted after join() is dropped.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/executor.hpp"

struct epoll_event;

namespace mpr {

class IoThread final : public Executor {
 public:
  using Work = std::move_only_function<void()>;

  struct Ready {
    bool readable = false;
    bool writable = false;
    bool broken = false;  // error or hang-up: nothing more can be sent
  };

  // Something with a file descriptor. Level-triggered: told again while the condition lasts.
  class Source {
   public:
    virtual ~Source() = default;
    virtual void on_ready(Ready ready) = 0;
  };

  enum class Interest { nothing, read, write, read_write };

  // `name` shows in ps and perf; the first 15 bytes count.
  explicit IoThread(std::string name);
  ~IoThread() override;
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  void start();
  // Asks the loop to end after the present turn. Any thread.
  void stop();
  void join();

  // --- any thread -----------------------------------------------------------------------------

  void post(std::span<const std::coroutine_handle<>> handles) override;
  void run(Work work);
  bool is_current() const noexcept { return Executor::current() == this; }
  // When the last turn ended, for a watchdog.
  std::chrono::steady_clock::time_point last_turn() const noexcept;

  // --- this thread ----------------------------------------------------------------------------

  void watch(int fd, Source& source, Interest interest);
  void change(int fd, Source& source, Interest interest);
  // After this the source hears nothing more, not even of this turn; close the descriptor after.
  void unwatch(int fd, Source& source);

  // Called at the end of each turn, in the order of registration.
  void at_turn_end(std::function<void()> function);
  // Called about each interval, from the next turn on.
  void every(std::chrono::milliseconds interval, std::function<void()> function);

  // The time at which the present turn began.
  std::chrono::steady_clock::time_point now() const noexcept { return now_; }

  // Scratch space for one read, shared by all sources.
  static constexpr std::size_t kReadBytes = 64 * 1024;
  std::span<char> read_buffer() noexcept { return {read_buffer_.get(), kReadBytes}; }

 private:
  struct Periodic {
    std::chrono::steady_clock::duration interval;
    std::chrono::steady_clock::time_point next;
    std::function<void()> function;
  };

  void loop();
  int wait_milliseconds();
  void dispatch(std::span<epoll_event> events);
  void drain_queues();
  void run_periodic();
  void wake();

  const std::string name_;
  const int epoll_;
  const int wake_fd_;
  std::unique_ptr<char[]> read_buffer_;
  std::thread thread_;

  // this thread only
  std::chrono::steady_clock::time_point now_;
  // Deques, because a function that runs may add another.
  std::deque<Periodic> periodic_;
  std::deque<std::function<void()>> turn_end_;
  std::span<epoll_event> dispatching_;  // the rest of the present batch
  std::vector<std::coroutine_handle<>> running_handles_;
  std::vector<Work> running_work_;

  std::atomic<bool> stopping_ = false;
  std::atomic<std::chrono::steady_clock::duration::rep> last_turn_ = 0;

  std::mutex mutex_;
  std::vector<std::coroutine_handle<>> handles_;  // guarded by mutex_
  std::vector<Work> work_;                        // guarded by mutex_
  bool asleep_ = false;                           // guarded by mutex_: a push has to wake the loop
};

}  // namespace mpr
