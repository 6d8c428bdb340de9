// The order of operations on one queue that take several steps: of one store, or a step in the hot
// tier and then one in the cold tier. A store keeps the order in which its steps were started; here
// the later steps of an operation wait for the operations that began before it. Without such steps
// nobody waits.
//
// Any thread may take turns; a wait resumes on the executor on which it began. The table outlives
// its turns. It knows nothing of messages and never fails.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/task.hpp"
#include "core/ids.hpp"

namespace mpr {

class QueueTurns {
 public:
  enum class Kind {
    single,  // has one step, which waits for earlier operations that are alone
    read,    // its second step waits for earlier operations that change the queue
    change,  // its second step waits for every earlier operation
    alone,   // begins after every earlier operation and holds later ones up until it ends
  };

  QueueTurns() = default;

  // Whether an operation of one step may find one in front of it that is alone. If not, it needs no
  // turn: whatever begins later comes behind it anyway.
  bool holds_single() const noexcept { return alone_.load(std::memory_order_acquire) > 0; }

  QueueTurns(const QueueTurns&) = delete;
  QueueTurns& operator=(const QueueTurns&) = delete;

  // One operation's place in the order, from its construction to its destruction.
  class Turn {
   public:
    Turn(QueueTurns& turns, const Connection& connection, Kind kind);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    class Wait;
    // co_await them before the first step, and before the first of those after it.
    Wait first_step() noexcept;
    Wait next_steps() noexcept;

   private:
    friend class QueueTurns;
    enum class Step { first, next };

    QueueTurns& turns_;
    const Connection connection_;
    const Kind kind_;
    Step step_ = Step::first;  // guarded by the shard's mutex, as is what follows
    Completion<bool>* waiting_ = nullptr;
  };

 private:
  struct Shard {
    std::mutex mutex;
    std::unordered_map<Connection, std::vector<Turn*>, ConnectionHash> queues;  // guarded by mutex
  };
  static constexpr std::size_t kShards = 64;

  Shard& shard_of(const Connection& c) { return shards_[hash_of(c) % kShards]; }
  // Whether the turn may start the step although those in front of it have not ended.
  static bool passes(const std::vector<Turn*>& queue, const Turn& turn, Turn::Step step);

  std::array<Shard, kShards> shards_;
  std::atomic<std::size_t> alone_ = 0;  // turns of that kind
};

class [[nodiscard]] QueueTurns::Turn::Wait : public Completion<bool> {
 public:
  Wait(Turn& turn, Step step) noexcept : turn_(turn), step_(step) {}
  bool await_ready() const;
  bool await_suspend(std::coroutine_handle<> handle);
  void await_resume() const noexcept {}

 private:
  Turn& turn_;
  const Step step_;
};

}  // namespace mpr
