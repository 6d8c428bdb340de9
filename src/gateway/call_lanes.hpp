// The order of one socket's calls. Calls about one connection take effect in the order in which
// they came: consecutive adds may be in flight together (the store keeps the order in which they
// were started), every other call waits for those before it and is waited for. A barrier is about
// every connection. Calls about no connection are never held up.
//
// A plain data structure without threads. A call that is told to wait stays with its owner, at the
// same address, until finished() or released gives it back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace mpr {

enum class LaneRule : std::uint8_t {
  free,     // about no connection
  add,      // may run beside other adds of its connection
  alone,    // the only call of its connection while it runs
  barrier,  // the only call about connections while it runs
};

// The part of a call that the lanes look at; calls derive from it.
struct LaneCall {
  LaneRule rule = LaneRule::free;
  // A hash of the connection. Two connections that share it are ordered more than they need to be.
  std::uint64_t connection = 0;
  LaneCall* behind = nullptr;  // the next one of a queue; the lanes' own
};

class CallLanes {
 public:
  CallLanes();
  ~CallLanes();
  CallLanes(const CallLanes&) = delete;
  CallLanes& operator=(const CallLanes&) = delete;

  // True: start it now. False: it has to wait and comes out of finished() later.
  bool admit(LaneCall& call);

  // Says that a started call has ended; appends the calls that may start now, in order.
  void finished(LaneCall& call, std::vector<LaneCall*>& ready);

  // Gives back what a burst has left allocated; for times when no call is in hand.
  void trim();

 private:
  struct Queue {
    LaneCall* first = nullptr;
    LaneCall* last = nullptr;

    bool empty() const noexcept { return first == nullptr; }
    void push(LaneCall& call);
    LaneCall& pop();
  };
  struct Lane {
    std::uint32_t adds_running = 0;
    bool alone_running = false;
    Queue waiting;

    bool admits(LaneRule rule) const noexcept;
    void start(LaneRule rule) noexcept;
  };
  class Table;

  bool admit_to_lane(LaneCall& call);
  void release_lane(Lane& lane, std::vector<LaneCall*>& ready);
  void release_held(std::vector<LaneCall*>& ready);

  std::unique_ptr<Table> table_;  // made with the first call that is about a connection
  std::size_t in_lanes_ = 0;      // calls running or waiting in lanes
  LaneCall* barrier_ = nullptr;   // running or waiting for the lanes to empty
  bool barrier_running_ = false;
  Queue held_;  // behind the barrier
};

}  // namespace mpr
