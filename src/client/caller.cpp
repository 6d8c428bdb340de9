#include "client/caller.hpp"

#include <algorithm>

#include "client/answers.hpp"

namespace mpr::client {
namespace {

constexpr Caller::Milliseconds kFirstRetry{50};
constexpr Caller::Milliseconds kLongestRetry{1000};

// Whether the same call may succeed a moment later.
bool is_passing(ErrorKind kind) {
  return kind == ErrorKind::unavailable || kind == ErrorKind::deadline_exceeded;
}

}  // namespace

Caller::Caller(boost::asio::io_context& io, Limits limits, Link& link, Journal& journal)
    : io_(io), limits_(limits), link_(link), journal_(journal) {}

void Caller::begin() {
  if (state_ == State::idle) state_ = State::disconnected;
}

// --- calls --------------------------------------------------------------------------------------

void Caller::call(std::string_view method, std::string params, Traits traits, Finish finish) {
  if (state_ == State::idle) {
    return refuse(method, ErrorKind::not_connected, "the client is not connected",
                  std::move(finish));
  }
  if (params.size() > limits_.request_bytes) {
    return refuse(method, ErrorKind::too_large, "the request is larger than max_request_bytes",
                  std::move(finish));
  }
  Call& call = make(method, std::move(params), std::move(traits), std::move(finish));
  if (state_ == State::connected) return transmit(call);
  if (has_room(call)) return enqueue(call);
  call.refusal = {ErrorKind::queue_full, 0, call.method,
                  std::to_string(queued_calls_) + " calls wait for a connection already"};
  set_alarm(call, Alarm::refused, {});
}

void Caller::call_now(std::string_view method, std::string params, Finish finish) {
  Call& call = make(method, std::move(params), {}, std::move(finish));
  call.opening = true;
  transmit(call);
}

void Caller::refuse(std::string_view method, ErrorKind kind, std::string details, Finish finish) {
  Call& call = make(method, {}, {}, std::move(finish));
  call.refusal = {kind, 0, call.method, std::move(details)};
  set_alarm(call, Alarm::refused, {});
}

Caller::Call& Caller::make(std::string_view method, std::string params, Traits traits,
                           Finish finish) {
  const std::uint64_t id = ++last_id_;
  Call& call = calls_.try_emplace(id, io_).first->second;
  call.id = id;
  call.method = method;
  call.params = std::move(params);
  call.traits = std::move(traits);
  call.finish = std::move(finish);
  call.deadline = Clock::now() + limits_.total;
  return call;
}

Caller::Call* Caller::find(std::uint64_t id) {
  const auto found = calls_.find(id);
  return found == calls_.end() ? nullptr : &found->second;
}

std::vector<std::uint64_t> Caller::ids() const {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, call] : calls_) ids.push_back(id);
  return ids;
}

std::set<std::string> Caller::pending_sessions() const {
  std::set<std::string> connections;
  for (const auto& [id, call] : calls_) {
    if (!call.traits.session_of.empty()) connections.insert(call.traits.session_of);
  }
  return connections;
}

// --- the connection comes and goes --------------------------------------------------------------

void Caller::connected(const std::function<void()>& opening) {
  state_ = State::connected;
  const std::vector<std::uint64_t> before = ids();
  const auto send_waiting = [&](bool only_first) {
    for (const std::uint64_t id : before) {
      Call* call = find(id);
      if (!call || !call->waiting) continue;
      if (only_first && call->traits.place != Place::before_opening) continue;
      transmit_again(*call);
    }
  };
  send_waiting(true);
  if (state_ == State::connected) opening();
  send_waiting(false);
}

void Caller::disconnected(const std::string& why) {
  if (state_ == State::idle) return;
  state_ = State::disconnected;
  last_failure_ = why;
  for (const std::uint64_t id : ids()) {
    Call* call = find(id);
    if (!call || call->waiting || !call->refusal.method.empty()) continue;
    if (call->opening || (call->sent && call->traits.repeat == Repeat::never)) {
      fail_call(*call, ErrorKind::no_connection, why);
    } else {
      enqueue(*call);
    }
  }
}

void Caller::drain() {
  if (state_ != State::connected) return;
  state_ = State::draining;
  leave_when_drained();
}

void Caller::leave_when_drained() {
  if (state_ == State::draining && sent_calls_ == 0) link_.abandon("the gateway stops");
}

void Caller::end(ErrorKind kind, const std::string& details) {
  state_ = State::idle;
  for (const std::uint64_t id : ids()) {
    if (Call* call = find(id)) fail_call(*call, kind, details);
  }
}

void Caller::drop() {
  state_ = State::idle;
  queued_calls_ = queued_bytes_ = sent_calls_ = 0;
  // What the calls hold may come back here when it is destroyed.
  const std::map<std::uint64_t, Call> dropped = std::move(calls_);
  calls_.clear();
}

// --- waiting, sending ---------------------------------------------------------------------------

