// The thread that looks after the database: creates the indexes as soon as it answers, asks every
// second whether it still does, counts what it holds, and removes what has expired.
#pragma once

#include <thread>

#include "store/mongo/message_queues.hpp"

namespace mpr::mongo {

class Housekeeping {
 public:
  // Runs everything once before it returns, as far as the database answers.
  explicit Housekeeping(StoreState& state);
  ~Housekeeping();  // the state has to be closing
  Housekeeping(const Housekeeping&) = delete;
  Housekeeping& operator=(const Housekeeping&) = delete;

 private:
  using Time = std::chrono::steady_clock::time_point;

  void run();
  void round(Time now);
  Result<void> prepare();
  Result<void> learn_kind();

  StoreState& state_;
  MessageQueues queues_;
  bool prepared_ = false;
  Time next_survey_;
  Time next_look_;
  Time next_sweep_;
  std::thread thread_;
};

}  // namespace mpr::mongo
