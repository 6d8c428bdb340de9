// A thread with a connection to the database and a bounded queue in front of it. Operations of one
// connection are done in the order in which they came; of several connections, those of one kind
// that wait together are done together.
// submit() is for any thread. The destructor answers whatever still waits.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "store/mongo/operation.hpp"
#include "store/mongo/store_state.hpp"

namespace mpr::mongo {

class Worker {
 public:
  explicit Worker(StoreState& state);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // The error is that too much waits already; then the operation is not answered.
  Result<void> submit(std::shared_ptr<Operation> operation);

 private:
  using Group = std::vector<std::shared_ptr<Operation>>;

  void run();
  bool wait_for_work();
  Group next_group();
  void refuse_backlog(Resumptions& resumptions);

  StoreState& state_;
  std::deque<std::shared_ptr<Operation>> backlog_;  // the thread's own

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::shared_ptr<Operation>> arrived_;  // guarded by mutex_
  std::size_t waiting_ = 0;                          // not yet in a group; guarded by mutex_
  std::size_t waiting_bytes_ = 0;                    // guarded by mutex_
  bool stop_ = false;                                // guarded by mutex_

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace mpr::mongo