bool Caller::has_room(const Call& call) const {
  return queued_calls_ < limits_.queued_calls &&
         queued_bytes_ + call.params.size() <= limits_.queued_bytes;
}

void Caller::enqueue(Call& call) {
  if (call.sent) --sent_calls_;
  call.sent = false;
  call.waiting = true;
  ++queued_calls_;
  queued_bytes_ += call.params.size();
  set_alarm(call, Alarm::no_connection, call.deadline - Clock::now());
}

void Caller::dequeue(Call& call) {
  if (!call.waiting) return;
  call.waiting = false;
  --queued_calls_;
  queued_bytes_ -= call.params.size();
}

void Caller::transmit(Call& call) {
  dequeue(call);
  ++call.attempts;
  if (!call.sent) ++sent_calls_;
  call.sent = true;
  call.sent_at = Clock::now();
  link_.send(call.method, call.params, [this, id = call.id](const Answer& answer) {
    // No call: the answer came after its time was up. Lost: disconnected() takes it back.
    Call* waiting = find(id);
    if (waiting && answer.kind != Answer::Kind::lost) answered(*waiting, answer);
  });
  const Clock::duration left = call.deadline - call.sent_at;
  set_alarm(call, Alarm::unanswered, std::min<Clock::duration>(limits_.answer, left));
}

void Caller::transmit_again(Call& call) {
  if (call.traits.still_wanted && !call.traits.still_wanted()) return finish(call, "false");
  if (state_ == State::connected) return transmit(call);
  if (!call.waiting) enqueue(call);
  leave_when_drained();
}

// --- outcomes -----------------------------------------------------------------------------------

void Caller::answered(Call& call, const Answer& answer) {
  if (answer.kind == Answer::Kind::result) {
    finish(call, answer.text);
  } else {
    gateway_failed(call, error_in(call.method, answer.text));
  }
  leave_when_drained();
}

void Caller::gateway_failed(Call& call, CallError error) {
  const int doublings = std::min(call.attempts - 1, 10);
  const double share = std::uniform_real_distribution<double>(0.5, 1)(random_);
  const auto pause = std::chrono::duration_cast<Clock::duration>(
      std::min(kLongestRetry, kFirstRetry * (1 << doublings)) * share);
  const bool may_repeat = !call.opening && call.traits.repeat == Repeat::allowed;
  // Just before the deadline there is no time for an answer: this error says more than a timeout.
  const bool over = Clock::now() + pause + kFirstRetry >= call.deadline;
  if (!may_repeat || !is_passing(error.kind) || over) {
    return finish(call, std::unexpected(std::move(error)));
  }
  journal_.note(LogLevel::debug, "asking again soon: " + error.text());
  set_alarm(call, Alarm::repeat, pause);
}

void Caller::unanswered(Call& call) {
  const bool deaf = !link_.heard_since(call.sent_at);
  const bool over = Clock::now() + kFirstRetry >= call.deadline;
  if (over || call.opening || call.traits.repeat == Repeat::never) {
    const auto waited = std::chrono::round<Milliseconds>(Clock::now() - call.sent_at);
    fail_call(call, ErrorKind::timed_out, "no answer in " + std::to_string(waited.count()) + " ms");
  } else if (!deaf) {
    journal_.note(LogLevel::debug, call.method + ": no answer in time, asking again");
    transmit_again(call);
  }
  // Nothing at all came while a call waited its whole time: the peer is gone without a word.
  if (deaf) link_.abandon("no answer, and no sign of life");
  leave_when_drained();
}

void Caller::set_alarm(Call& call, Alarm alarm, Clock::duration wait) {
  call.timer.expires_after(std::max(wait, Clock::duration{}));
  call.timer.async_wait([this, owner = owner_, id = call.id, turn = ++call.timer_turn,
                         alarm](const boost::system::error_code& error) {
    const auto held = owner.lock();
    if (!held || error) return;
    Call* waiting = find(id);
    if (waiting && waiting->timer_turn == turn) ring(*waiting, alarm);
  });
}

void Caller::ring(Call& call, Alarm alarm) {
  switch (alarm) {
    case Alarm::refused:
      return finish(call, std::unexpected(call.refusal));
    case Alarm::no_connection:
      return fail_call(call, ErrorKind::no_connection,
                       "no connection within " + std::to_string(limits_.total.count()) + " ms" +
                           (last_failure_.empty() ? "" : "; the last failure: " + last_failure_));
    case Alarm::unanswered:
      return unanswered(call);
    case Alarm::repeat:
      return transmit_again(call);
  }
}

void Caller::fail_call(Call& call, ErrorKind kind, std::string details) {
  finish(call, std::unexpected(CallError{kind, 0, call.method, std::move(details)}));
}

void Caller::finish(Call& call, Outcome<std::string_view> outcome) {
  dequeue(call);
  if (call.sent) --sent_calls_;
  Finish done = std::move(call.finish);
  calls_.erase(call.id);
  done(std::move(outcome));
}

}  // namespace mpr::client
