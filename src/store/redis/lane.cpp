#include "store/redis/lane.hpp"

#include <algorithm>
#include <utility>

namespace mpr::redis {

namespace {

using std::chrono::milliseconds;

// While something is being connected, redirected or tried again.
constexpr milliseconds kBusyTick{10};
// While requests are under way: how late a deadline is noticed.
constexpr milliseconds kTick{50};
constexpr milliseconds kBackoffAtLeast{10};
constexpr milliseconds kBackoffAtMost{100};
// So often a request follows redirections at once; then it waits between them.
constexpr unsigned kQuickRedirects = 5;

}  // namespace

Lane::Lane(IoThread& thread, Shared& shared, Log log)
    : thread_(thread),
      shared_(shared),
      log_(log),
      alive_(std::make_shared<Lane*>(this)),
      timer_(thread, [this] { tick(); }) {
  owners_.resize(shared.is_cluster() ? kSlots : 1);
  under_way_.resize(kSlots);
  if (!shared.is_cluster()) owners_.front() = &node(shared.options.servers.front());
  thread.at_turn_end([alive = alive_] {
    if (*alive != nullptr) (*alive)->at_turn_end();
  });
}

Lane::~Lane() {
  *alive_ = nullptr;
  // Operations that nobody will answer any more.
  while (first_ != nullptr) delete std::exchange(first_, first_->following);
}

// --- the turn of the thread ------------------------------------------------------------------

void Lane::at_turn_end() {
  if (shared_.map_version() != map_version_) adopt_map();
  flush();
}

void Lane::flush() {
  flushing_ = true;
  for (std::size_t i = 0; i < dirty_.size(); ++i) dirty_[i]->flush();
  flushing_ = false;
  dirty_.clear();
}

void Lane::wake(Executor& executor, std::coroutine_handle<> handle) {
  if (&executor == &thread_) {
    ready_.push_back(handle);
  } else {
    others_.add(executor, handle);
    others_waiting_ = true;
  }
  if (!reading_) schedule_resumption();
}

void Lane::schedule_resumption() {
  if (std::exchange(resumption_scheduled_, true)) return;
  thread_.run([alive = alive_] {
    if (*alive == nullptr) return;
    (*alive)->resumption_scheduled_ = false;
    (*alive)->resume_ready();
  });
}

void Lane::end_reading() {
  reading_ = false;
  if (ready_.empty() && !others_waiting_) return;
  // Others have flushed for this turn already: what is resumed now would write too late.
  if (flushing_) return schedule_resumption();
  resume_ready();
}

// What is resumed may start requests and may end others at once; those come in a turn to come.
void Lane::resume_ready() {
  others_.flush();
  others_waiting_ = false;
  std::vector<std::coroutine_handle<>> ready = std::exchange(ready_, {});
  for (const std::coroutine_handle<> handle : ready) handle.resume();
  ready.clear();
  if (ready_.empty()) ready_ = std::move(ready);  // keeps the memory
}

void Lane::tick_soon() { timer_.at_latest(now() + kBusyTick); }

void Lane::tick() {
  begin_reading();
  if (shared_.map_version() != map_version_) adopt_map();
  bool busy = false;
  bool waiting = first_ != nullptr;  // or a ping
  // A node may add others to the map while it is being looked at.
  std::vector<Node*> nodes;
  for (const auto& [address, node] : nodes_) nodes.push_back(node.get());
  for (Node* node : nodes) {
    node->check_time(now());
    busy = busy || !(node->is_settled() || (node->is_closed() && node->is_idle()));
    waiting = waiting || !node->is_idle();
  }
  if (now() - deadlines_checked_ >= kTick) check_deadlines();
  std::vector<std::uint16_t> slots;
  for (const auto& [slot, gate] : gates_) slots.push_back(slot);
  for (const std::uint16_t slot : slots) open_gate(slot);
  busy = busy || !gates_.empty();
  forget_nodes();
  if (on_tick_) on_tick_();
  if (busy) {
    timer_.at_latest(now() + kBusyTick);
  } else if (waiting) {
    timer_.at_latest(now() + kTick);
  }
  end_reading();
}

void Lane::check_deadlines() {
  deadlines_checked_ = now();
  for (Operation* at = first_; at != nullptr;) {
    Operation* operation = at;
    at = at->following;
    if (operation->waiter == nullptr || !operation->deadline.passed(now())) continue;
    const bool sent = operation->written && operation->node->gone() > operation->begin;
    operation->touched = operation->touched || sent;
    std::string reason = reason_for(*operation);
    complete(*operation, std::unexpected(Failure{
                             {Errc::deadline_exceeded, "Redis did not answer in time" + reason},
                             operation->touched}));
  }
}

// Why an operation is not done, as far as it is known.
std::string Lane::reason_for(const Operation& operation) {
  const Node* node = operation.node;
  if (node == nullptr && operation.pinned == nullptr) node = owner_of(operation.slot);
  if (node == nullptr) return ": no node is known for its slot";
  return node->problem().empty() ? std::string() : ": " + node->problem();
}

// --- nodes and the map -----------------------------------------------------------------------

Node& Lane::node(const ServerAddress& address) {
  std::unique_ptr<Node>& node = nodes_[to_text(address)];
  if (!node) node = std::make_unique<Node>(*this, address);
  return *node;
}

Node* Lane::owner_of(std::uint16_t slot) {
  return owners_.size() == 1 ? owners_.front() : owners_[slot];
}

void Lane::adopt_map() {
  map_version_ = shared_.map_version();
  map_ = shared_.map();
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    const std::uint16_t index = map_->owner[slot];
    Node* owner = index == SlotMap::kNobody ? nullptr : &node(map_->primaries[index]);
    if (owners_[slot] == owner) continue;
    owners_[slot] = owner;
    // What is under way at the old owner comes before what will be started at the new one.
    if (under_way_[slot] > 0) gates_.try_emplace(static_cast<std::uint16_t>(slot));
  }
  std::vector<Node*> retired;
  for (const auto& [address, node] : nodes_) {
    if (!is_primary(*node)) retired.push_back(node.get());
  }
  for (Node* node : retired) node->retire();
}

