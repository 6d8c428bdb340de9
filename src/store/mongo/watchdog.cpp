#include "store/mongo/watchdog.hpp"

namespace mpr::mongo {

Watchdog::Watchdog() : thread_([this] { run(); }) {}

Watchdog::~Watchdog() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Watchdog::watch(const std::shared_ptr<Operation>& operation) {
  if (operation->deadline.at == Time::max()) return;
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    first = watched_.empty() || operation->deadline.at < watched_.top().at;
    watched_.push({operation->deadline.at, operation});
  }
  if (first) wake_.notify_one();
}

void Watchdog::run() {
  Resumptions resumptions;
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (watched_.empty()) {
      wake_.wait(lock);
      continue;
    }
    const Time now = std::chrono::steady_clock::now();
    if (const Time next = watched_.top().at; next > now) {
      wake_.wait_until(lock, next);
      continue;
    }
    std::vector<std::shared_ptr<Operation>> due;
    while (!watched_.empty() && watched_.top().at <= now) {
      if (auto operation = watched_.top().operation.lock()) due.push_back(std::move(operation));
      watched_.pop();
    }
    lock.unlock();
    for (const auto& operation : due) operation->expire(resumptions);
    resumptions.flush();
    due.clear();
    lock.lock();
  }
}

}  // namespace mpr::mongo
