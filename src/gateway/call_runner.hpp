// Carries out the calls of one io thread's sockets: keeps their order, watches their deadlines, and
// hands each outcome to the socket that asked. A call is answered exactly once: with its outcome,
// or, when that comes too late, with deadline_exceeded; the late outcome is dropped then.
//
// For its io thread only. Methods and metrics outlive it. A socket that has calls in hand stays
// until they have ended, even if nobody listens to it any more.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.hpp"
#include "base/task.hpp"
#include "core/requests.hpp"
#include "gateway/call_lanes.hpp"
#include "rpc/json_rpc.hpp"

namespace mpr {

class Methods;

// The answers of one JSON-RPC batch, collected in the order of its members.
struct BatchAnswer {
  std::size_t open = 0;              // members that are not answered yet
  std::vector<std::string> members;  // complete answers; empty for notifications
  std::size_t bytes = 0;             // of all members
};

// What the runner needs of a socket.
class CallOrigin {
 public:
  virtual ~CallOrigin() = default;
  virtual Caller caller() const = 0;
  virtual CallLanes& lanes() = 0;
  // False: nobody is there any more to read answers.
  virtual bool listens() const = 0;
  // False: so much waits to be written that large answers have to wait. resume() follows.
  virtual bool room_for_answers() const = 0;
  // The calls that wait for that room; the runner's own.
  virtual std::vector<LaneCall*>& parked() = 0;
  // One complete answer (an object, or a batch's array) to be sent.
  virtual void send_answer(std::string_view result, const rpc::RequestId& id) = 0;
  virtual void send_error(const rpc::RpcError& error, const rpc::RequestId& id) = 0;
  virtual void send_batch(const BatchAnswer& batch) = 0;
  // A call was answered; it may still run.
  virtual void call_answered() = 0;
  // A call has ended. The last word about it.
  virtual void call_ended() = 0;
};

class CallRunner {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  struct Limits {
    std::chrono::milliseconds call_timeout;
    std::size_t batch_bytes;  // answers of one batch; over it takes are refused
  };

  CallRunner(Methods& methods, Metrics& metrics, Limits limits);
  ~CallRunner();

  // Takes a call in hand: now or when the lanes of `origin` let it. With a batch, the answer goes
  // to its member `slot`.
  void take_in(CallOrigin& origin, rpc::Request request, SteadyTime arrived,
               std::shared_ptr<BatchAnswer> batch, std::size_t slot);

  // Answers what needs no execution: a rejection, or a call about the socket's own state.
  void answer_at_once(CallOrigin& origin, const Result<std::string>& outcome,
                      const rpc::RequestId& id, const std::shared_ptr<BatchAnswer>& batch,
                      std::size_t slot);
  void reject(CallOrigin& origin, const rpc::Rejected& rejected,
              const std::shared_ptr<BatchAnswer>& batch, std::size_t slot);

  // Goes on with the parked calls of `origin`, which has room again or has stopped listening.
  void resume(CallOrigin& origin);

  // Answers the calls whose time is over.
  void answer_overdue(SteadyTime now);

  // Calls that have not ended.
  std::size_t in_hand() const noexcept { return in_hand_; }

 private:
  struct CallInHand;

  void start(CallInHand& call);
  // A take may fill the outbound buffer or a batch many times over: it is parked or refused then.
  bool hold_back(CallInHand& call);
  void start_ready();
  Task<void> carry_out(CallInHand& call);
  void end(CallInHand& call, const Result<std::string>& outcome);
  void answer(CallInHand& call, const Result<std::string>& outcome);
  void answer_text(CallOrigin& origin, const rpc::RequestId& id,
                   const std::shared_ptr<BatchAnswer>& batch, std::size_t slot,
                   const std::string* result, const rpc::RpcError* error);
  void forget(CallInHand& call);

  Methods& methods_;
  Metrics& metrics_;
  const Limits limits_;
  TaskGroup tasks_;

  // Unanswered calls, oldest first; all have the same timeout, so that is the order of deadlines.
  CallInHand* oldest_ = nullptr;
  CallInHand* newest_ = nullptr;
  std::size_t in_hand_ = 0;
  std::vector<LaneCall*> ready_;  // may start; started one after the other, not recursively
  bool starting_ = false;
};

}  // namespace mpr
