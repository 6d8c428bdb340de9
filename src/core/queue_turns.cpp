#include "core/queue_turns.hpp"

#include <algorithm>
#include <utility>

namespace mpr {

bool QueueTurns::passes(const std::vector<Turn*>& queue, const Turn& turn, Turn::Step step) {
  for (const Turn* earlier : queue) {
    if (earlier == &turn) return true;
    if (earlier->kind_ == Kind::alone || turn.kind_ == Kind::alone) return false;
    if (earlier->kind_ == Kind::single || turn.kind_ == Kind::single) continue;
    if (step == Turn::Step::first) continue;
    if (turn.kind_ == Kind::change || earlier->kind_ == Kind::change) return false;
  }
  return true;
}

QueueTurns::Turn::Turn(QueueTurns& turns, const Connection& connection, Kind kind)
    : turns_(turns), connection_(connection), kind_(kind) {
  Shard& shard = turns_.shard_of(connection_);
  std::lock_guard lock(shard.mutex);
  shard.queues[connection_].push_back(this);
  if (kind_ == Kind::alone) turns_.alone_.fetch_add(1, std::memory_order_acq_rel);
}

QueueTurns::Turn::~Turn() {
  Shard& shard = turns_.shard_of(connection_);
  Resumptions resumptions;
  {
    std::lock_guard lock(shard.mutex);
    const auto found = shard.queues.find(connection_);
    auto& queue = found->second;
    if (kind_ == Kind::alone) turns_.alone_.fetch_sub(1, std::memory_order_acq_rel);
    queue.erase(std::find(queue.begin(), queue.end(), this));
    for (Turn* turn : queue) {
      if (!turn->waiting_ || !passes(queue, *turn, turn->step_)) continue;
      std::exchange(turn->waiting_, nullptr)->set(true, resumptions);
    }
    if (queue.empty()) shard.queues.erase(found);
  }
  resumptions.flush();
}

QueueTurns::Turn::Wait QueueTurns::Turn::first_step() noexcept { return Wait(*this, Step::first); }

QueueTurns::Turn::Wait QueueTurns::Turn::next_steps() noexcept { return Wait(*this, Step::next); }

bool QueueTurns::Turn::Wait::await_ready() const {
  Shard& shard = turn_.turns_.shard_of(turn_.connection_);
  std::lock_guard lock(shard.mutex);
  return passes(shard.queues.at(turn_.connection_), turn_, step_);
}

bool QueueTurns::Turn::Wait::await_suspend(std::coroutine_handle<> handle) {
  bind(handle);
  Shard& shard = turn_.turns_.shard_of(turn_.connection_);
  std::lock_guard lock(shard.mutex);
  // Whoever was in front may have ended since await_ready().
  if (passes(shard.queues.at(turn_.connection_), turn_, step_)) return false;
  turn_.step_ = step_;
  turn_.waiting_ = this;
  return true;
}

}  // namespace mpr
