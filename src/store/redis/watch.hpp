// Looks after the servers on the client's own thread: stays connected to all primaries, learns the
// slot map, and says whether the service is ready.
//
// Belongs to the client's own lane.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "store/redis/lane.hpp"
#include "store/redis/shared.hpp"
#include "store/redis/slot_map.hpp"

namespace mpr::redis {

class Watch final : private Waiter {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // Somebody who waits until the servers are ready.
  class ReadyWaiter {
   public:
    virtual void done(Result<void> outcome) = 0;

   protected:
    ~ReadyWaiter() = default;
  };

  Watch(Lane& lane, Shared& shared);

  // At each tick of the lane.
  void look();
  void wait_ready(ReadyWaiter& waiter, Deadline deadline);

 private:
  void done(Outcome<std::vector<Value>> outcome) override;
  void ask();
  std::vector<ServerAddress> candidates() const;
  void watch_primaries(TimePoint now);
  Result<void> state();
  void tell_waiters(TimePoint now);

  struct Waiting {
    ReadyWaiter* waiter;
    Deadline deadline;
  };

  Lane& lane_;
  Shared& shared_;
  bool asking_ = false;
  ServerAddress asked_;
  std::size_t turn_ = 0;  // which candidate is asked next
  TimePoint next_ask_{};
  TimePoint last_ask_{};
  TimePoint next_ping_{};
  std::string problem_;  // of the last question
  std::vector<Waiting> waiting_;
};

}  // namespace mpr::redis