bool Lane::is_primary(const Node& node) const {
  const auto& primaries = map_->primaries;
  return std::find(primaries.begin(), primaries.end(), node.address()) != primaries.end();
}

// Nodes that left the cluster.
void Lane::forget_nodes() {
  if (!map_ || !gates_.empty() || nodes_.size() <= map_->primaries.size()) return;
  std::erase_if(nodes_, [&](const auto& entry) {
    Node& node = *entry.second;
    if (!node.is_idle()) return false;
    if (is_primary(node)) return false;
    if (std::find(owners_.begin(), owners_.end(), &node) != owners_.end()) return false;
    if (std::find(dirty_.begin(), dirty_.end(), &node) != dirty_.end()) return false;
    node.close_link();
    return true;
  });
}

// --- operations ------------------------------------------------------------------------------

void Lane::start(Request request, Deadline deadline, Waiter& waiter, Target target) {
  auto* operation = new Operation(std::move(request));
  operation->deadline = deadline;
  operation->waiter = &waiter;
  operation->slot = slot_of(operation->request.routing_key());
  operation->fail_fast = target.fail_fast;
  operation->following = first_;
  if (first_ != nullptr) first_->previous = operation;
  first_ = operation;
  if (operation->request.commands().empty()) {
    complete(*operation, std::vector<Value>{});
    return drop(*operation);
  }
  timer_.at_latest(now() + kTick);
  if (target.node) {
    operation->pinned = &node(*target.node);
    return operation->pinned->submit(*operation);
  }
  if (!gates_.empty()) {
    if (const auto gate = gates_.find(operation->slot); gate != gates_.end()) {
      if (gated_bytes_ > shared_.options.most_waiting_bytes) {
        return give_up(*operation, Errc::unavailable, "too many requests wait for Redis");
      }
      gated_bytes_ += operation->request.bytes().size();
      gate->second.waiting.push_back(operation);
      return;
    }
  }
  dispatch(*operation);
}

// To the owner of its slot.
void Lane::dispatch(Operation& operation) {
  Node* owner = owner_of(operation.slot);
  if (owner == nullptr) return trouble(operation, true);
  if (owner->waiting_bytes() > shared_.options.most_waiting_bytes) {
    return give_up(operation, Errc::unavailable, "too many requests wait for Redis");
  }
  ++under_way_[operation.slot];
  owner->submit(operation);
}

void Lane::answered(Operation& operation, std::int64_t replicas) {
  operation.written = false;
  const Verdict verdict = operation.judge();
  if (operation.request.durability() == Durability::replicated && replicas < 1 &&
      operation.touched) {
    const bool counted = operation.pinned == nullptr;
    const std::uint16_t slot = operation.slot;
    give_up(operation, Errc::unavailable, "no replica of Redis has confirmed the write");
    if (counted) left(slot);
    return;
  }
  settle(operation, verdict);
}

void Lane::broken(Operation& operation, std::uint64_t gone) {
  operation.written = false;
  // Nobody waits for it; or it is replicated and answered, but the confirmation never came.
  if (operation.waiter == nullptr || (operation.is_answered() && !operation.troubled)) {
    operation.touched = true;
    Verdict verdict;
    verdict.next = Verdict::Next::give_up;
    return settle(operation, verdict);
  }
  settle(operation, operation.is_answered() ? operation.judge() : operation.judge_broken(gone));
}

void Lane::unsent(Operation& operation) {
  for (Operation::Todo& todo : operation.todo) todo.ask.reset();
  Verdict verdict;
  verdict.next = Verdict::Next::resend;
  verdict.wait = true;
  settle(operation, verdict);
}

