// Calls a function of an io thread at one moment, once, until it is set anew. Belongs to the io
// thread; it may be destroyed after that thread has ended, and the thread's object with it.
#pragma once

#include <chrono>
#include <functional>

#include "net/io_thread.hpp"

namespace mpr {

class Timer final : public IoThread::Source {
 public:
  // On the io thread.
  Timer(IoThread& thread, std::function<void()> function);
  ~Timer() override;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Sooner than what is set already, or else nothing happens.
  void at_latest(std::chrono::steady_clock::time_point moment);

 private:
  void on_ready(IoThread::Ready ready) override;

  const int fd_;
  std::function<void()> function_;
  std::chrono::steady_clock::time_point set_ = std::chrono::steady_clock::time_point::max();
};

}  // namespace mpr
