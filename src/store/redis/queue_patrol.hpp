// Looks at every key from time to time, on a thread of its own, for queues that no index names: a
// gateway that dies, or a connection that breaks, in the middle of an add leaves one. Such a queue
// is served as any other, but neither archived nor forgotten until the patrol enters it. One
// gateway of an installation patrols in each interval; slowly, so that it is not felt.
//
// The client outlives the patrol. It reads and enters, and never removes anything.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "base/run_loop.hpp"
#include "core/ids.hpp"
#include "store/redis/client.hpp"
#include "store/redis/keys.hpp"

namespace mpr::redis {

class QueuePatrol {
 public:
  QueuePatrol(Client& client, Keys keys, std::chrono::milliseconds interval);
  ~QueuePatrol();
  QueuePatrol(const QueuePatrol&) = delete;
  QueuePatrol& operator=(const QueuePatrol&) = delete;

  // Of which connection a key is the queue; nothing: it is no queue of the installation.
  static std::optional<Connection> connection_of(const Keys& keys, std::string_view key);

 private:
  void run();
  bool pause(std::chrono::milliseconds duration);  // false: it is to stop
  void patrol();

  // Whether it is this gateway's turn: the first one to ask in an interval has it.
  Task<Result<bool>> take_turn();
  Task<Result<std::vector<std::string>>> nodes();
  struct Step {
    std::string cursor;         // "0": the node was seen whole
    std::uint64_t entered = 0;  // queues that no index named
  };
  Task<Result<Step>> step(std::string node, std::string cursor);

  Client& client_;
  const Keys keys_;
  const std::chrono::milliseconds interval_;
  RunLoop loop_;  // own thread

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace mpr::redis
