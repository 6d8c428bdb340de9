#include "push/push_dispatcher.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "push/digest.hpp"

namespace mpr {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kAdmittedPerTurn = 512;
constexpr std::size_t kConnectionsAsked = 16;  // of one token, at a window's end
constexpr std::chrono::seconds kQuestionDeadline{2};
constexpr std::chrono::seconds kBetweenComplaints{10};
constexpr std::chrono::seconds kLastMoment{1};  // for what stops when senders stop

constexpr std::array<PushResult, 5> kResultOf = {PushResult::accepted, PushResult::token_dead,
                                                 PushResult::rejected, PushResult::misconfigured,
                                                 PushResult::given_up};

void report_bug(std::exception_ptr exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& e) {
    log::error("a push ended with an exception", {{"what", e.what()}});
  } catch (...) {
    log::error("a push ended with an unknown exception");
  }
}

}  // namespace

PushDispatcher::PushDispatcher(IoThread& thread, Ports ports, Options options)
    : thread_(thread),
      ports_(ports),
      options_(options),
      own_windows_(options.policy, ports.clock),
      sleepers_(thread),
      dead_(options.dead_tokens, options.dead_remembered),
      random_(std::random_device()()),
      tasks_(report_bug) {}

PushDispatcher::~PushDispatcher() { drain(); }

void PushDispatcher::add_sender(PushProvider provider, NotificationSender& sender) {
  senders_[static_cast<std::size_t>(provider)] = &sender;
  if (std::ranges::find(all_senders_, &sender) == all_senders_.end()) {
    all_senders_.push_back(&sender);
  }
}

NotificationSender* PushDispatcher::sender_of(const PushToken& token) const {
  return senders_[static_cast<std::size_t>(token.provider)];
}

void PushDispatcher::start() {
  running_ = true;
  thread_.start();
}

// --- taking requests in -------------------------------------------------------------------------

void PushDispatcher::enqueue(PushRequest request) {
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    if (closed_ || inbox_.size() >= options_.queue) {
      count(request.token.provider, PushResult::dropped);
      return;
    }
    first = inbox_.empty();
    inbox_.push_back(std::move(request));
  }
  if (first) thread_.run([this] { take_inbox(); });
}

void PushDispatcher::take_inbox() {
  std::vector<PushRequest> taken;
  bool more = false;
  {
    std::lock_guard lock(mutex_);
    const auto size = std::min(inbox_.size(), kAdmittedPerTurn);
    const auto end = inbox_.begin() + static_cast<std::ptrdiff_t>(size);
    taken.assign(std::make_move_iterator(inbox_.begin()), std::make_move_iterator(end));
    inbox_.erase(inbox_.begin(), end);
    more = !inbox_.empty();
  }
  for (PushRequest& request : taken) admit(std::move(request));
  ports_.metrics.pushes_waiting.set(static_cast<std::int64_t>(tracks_.size()));
  if (more) thread_.run([this] { take_inbox(); });
}

void PushDispatcher::admit(PushRequest request) {
  const PushProvider provider = request.token.provider;
  if (sender_of(request.token) == nullptr) return count(provider, PushResult::no_sender);
  std::string key = token_key_of(request.token);
  const auto found = tracks_.find(key);
  if (found != tracks_.end()) {
    ports_.metrics.pushes_collapsed.add();
    return note(found->second, std::move(request));
  }
  if (dead_.contains(key, steady_clock::now())) return count(provider, PushResult::known_dead);
  if (tracks_.size() >= options_.queue) return count(provider, PushResult::dropped);
  Track& track = tracks_.try_emplace(key).first->second;
  track.key = std::move(key);
  note(track, std::move(request));
  tasks_.spawn(look_after(&track));
}

void PushDispatcher::note(Track& track, PushRequest request) {
  track.uncovered = true;
  if (request.reason == PushReason::acknowledgement_overdue) {
    track.unless = PushUnless::nothing_visible;
  } else if (request.reason == PushReason::message_added) {
    track.token_given = ports_.clock.now();
  }
  if (std::ranges::find(track.connections, request.connection) == track.connections.end()) {
    track.too_many |= track.connections.size() >= kConnectionsAsked;
    if (!track.too_many) track.connections.push_back(request.connection);
  }
  // The end of a session names no message.
  if (request.message_id.empty()) request.message_id = std::move(track.latest.message_id);
  track.latest = {std::move(request.connection), std::move(request.message_id),
                  std::move(request.token)};
}

// --- one token ----------------------------------------------------------------------------------

Task<void> PushDispatcher::look_after(Track* track) {
  while (track->uncovered && !dead_.contains(track->key, steady_clock::now())) {
    co_await settle(track);
  }
  const std::string key = std::move(track->key);
  tracks_.erase(key);
  ports_.metrics.pushes_waiting.set(static_cast<std::int64_t>(tracks_.size()));
  if (draining_ && tracks_.empty()) {
    std::lock_guard lock(mutex_);
    idle_ = true;
    became_idle_.notify_all();
  }
}

// Finds out when the push is due, waits for that, and sends it if it still is.
Task<void> PushDispatcher::settle(Track* track) {
  WindowAnswer window = co_await ask_windows(track->key, Moment::message);
  if (window.decision == PushDecision::at_window_end) {
    co_await sleepers_.until(steady_clock::now() + window.remaining);
    track->uncovered = false;
    if (!co_await still_waiting(track)) {
      co_return count(track->latest.token.provider, PushResult::unneeded);
    }
    window = co_await ask_windows(track->key, Moment::window_end);
  }
  if (window.decision == PushDecision::now) {
    co_await deliver(track);
  } else {
    track->uncovered = false;  // another gateway has sent one since, or will at the window's end
    ports_.metrics.pushes_collapsed.add();
  }
}

