// The client's part on one io thread: the connections that this thread uses, the requests that it
// started and their order. What was started on one slot is executed in that order: while requests
// of a slot are being redirected or tried again, later ones wait behind its gate.
//
// Belongs to its io thread. It is destroyed by the client, after that thread has ended.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/executor.hpp"
#include "net/io_thread.hpp"
#include "net/timer.hpp"
#include "store/redis/node.hpp"
#include "store/redis/operation.hpp"
#include "store/redis/shared.hpp"
#include "store/redis/slot.hpp"

namespace mpr::redis {

class Lane {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // Of one lane of a client it is said in the log what happens to its connections.
  enum class Log { off, on };

  Lane(IoThread& thread, Shared& shared, Log log);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // --- for the client, on this thread -----------------------------------------------------------

  struct Target {
    std::optional<ServerAddress> node{};  // nothing: the owner of the slot
    bool fail_fast = false;               // a lost connection ends the request
  };
  void start(Request request, Deadline deadline, Waiter& waiter, Target target);

  // Resumes a coroutine: at the end of the present read, or else in a turn to come.
  void wake(Executor& executor, std::coroutine_handle<> handle);

  // Called at each tick: the lane ticks while there is something to watch.
  void on_tick(std::function<void()> function) { on_tick_ = std::move(function); }
  void tick_at(TimePoint moment) { timer_.at_latest(moment); }
  void tick();

  Node& node(const ServerAddress& address);
  const SlotMap* map() const noexcept { return map_.get(); }

  // --- for nodes --------------------------------------------------------------------------------

  IoThread& thread() noexcept { return thread_; }
  Shared& shared() noexcept { return shared_; }
  TimePoint now() const noexcept { return thread_.now(); }
  bool speaks() const noexcept { return log_ == Log::on; }

  void flush_later(Node& node) { dirty_.push_back(&node); }
  void tick_soon();
  void begin_reading() noexcept { reading_ = true; }
  void end_reading();

  // An attempt has all of its answers.
  void answered(Operation& operation, std::int64_t replicas);
  // The connection broke under a written attempt.
  void broken(Operation& operation, std::uint64_t gone);
  // The operation was not written.
  void unsent(Operation& operation);
  // Nobody waits for it any more, and it is neither under way nor queued.
  void drop(Operation& operation);

 private:
  // Of a slot with requests that are being redirected or tried again.
  struct Gate {
    std::deque<Operation*> troubled;  // these first, in this order
    std::deque<Operation*> waiting;   // then these, which were started later
    TimePoint not_before{};
  };

  void at_turn_end();
  void flush();
  void resume_ready();
  void schedule_resumption();
  void adopt_map();
  bool is_primary(const Node& node) const;

  Node* owner_of(std::uint16_t slot);
  void dispatch(Operation& operation);
  void settle(Operation& operation, const Verdict& verdict);
  void learn(Operation& operation, const Verdict& verdict);
  void trouble(Operation& operation, bool wait);
  void follow(const Redirect& moved, const Operation& operation);
  void open_gate(std::uint16_t slot);
  bool release_troubled(std::uint16_t slot, Gate& gate);
  void left(std::uint16_t slot);

  void complete(Operation& operation, Outcome<std::vector<Value>> outcome);
  void give_up(Operation& operation, Errc code, std::string context);
  std::string reason_for(const Operation& operation);
  void check_deadlines();
  void forget_nodes();

  IoThread& thread_;
  Shared& shared_;
  const Log log_;
  const std::shared_ptr<Lane*> alive_;  // what is registered with the thread sees when we are gone
  Timer timer_;
  std::function<void()> on_tick_;

  std::map<std::string, std::unique_ptr<Node>> nodes_;  // by address
  std::shared_ptr<const SlotMap> map_;
  std::uint64_t map_version_ = 0;
  std::vector<Node*> owners_;             // by slot in a cluster; one for all on a single server
  std::vector<std::uint32_t> under_way_;  // by slot: sent, or waiting on a node
  std::unordered_map<std::uint16_t, Gate> gates_;
  std::size_t gated_bytes_ = 0;

  Operation* first_ = nullptr;  // all operations, also those that nobody waits for any more
  TimePoint deadlines_checked_{};

  std::vector<Node*> dirty_;
  bool reading_ = false;   // resumption follows at the end of the read
  bool flushing_ = false;  // at the end of the turn
  bool resumption_scheduled_ = false;
  std::vector<std::coroutine_handle<>> ready_;
  Resumptions others_;  // of other executors
  bool others_waiting_ = false;
};

}  // namespace mpr::redis
