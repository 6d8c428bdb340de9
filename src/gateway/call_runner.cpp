#include "gateway/call_runner.hpp"

#include <utility>

#include "base/log.hpp"
#include "gateway/methods.hpp"
#include "rpc/wire.hpp"

namespace mpr {

struct CallRunner::CallInHand : LaneCall {
  CallOrigin* origin = nullptr;
  rpc::Request request;
  SteadyTime arrived;
  std::shared_ptr<BatchAnswer> batch;
  std::size_t slot = 0;
  bool answered = false;
  CallInHand* older = nullptr;
  CallInHand* newer = nullptr;
};

namespace {

LaneRule rule_of(const rpc::Call& call, const ConnectionId* connection) {
  if (std::holds_alternative<rpc::AddMessages>(call)) return LaneRule::barrier;
  if (connection == nullptr) return LaneRule::free;
  return std::holds_alternative<rpc::AddMessage>(call) ? LaneRule::add : LaneRule::alone;
}

void log_escaped(std::exception_ptr escaped) {
  try {
    std::rethrow_exception(escaped);
  } catch (const std::exception& e) {
    log::error("a call ended with an exception", {{"what", e.what()}});
  } catch (...) {
    log::error("a call ended with an exception of unknown type");
  }
}

}  // namespace

CallRunner::CallRunner(Methods& methods, Metrics& metrics, Limits limits)
    : methods_(methods), metrics_(metrics), limits_(limits), tasks_(log_escaped) {}

CallRunner::~CallRunner() = default;

void CallRunner::take_in(CallOrigin& origin, rpc::Request request, SteadyTime arrived,
                         std::shared_ptr<BatchAnswer> batch, std::size_t slot) {
  auto* const call = new CallInHand;  // its own until end()
  call->origin = &origin;
  call->request = std::move(request);
  call->arrived = arrived;
  call->batch = std::move(batch);
  call->slot = slot;
  const ConnectionId* const connection = rpc::connection_of(call->request.call);
  call->rule = rule_of(call->request.call, connection);
  if (connection != nullptr) {
    call->connection = hash_of(origin.caller().tenant.value, connection->value);
  }
  ++in_hand_;
  call->older = newest_;
  (newest_ != nullptr ? newest_->newer : oldest_) = call;
  newest_ = call;

  if (!origin.lanes().admit(*call)) return;
  ready_.push_back(call);
  start_ready();
}

// A call that ends at once makes others ready while it is being started: this loop takes them, so
// that a long queue does not become a deep stack.
void CallRunner::start_ready() {
  if (std::exchange(starting_, true)) return;
  for (std::size_t i = 0; i < ready_.size(); ++i) start(static_cast<CallInHand&>(*ready_[i]));
  ready_.clear();
  starting_ = false;
}

void CallRunner::start(CallInHand& call) {
  if (call.answered) {  // its time was over while it waited: never begun
    end(call, fail(Errc::deadline_exceeded, "not begun"));
  } else if (!hold_back(call)) {
    tasks_.spawn(carry_out(call));
  }
}

bool CallRunner::hold_back(CallInHand& call) {
  if (!std::holds_alternative<rpc::TakeFromQueue>(call.request.call)) return false;
  CallOrigin& origin = *call.origin;
  if (!origin.listens()) {  // what it deletes would reach nobody
    end(call, fail(Errc::unavailable, "the socket is closed"));
  } else if (call.batch != nullptr && call.batch->bytes >= limits_.batch_bytes) {
    end(call, fail(Errc::too_large, "the batch's answers are over " +
                                        std::to_string(limits_.batch_bytes) +
                                        " bytes already: take less at once"));
  } else if (!origin.room_for_answers()) {
    origin.parked().push_back(&call);
  } else {
    return false;
  }
  return true;
}

void CallRunner::resume(CallOrigin& origin) {
  std::vector<LaneCall*>& parked = origin.parked();
  ready_.insert(ready_.end(), parked.begin(), parked.end());
  parked.clear();
  start_ready();
}

Task<void> CallRunner::carry_out(CallInHand& call) {
  Result<std::string> outcome = fail(Errc::internal, "the call ended unexpectedly");
  try {
    outcome = co_await methods_.execute(call.origin->caller(), std::move(call.request.call),
                                        Deadline{call.arrived + limits_.call_timeout});
  } catch (...) {
    log_escaped(std::current_exception());
  }
  end(call, outcome);
}

void CallRunner::end(CallInHand& call, const Result<std::string>& outcome) {
  if (!call.answered) answer(call, outcome);
  CallOrigin& origin = *call.origin;
  origin.lanes().finished(call, ready_);
  delete &call;
  --in_hand_;
  origin.call_ended();
  start_ready();
}

void CallRunner::answer(CallInHand& call, const Result<std::string>& outcome) {
  call.answered = true;
  forget(call);
  metrics_.call_seconds.observe(std::chrono::steady_clock::now() - call.arrived);
  answer_at_once(*call.origin, outcome, call.request.id, call.batch, call.slot);
  call.origin->call_answered();
}

void CallRunner::answer_at_once(CallOrigin& origin, const Result<std::string>& outcome,
                                const rpc::RequestId& id, const std::shared_ptr<BatchAnswer>& batch,
                                std::size_t slot) {
  if (outcome) {
    answer_text(origin, id, batch, slot, &*outcome, nullptr);
    return;
  }
  metrics_.calls_failed.add();
  if (outcome.error().code == Errc::invalid_argument) metrics_.calls_rejected.add();
  if (outcome.error().code == Errc::deadline_exceeded) metrics_.calls_timed_out.add();
  const rpc::RpcError error = rpc::to_rpc_error(outcome.error());
  answer_text(origin, id, batch, slot, nullptr, &error);
}

void CallRunner::reject(CallOrigin& origin, const rpc::Rejected& rejected,
                        const std::shared_ptr<BatchAnswer>& batch, std::size_t slot) {
  metrics_.calls_failed.add();
  metrics_.calls_rejected.add();
  // Rejections are answered even without an id.
  if (rejected.id.is_notification()) {
    answer_text(origin, rpc::RequestId{"null"}, batch, slot, nullptr, &rejected.error);
  } else {
    answer_text(origin, rejected.id, batch, slot, nullptr, &rejected.error);
  }
}

void CallRunner::answer_text(CallOrigin& origin, const rpc::RequestId& id,
                             const std::shared_ptr<BatchAnswer>& batch, std::size_t slot,
                             const std::string* result, const rpc::RpcError* error) {
  if (!id.is_notification()) {
    if (batch != nullptr) {
      std::string& member = batch->members[slot];
      result != nullptr ? rpc::append_result(member, *result, id)
                        : rpc::append_error(member, *error, id);
      batch->bytes += member.size();
    } else if (result != nullptr) {
      origin.send_answer(*result, id);
    } else {
      origin.send_error(*error, id);
    }
  }
  if (batch != nullptr && --batch->open == 0) origin.send_batch(*batch);
}

void CallRunner::answer_overdue(SteadyTime now) {
  while (oldest_ != nullptr && now - oldest_->arrived >= limits_.call_timeout) {
    answer(*oldest_,
           fail(Errc::deadline_exceeded,
                "not done within " + std::to_string(limits_.call_timeout.count()) + " ms"));
  }
}

void CallRunner::forget(CallInHand& call) {
  (call.older != nullptr ? call.older->newer : oldest_) = call.newer;
  (call.newer != nullptr ? call.newer->older : newest_) = call.older;
  call.older = call.newer = nullptr;
}

}  // namespace mpr
