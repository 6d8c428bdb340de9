#include "store/redis/node.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "base/log.hpp"
#include "store/redis/lane.hpp"

namespace mpr::redis {

namespace {

using std::chrono::milliseconds;

// How long a flush waits for a replica after a wait in vain, until one answers again.
constexpr milliseconds kDoubtfulWait{20};

double jitter() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_real_distribution<double>(0.5, 1.0)(random);
}

}  // namespace

Node::Node(Lane& lane, ServerAddress address)
    : lane_(lane), address_(std::move(address)), link_(lane.thread(), lane.shared().links, *this) {}

void Node::submit(Operation& operation) {
  operation.node = this;
  operation.written = false;
  if (link_.is_open() && !renewing_) return write(operation);
  queue_.push_back(&operation);
  waiting_bytes_ += operation.request.bytes().size();
  if (link_.is_closed() && lane_.now() >= retry_at_) connect();
  lane_.tick_soon();
}

void Node::write(Operation& operation) {
  if (pipeline_.empty()) waiting_since_ = lane_.now();
  pipeline_.send(operation, link_.out(), link_.appended());
  if (!std::exchange(dirty_, true)) lane_.flush_later(*this);
}

void Node::flush() {
  dirty_ = false;
  if (!link_.is_open()) return;
  if (pipeline_.wants_wait()) {
    const ClientOptions& options = lane_.shared().options;
    const auto patience = pipeline_.replicas_in_doubt() ? kDoubtfulWait : options.replica_wait;
    const auto most = std::min(patience, options.silence_limit / 2);
    pipeline_.send_wait(link_.out(), std::max<std::int64_t>(most.count(), 1));
  }
  link_.flush();
}

void Node::ping() {
  if (!link_.is_open() || !pipeline_.empty()) return;
  waiting_since_ = lane_.now();
  pipeline_.send_ping(link_.out());
  if (!std::exchange(dirty_, true)) lane_.flush_later(*this);
  lane_.tick_soon();
}

void Node::keep_connected(bool keep) {
  keep_connected_ = keep;
  if (keep && link_.is_closed() && lane_.now() >= retry_at_) connect();
}

void Node::renew() {
  if (!link_.is_open()) return;
  renewing_ = true;
  lane_.tick_soon();
}

// --- the connection -----------------------------------------------------------------------------

void Node::connect() {
  link_.open(address_);
  lane_.tick_soon();
}

milliseconds Node::next_delay() {
  const ClientOptions& options = lane_.shared().options;
  milliseconds delay = options.reconnect_at_least;
  for (unsigned i = 0; i < failures_ && delay < options.reconnect_at_most; ++i) delay *= 2;
  ++failures_;
  delay = std::min(delay, options.reconnect_at_most);
  return std::chrono::duration_cast<milliseconds>(delay * jitter());
}

void Node::check_time(TimePoint now) {
  link_.check_time(now);
  if (link_.is_closed()) {
    if ((keep_connected_ || !queue_.empty()) && now >= retry_at_) connect();
    return;
  }
  if (!link_.is_open()) return;
  if (renewing_ && pipeline_.empty()) {
    link_.close();
    renewing_ = false;
    retry_at_ = now + next_delay();
    return;
  }
  const TimePoint since = std::max(link_.last_heard(), waiting_since_);
  if (!pipeline_.empty() && now - since >= lane_.shared().options.silence_limit &&
      !link_.has_input()) {
    link_.lose("no answer within " + std::to_string(lane_.shared().options.silence_limit.count()) +
               " ms");
  }
}

void Node::on_open() {
  if (lane_.speaks() && std::exchange(complained_, false)) {
    log::info("Redis is connected again", {{"server", to_text(address_)}});
  }
  problem_.clear();
  opened_ = true;
  std::deque<Operation*> queue = std::exchange(queue_, {});
  waiting_bytes_ = 0;
  for (Operation* operation : queue) {
    if (operation->waiter == nullptr) {
      lane_.unsent(*operation);  // nobody waits any more, but its slot counts it as under way
    } else {
      write(*operation);
    }
  }
}

void Node::on_value(Value value) {
  lane_.begin_reading();
  failures_ = 0;
  if (pipeline_.on_value(std::move(value), done_)) {
    // What came while enough questions were under way has its turn.
    if (pipeline_.wants_wait() && !std::exchange(dirty_, true)) lane_.flush_later(*this);
    return;
  }
  link_.lose("an answer came that nobody asked for");
}

void Node::on_read() {
  lane_.begin_reading();
  finish_done();
  lane_.end_reading();
}

void Node::finish_done() {
  std::vector<Pipeline::Done> done = std::exchange(done_, {});
  for (const Pipeline::Done& one : done) {
    lane_.answered(*one.operation, one.replicas);
  }
  done.clear();
  if (done_.empty()) done_ = std::move(done);  // keeps the memory
}

void Node::on_lost(std::string reason, std::uint64_t gone) {
  lane_.begin_reading();
  const bool opened = std::exchange(opened_, false);
  if (lane_.speaks() && !std::exchange(complained_, true)) {
    log::warn("Redis cannot be reached", {{"reason", reason}});
  }
  problem_ = std::move(reason);
  renewing_ = false;
  retry_at_ = lane_.now() + next_delay();
  lane_.shared().want_refresh();
  // What was answered comes first, then what was written, then what waits: the order of the start.
  finish_done();
  for (Operation* operation : pipeline_.take_all()) lane_.broken(*operation, gone);
  // A single server's requests wait for it; those of a cluster may find another node.
  if (opened || lane_.shared().is_cluster()) give_back_queue();
  lane_.tick_soon();
  lane_.end_reading();
}

void Node::retire() {
  if (!link_.is_open()) give_back_queue();
}

void Node::give_back_queue() {
  waiting_bytes_ = 0;
  for (Operation* operation : std::exchange(queue_, {})) lane_.unsent(*operation);
}

}  // namespace mpr::redis
