// Decides where and when to connect next. It has no sockets, no timers and no clock: it is told
// what happened and answers with an attempt.
//
// The addresses are tried in their order without waiting: when one gateway is gone, the next one
// takes over at once. Only when all have failed in a row does it wait, each round longer than the
// one before, up to a bound. It never gives up. One thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace mpr::client {

class ReconnectPolicy {
 public:
  using Milliseconds = std::chrono::milliseconds;
  struct Times {
    Milliseconds base{100};     // wait after the first round in which all addresses failed
    Milliseconds cap{5000};     // longest wait
    Milliseconds stable{1000};  // a connection that lasted so long was a good one
  };
  struct Attempt {
    std::size_t address = 0;
    Milliseconds delay{0};
  };

  ReconnectPolicy(std::size_t addresses, Times times) : addresses_(addresses), times_(times) {}

  Attempt first() const { return {index_, Milliseconds(0)}; }
  // After an attempt that did not lead to a connection. `chance` is from 0 to 1.
  Attempt after_failure(double chance);
  // After a connection ended. A short-lived one counts as a failure, so that a gateway that accepts
  // and drops does not make the client spin.
  Attempt after_loss(Milliseconds lasted, double chance);
  // Whether every address has failed since the last connection that was a good one.
  bool all_failed() const { return failures_ >= addresses_; }

 private:
  Milliseconds delay(double chance) const;

  const std::size_t addresses_;
  const Times times_;
  std::size_t index_ = 0;
  std::size_t failures_ = 0;
};

}  // namespace mpr::client
