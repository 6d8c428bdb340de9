// The order of answers on one connection: what was written, and what the next answer belongs to.
// No I/O; belongs to one lane.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "store/redis/operation.hpp"
#include "store/redis/value.hpp"

namespace mpr::redis {

class Pipeline {
 public:
  // An operation whose attempt has all of its answers.
  struct Done {
    Operation* operation = nullptr;
    // Of Durability::replicated: how many replicas have it.
    std::int64_t replicas = 0;
  };

  // Appends the operation's next attempt to `out`, whose end is at `position` of the stream.
  void send(Operation& operation, std::string& out, std::uint64_t position);
  // Asks the server for a sign of life.
  void send_ping(std::string& out);
  // Asks, once for all replicated operations since the last time, that a replica has them. Does
  // nothing when there are none. The server executes nothing behind it before that is known.
  void send_wait(std::string& out, std::int64_t milliseconds);
  // Whether it is time for that: few questions are under way, one while replicas are in doubt.
  bool wants_wait() const noexcept { return unconfirmed_ > 0 && waits_ < (in_doubt_ ? 1U : 2U); }
  // The last answer was that no replica has it.
  bool replicas_in_doubt() const noexcept { return in_doubt_; }

  // Takes the next answer and appends what is done by it. False: nothing was asked.
  bool on_value(Value value, std::vector<Done>& done);

  // The connection is gone: hands over all operations, in the order in which they were sent, and
  // begins anew.
  std::vector<Operation*> take_all();

  // Nothing is under way, and nothing waits for a replica.
  bool empty() const noexcept { return expected_.empty() && answered_.empty(); }

 private:
  enum class Kind : std::uint8_t { operation, ping, wait };
  struct Expected {
    Kind kind = Kind::operation;
    Operation* operation = nullptr;
  };

  void finish_wait(const Value& value, std::vector<Done>& done);

  std::deque<Expected> expected_;
  // Answered, but not confirmed by a replica yet; in order.
  std::vector<Operation*> answered_;
  std::size_t unconfirmed_ = 0;  // replicated operations since the last WAIT
  std::size_t waits_ = 0;        // under way
  bool in_doubt_ = false;
};

}  // namespace mpr::redis