// If the windows of all gateways cannot be asked, this gateway's own bound the pushes.
Task<WindowAnswer> PushDispatcher::ask_windows(std::string key, Moment moment) {
  const Deadline deadline = Deadline::after(kQuestionDeadline);
  Result<WindowAnswer> shared = moment == Moment::message
                                    ? co_await ports_.windows.on_message(key, deadline)
                                    : co_await ports_.windows.on_window_end(key, deadline);
  if (shared) co_return *shared;
  const SteadyPoint now = steady_clock::now();
  if (now - complained_of_windows_ >= kBetweenComplaints) {
    complained_of_windows_ = now;
    log::warn("could not ask for push windows; this gateway's own count until then",
              {{"reason", shared.error().context}});
  }
  Result<WindowAnswer> own = moment == Moment::message
                                 ? co_await own_windows_.on_message(key, deadline)
                                 : co_await own_windows_.on_window_end(key, deadline);
  co_return *own;
}

// In doubt the answer is yes: a push too many does no harm.
Task<bool> PushDispatcher::still_waiting(Track* track) {
  if (track->too_many) co_return true;
  const Deadline deadline = Deadline::after(kQuestionDeadline);
  for (const Connection& connection : std::vector(track->connections)) {
    const auto waiting = co_await ports_.need.is_waiting(connection, track->unless, deadline);
    if (!waiting || *waiting) co_return true;
  }
  co_return false;
}

Task<void> PushDispatcher::deliver(Track* track) {
  const SteadyPoint due = steady_clock::now();
  for (int attempt = 1;; ++attempt) {
    track->uncovered = false;
    const PushToken token = track->latest.token;
    Notification notification = track->latest;
    const PushVerdict verdict = co_await sender_of(token)->send(std::move(notification));
    if (verdict.outcome != PushOutcome::retry) co_return conclude(*track, verdict, due);

    complain(*track, verdict);
    const SteadyPoint next = steady_clock::now() + pause_before(attempt, verdict);
    if (draining_ || next - due > options_.max_age ||
        co_await sleepers_.until(next) == Wake::early) {
      co_return count(token.provider, PushResult::given_up);
    }
    track->uncovered = false;
    if (!co_await still_waiting(track)) {
      co_return count(token.provider, PushResult::unneeded);
    }
    ports_.metrics.push_retries.add();
  }
}

milliseconds PushDispatcher::pause_before(int attempt, const PushVerdict& verdict) {
  const int doublings = std::min(attempt - 1, 16);
  const milliseconds backoff =
      std::min(options_.first_backoff * (1 << doublings), options_.longest_backoff);
  const milliseconds least = std::max(verdict.wait, backoff);
  // Those who failed together do not come back together.
  std::uniform_int_distribution<std::int64_t> spread(0, least.count() / 4);
  return least + milliseconds(spread(random_));
}

void PushDispatcher::conclude(Track& track, const PushVerdict& verdict, SteadyPoint due) {
  if (verdict.outcome == PushOutcome::token_dead) return bury(track, verdict);
  count(track.latest.token.provider, kResultOf[static_cast<std::size_t>(verdict.outcome)]);
  if (verdict.outcome == PushOutcome::accepted) {
    ports_.metrics.push_seconds.observe(steady_clock::now() - due);
  } else {
    complain(track, verdict);
  }
}

void PushDispatcher::bury(Track& track, const PushVerdict& verdict) {
  const PushToken& token = track.latest.token;
  const SteadyPoint now = steady_clock::now();
  const bool given_later =
      verdict.dead_since && track.token_given && *track.token_given > *verdict.dead_since;
  if (given_later && !dead_.doubt(track.key, *verdict.dead_since, now)) {
    return count(token.provider, PushResult::doubted);
  }
  dead_.add(track.key, now);
  count(token.provider, PushResult::token_dead);
  ports_.feedback.push_token_invalid(
      {track.latest.connection, token.provider, sha256_hex(token.token), verdict.reason});
}

void PushDispatcher::count(PushProvider provider, PushResult result) {
  ports_.metrics.pushes[static_cast<std::size_t>(provider)][static_cast<std::size_t>(result)].add();
}

// One line for each outage and a while, not for each push.
void PushDispatcher::complain(const Track& track, const PushVerdict& verdict) {
  const PushProvider provider = track.latest.token.provider;
  SteadyPoint& last = complained_[static_cast<std::size_t>(provider)];
  const SteadyPoint now = steady_clock::now();
  if (now - last < kBetweenComplaints) return;
  last = now;
  if (verdict.outcome == PushOutcome::misconfigured) {
    log::error("a push provider refuses all notifications: check its configuration",
               {{"provider", to_string(provider)}, {"reason", verdict.reason}});
  } else {
    log::warn("could not send a push notification", {{"provider", to_string(provider)},
                                                     {"outcome", to_string(verdict.outcome)},
                                                     {"reason", verdict.reason}});
  }
}

// --- ending -------------------------------------------------------------------------------------

void PushDispatcher::drain() {
  if (!std::exchange(running_, false)) return;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  thread_.run([this] {
    draining_ = true;
    sleepers_.wake_all();
    while (!inbox_.empty()) take_inbox();  // closed: nobody else touches it
    std::lock_guard lock(mutex_);
    idle_ = tracks_.empty();
    became_idle_.notify_all();
  });
  if (!idle_within(options_.drain)) {
    thread_.run([this] {
      for (NotificationSender* sender : all_senders_) sender->stop();
    });
    idle_within(kLastMoment);
  }
  thread_.stop();
  thread_.join();
}

bool PushDispatcher::idle_within(milliseconds time) {
  std::unique_lock lock(mutex_);
  return became_idle_.wait_for(lock, time, [this] { return idle_; });
}

}  // namespace mpr
