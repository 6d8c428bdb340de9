// Answers operations whose deadline has passed while a thread is still busy with the database, or
// stuck in it. Any thread; it forgets what was answered by others.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

#include "store/mongo/operation.hpp"

namespace mpr::mongo {

class Watchdog {
 public:
  Watchdog();
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // An operation with a deadline; one without needs no watching.
  void watch(const std::shared_ptr<Operation>& operation);

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Watched {
    Time at;
    std::weak_ptr<Operation> operation;
    bool operator>(const Watched& other) const { return at > other.at; }
  };

  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::priority_queue<Watched, std::vector<Watched>, std::greater<>> watched_;  // guarded by mutex_
  bool stop_ = false;                                                           // guarded
  std::thread thread_;
};

}  // namespace mpr::mongo
