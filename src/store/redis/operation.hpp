// A request on its way through the client: which of its commands are still to be executed, where,
// and what was answered so far. Decides what a redirection or a broken connection means. No I/O;
// belongs to one lane.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/task.hpp"
#include "store/redis/outcome.hpp"
#include "store/redis/redirect.hpp"
#include "store/redis/request.hpp"
#include "store/redis/server_address.hpp"
#include "store/redis/value.hpp"

namespace mpr::redis {

class Node;

// Who waits for a request. Called once.
class Waiter {
 public:
  virtual void done(Outcome<std::vector<Value>> outcome) = 0;

 protected:
  ~Waiter() = default;
};

// What is to happen to an operation whose attempt has ended.
struct Verdict {
  enum class Next : std::uint8_t {
    complete,  // every command has its answer
    resend,    // commands are left to be sent
    give_up,   // something was written, without an answer, that must not be executed twice
  };
  Next next = Next::complete;
  bool wait = false;       // resend, but not at once: the server cannot execute it at present
  bool read_only = false;  // the server takes no writes: it is a replica
  std::optional<Redirect> moved{};  // the slot is served elsewhere
};

class Operation {
 public:
  // Commands that go to one place, one behind the other.
  struct Todo {
    std::size_t command = 0;
    std::optional<ServerAddress> ask{};  // not to the owner of the slot: there, behind ASKING
    bool with_text = false;              // EVAL in place of EVALSHA
  };

  explicit Operation(Request r) : request(std::move(r)) {}

  // Appends the commands of the next attempt.
  void begin_attempt(std::string& out);
  // Where the next attempt goes; nothing: to the owner of the slot.
  std::optional<ServerAddress> route() const;
  // Whether the next attempt covers all that is left to be done.
  bool covers_all() const;

  // Takes the next answer; true: the attempt has all of its answers.
  bool take(Value value);
  bool is_answered() const noexcept { return answers == awaited; }

  // The attempt has ended with all of its answers.
  Verdict judge();
  // The connection broke under the attempt; `gone` bytes of it were written.
  Verdict judge_broken(std::uint64_t gone);

  Request request;
  Deadline deadline;
  Waiter* waiter = nullptr;  // null: nobody waits any more
  std::uint16_t slot = 0;

  Node* pinned = nullptr;  // goes to this node, whatever the map says
  bool fail_fast = false;  // a lost connection ends it

  std::vector<Value> values;  // by command
  bool touched = false;       // something of it was executed, or may have been
  std::chrono::milliseconds backoff{0};
  unsigned redirects = 0;

  // The present attempt.
  Node* node = nullptr;     // where it is queued or under way
  std::uint64_t begin = 0;  // position of its first byte in the stream
  bool written = false;     // it is in the stream
  bool troubled = false;    // an answer asks for more
  std::size_t awaited = 0;  // answers, those to ASKING included
  std::size_t answers = 0;
  std::vector<Todo> todo;  // what is left; empty before the first attempt: everything
  std::size_t run = 0;     // how many of them the attempt covers

  Operation* previous = nullptr;  // in the lane's list
  Operation* following = nullptr;

 private:
  std::size_t command_at(std::size_t i) const { return todo.empty() ? i : todo[i].command; }
  std::size_t left() const { return todo.empty() ? request.commands().size() : todo.size(); }
  std::size_t run_length() const;
  bool asks() const { return !todo.empty() && todo.front().ask.has_value(); }
  std::vector<std::uint64_t> ends_of_run() const;
  void collect(std::size_t answered, std::vector<Todo>& rest, Verdict& verdict);
  Verdict judge_transaction(std::size_t answered);
  Verdict finish(std::vector<Todo> rest, Verdict verdict);
};

}  // namespace mpr::redis