// An attempt has ended.
void Lane::settle(Operation& operation, const Verdict& verdict) {
  const std::uint16_t slot = operation.slot;
  const bool pinned = operation.pinned != nullptr;
  if (!pinned) learn(operation, verdict);
  if (operation.waiter == nullptr) {
    drop(operation);
  } else if (verdict.moved && !shared_.is_cluster()) {
    give_up(operation, Errc::unavailable,
            "the server belongs to a Redis Cluster but is configured as a single server");
  } else if (verdict.next == Verdict::Next::complete) {
    complete(operation, std::move(operation.values));
    drop(operation);
  } else if (verdict.next == Verdict::Next::give_up || operation.fail_fast) {
    const std::string& problem = operation.node->problem();
    give_up(operation, Errc::unavailable,
            problem.empty() ? "the connection to Redis broke" : problem);
  } else if (pinned) {
    return operation.node->submit(operation);
  } else {
    trouble(operation, verdict.wait);
  }
  if (!pinned) left(slot);
}

// What the end of an attempt says about the servers.
void Lane::learn(Operation& operation, const Verdict& verdict) {
  if (verdict.moved) follow(*verdict.moved, operation);
  if (verdict.wait) shared_.want_refresh();
  if (verdict.read_only && !shared_.is_cluster()) operation.node->renew();
  for (Operation::Todo& todo : operation.todo) {
    if (todo.ask && todo.ask->host.empty()) todo.ask->host = operation.node->address().host;
  }
}

// The slot has one operation less under way: perhaps its gate can be opened.
void Lane::left(std::uint16_t slot) {
  --under_way_[slot];
  if (!gates_.empty() && under_way_[slot] == 0) open_gate(slot);
}

void Lane::trouble(Operation& operation, bool wait) {
  Gate& gate = gates_[operation.slot];
  if (++operation.redirects > kQuickRedirects) wait = true;
  if (wait) {
    operation.backoff = std::clamp(operation.backoff * 2, kBackoffAtLeast, kBackoffAtMost);
    gate.not_before = std::max(gate.not_before, now() + operation.backoff);
  }
  operation.node = nullptr;
  operation.written = false;
  gate.troubled.push_back(&operation);
  gated_bytes_ += operation.request.bytes().size();
  tick_soon();
}

void Lane::follow(const Redirect& moved, const Operation& operation) {
  if (!shared_.is_cluster()) return;
  ServerAddress address = moved.address;
  if (address.host.empty() && operation.node != nullptr)
    address.host = operation.node->address().host;
  owners_[moved.slot] = &node(reachable(address, shared_.options.nat_map));
  // What is under way at the old owner comes before what will be started at the new one.
  if (under_way_[moved.slot] > 0) gates_.try_emplace(moved.slot);
  shared_.want_refresh();
}

// True: all of them are on their way to the owner of the slot, so that later ones may follow.
bool Lane::release_troubled(std::uint16_t slot, Gate& gate) {
  std::optional<std::optional<ServerAddress>> route;
  while (!gate.troubled.empty()) {
    Operation& operation = *gate.troubled.front();
    std::optional<ServerAddress> next = operation.route();
    if (operation.waiter != nullptr) {
      // Another connection: not before the answers of this one.
      if (route && *route != next) return false;
      if (!next && owner_of(slot) == nullptr) {
        gate.not_before = now() + kBackoffAtMost;
        shared_.want_refresh();
        return false;
      }
    }
    gate.troubled.pop_front();
    gated_bytes_ -= operation.request.bytes().size();
    if (operation.waiter == nullptr) {
      drop(operation);
      continue;
    }
    const bool covers_all = operation.covers_all();
    if (next) {
      ++under_way_[slot];
      node(reachable(*next, shared_.options.nat_map)).submit(operation);
    } else {
      dispatch(operation);
    }
    if (!covers_all) return false;
    route = std::move(next);
  }
  return !route || !*route;
}

void Lane::open_gate(std::uint16_t slot) {
  const auto found = gates_.find(slot);
  if (found == gates_.end() || under_way_[slot] > 0 || now() < found->second.not_before) return;
  if (!release_troubled(slot, found->second)) return;
  // From here on the slot is as any other; what goes wrong now makes a new gate.
  const std::deque<Operation*> waiting = std::move(found->second.waiting);
  gates_.erase(found);
  for (Operation* operation : waiting) {
    gated_bytes_ -= operation->request.bytes().size();
    if (operation->waiter == nullptr) {
      drop(*operation);
    } else if (const auto gate = gates_.find(slot); gate != gates_.end()) {
      gated_bytes_ += operation->request.bytes().size();
      gate->second.waiting.push_back(operation);
    } else {
      dispatch(*operation);
    }
  }
}

// --- the end of an operation -----------------------------------------------------------------

void Lane::complete(Operation& operation, Outcome<std::vector<Value>> outcome) {
  std::exchange(operation.waiter, nullptr)->done(std::move(outcome));
}

void Lane::give_up(Operation& operation, Errc code, std::string context) {
  if (operation.waiter != nullptr) {  // else its deadline has passed, and it was told so
    complete(operation, std::unexpected(Failure{{code, std::move(context)}, operation.touched}));
  }
  drop(operation);
}

void Lane::drop(Operation& operation) {
  if (operation.previous != nullptr) operation.previous->following = operation.following;
  if (operation.following != nullptr) operation.following->previous = operation.previous;
  if (first_ == &operation) first_ = operation.following;
  delete &operation;
}

}  // namespace mpr::redis
