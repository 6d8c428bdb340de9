#include "net/io_thread.hpp"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace mpr {

namespace {

using Clock = std::chrono::steady_clock;

// Enough that a busy turn amortises its system calls, few enough that a turn stays short.
constexpr std::size_t kEventsPerTurn = 128;

std::uint32_t epoll_mask(IoThread::Interest interest) noexcept {
  switch (interest) {
    case IoThread::Interest::nothing:
      return 0;
    case IoThread::Interest::read:
      return EPOLLIN;
    case IoThread::Interest::write:
      return EPOLLOUT;
    case IoThread::Interest::read_write:
      return EPOLLIN | EPOLLOUT;
  }
  return 0;
}

int checked(int fd, const char* what) {
  if (fd < 0) throw std::system_error(errno, std::generic_category(), what);
  return fd;
}

void control(int epoll, int operation, int fd, epoll_event* event) {
  checked(::epoll_ctl(epoll, operation, fd, event), "epoll_ctl");
}

}  // namespace

IoThread::IoThread(std::string name)
    : name_(name.substr(0, 15)),
      epoll_(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      wake_fd_(checked(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")),
      read_buffer_(std::make_unique<char[]>(kReadBytes)),
      now_(Clock::now()),
      last_turn_(now_.time_since_epoch().count()) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;  // no source: the wake-up descriptor
  control(epoll_, EPOLL_CTL_ADD, wake_fd_, &event);
}

IoThread::~IoThread() {
  stop();
  join();
  ::close(wake_fd_);
  ::close(epoll_);
}

void IoThread::start() {
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), name_.c_str());
    loop();
  });
}

void IoThread::stop() {
  stopping_ = true;
  run([] {});
}

void IoThread::join() {
  if (thread_.joinable()) thread_.join();
}

void IoThread::wake() {
  const std::uint64_t one = 1;
  // It can only fail when the counter is at its maximum: then the loop is awake already.
  [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
}

void IoThread::post(std::span<const std::coroutine_handle<>> handles) {
  bool must_wake = false;
  {
    std::lock_guard lock(mutex_);
    handles_.insert(handles_.end(), handles.begin(), handles.end());
    must_wake = std::exchange(asleep_, false);
  }
  if (must_wake) wake();
}

void IoThread::run(Work work) {
  bool must_wake = false;
  {
    std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
    must_wake = std::exchange(asleep_, false);
  }
  if (must_wake) wake();
}

Clock::time_point IoThread::last_turn() const noexcept {
  return Clock::time_point(Clock::duration(last_turn_.load(std::memory_order_relaxed)));
}

void IoThread::watch(int fd, Source& source, Interest interest) {
  epoll_event event{};
  event.events = epoll_mask(interest);
  event.data.ptr = &source;
  control(epoll_, EPOLL_CTL_ADD, fd, &event);
}

void IoThread::change(int fd, Source& source, Interest interest) {
  epoll_event event{};
  event.events = epoll_mask(interest);
  event.data.ptr = &source;
  control(epoll_, EPOLL_CTL_MOD, fd, &event);
}

void IoThread::unwatch(int fd, Source& source) {
  control(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  for (epoll_event& event : dispatching_) {
    if (event.data.ptr == &source) event.events = 0;
  }
}

void IoThread::at_turn_end(std::function<void()> function) {
  turn_end_.push_back(std::move(function));
}

void IoThread::every(std::chrono::milliseconds interval, std::function<void()> function) {
  periodic_.push_back({interval, Clock::now() + interval, std::move(function)});
}

int IoThread::wait_milliseconds() {
  {
    std::lock_guard lock(mutex_);
    if (!handles_.empty() || !work_.empty()) return 0;
    asleep_ = true;
  }
  if (periodic_.empty()) return -1;
  Clock::time_point next = Clock::time_point::max();
  for (const Periodic& periodic : periodic_) next = std::min(next, periodic.next);
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(wait.count(), 0, 60'000));
}

void IoThread::loop() {
  Scope scope(*this);
  std::array<epoll_event, kEventsPerTurn> events;
  while (!stopping_.load(std::memory_order_relaxed)) {
    const int count =
        ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_milliseconds());
    now_ = Clock::now();
    if (count > 0) dispatch(std::span(events).first(static_cast<std::size_t>(count)));
    drain_queues();
    run_periodic();
    for (std::size_t i = 0; i < turn_end_.size(); ++i) turn_end_[i]();
    last_turn_.store(now_.time_since_epoch().count(), std::memory_order_relaxed);
  }
}

void IoThread::dispatch(std::span<epoll_event> events) {
  for (std::size_t i = 0; i < events.size(); ++i) {
    epoll_event& event = events[i];
    dispatching_ = events.subspan(i + 1);
    if (event.data.ptr == nullptr) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto read = ::read(wake_fd_, &count, sizeof count);
      continue;
    }
    if (event.events == 0) continue;  // unwatched by an earlier source of this turn
    static_cast<Source*>(event.data.ptr)
        ->on_ready({.readable = (event.events & EPOLLIN) != 0,
                    .writable = (event.events & EPOLLOUT) != 0,
                    .broken = (event.events & (EPOLLERR | EPOLLHUP)) != 0});
  }
  dispatching_ = {};
}

void IoThread::drain_queues() {
  {
    std::lock_guard lock(mutex_);
    asleep_ = false;
    running_handles_.swap(handles_);
    running_work_.swap(work_);
  }
  for (Work& work : running_work_) work();
  running_work_.clear();
  for (const std::coroutine_handle<> handle : running_handles_) handle.resume();
  running_handles_.clear();
}

void IoThread::run_periodic() {
  for (std::size_t i = 0; i < periodic_.size(); ++i) {
    if (now_ < periodic_[i].next) continue;
    periodic_[i].next = now_ + periodic_[i].interval;
    periodic_[i].function();
  }
}

}  // namespace mpr
