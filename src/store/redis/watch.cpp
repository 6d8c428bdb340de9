#include "store/redis/watch.hpp"

#include <algorithm>
#include <utility>

namespace mpr::redis {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLook{100};
constexpr milliseconds kAskEvery{15'000};
// Questions that are asked because something went wrong keep this distance.
constexpr milliseconds kAskAtMostEvery{100};
constexpr milliseconds kAskTimeout{1000};
constexpr milliseconds kPingEvery{1000};

}  // namespace

Watch::Watch(Lane& lane, Shared& shared) : lane_(lane), shared_(shared) {}

void Watch::look() {
  const TimePoint now = lane_.now();
  if (shared_.is_cluster() && !asking_) {
    const bool may = now - last_ask_ >= kAskAtMostEvery;
    if (may && (now >= next_ask_ || shared_.take_refresh_wish())) ask();
  } else if (!shared_.is_cluster()) {
    shared_.take_refresh_wish();
  }
  watch_primaries(now);
  shared_.set_ready(state());
  tell_waiters(now);
  lane_.tick_at(now + (waiting_.empty() ? kLook : milliseconds(10)));
}

void Watch::watch_primaries(TimePoint now) {
  const bool ping = now >= next_ping_;
  if (ping) next_ping_ = now + kPingEvery;
  const auto look_after = [&](const ServerAddress& address) {
    Node& node = lane_.node(address);
    node.keep_connected(true);
    if (ping) node.ping();
  };
  if (!shared_.is_cluster()) return look_after(shared_.options.servers.front());
  if (lane_.map() == nullptr) return;
  for (const ServerAddress& address : lane_.map()->primaries) look_after(address);
}

// --- the slot map ----------------------------------------------------------------------------

// Whoever may know. While all is well the primaries are asked in turn; after a failure also those
// that were configured, and the replicas.
std::vector<ServerAddress> Watch::candidates() const {
  std::vector<ServerAddress> all;
  const auto add = [&](const std::vector<ServerAddress>& addresses) {
    for (const ServerAddress& address : addresses) {
      if (std::find(all.begin(), all.end(), address) == all.end()) all.push_back(address);
    }
  };
  if (lane_.map() != nullptr) {
    for (const ServerAddress& address : lane_.map()->primaries) {
      if (lane_.node(address).is_open()) all.push_back(address);
    }
  }
  if (!all.empty() && problem_.empty()) return all;
  add(shared_.options.servers);
  if (lane_.map() != nullptr) {
    add(lane_.map()->replicas);
    add(lane_.map()->primaries);
  }
  return all;
}

void Watch::ask() {
  const std::vector<ServerAddress> all = candidates();
  asked_ = all[turn_++ % all.size()];
  asking_ = true;
  last_ask_ = lane_.now();
  Request request("");
  request.add({"CLUSTER", "SLOTS"}, Repeat::safe);
  lane_.start(std::move(request), Deadline{lane_.now() + kAskTimeout}, *this,
              {.node = asked_, .fail_fast = true});
}

void Watch::done(Outcome<std::vector<Value>> outcome) {
  asking_ = false;
  next_ask_ = lane_.now();  // another node, soon
  if (!outcome) {
    problem_ = outcome.error().error.context;
    return;
  }
  const Value& answer = outcome->front();
  if (answer.is_error()) {
    problem_ = "Redis at " + to_text(asked_) + ": " + answer.text.substr(0, 200);
    return;
  }
  auto map = parse_slot_map(answer, asked_, shared_.options.nat_map);
  if (!map) {
    problem_ = map.error().context;
    return;
  }
  if (map->primaries.empty()) {
    problem_ = "Redis at " + to_text(asked_) + ": no slots are assigned";
    return;
  }
  problem_.clear();
  next_ask_ = lane_.now() + kAskEvery;
  if (lane_.map() == nullptr || !(*lane_.map() == *map)) {
    shared_.publish(std::make_shared<const SlotMap>(std::move(*map)));
  }
}

// --- readiness -------------------------------------------------------------------------------

Result<void> Watch::state() {
  const auto check = [&](const ServerAddress& address) -> Result<void> {
    const Node& node = lane_.node(address);
    if (node.is_open()) return {};
    return fail(Errc::unavailable, node.problem().empty()
                                       ? "connecting to Redis at " + to_text(address)
                                       : node.problem());
  };
  if (!shared_.is_cluster()) return check(shared_.options.servers.front());
  if (lane_.map() == nullptr) {
    return fail(Errc::unavailable,
                problem_.empty() ? "the slots of the Redis Cluster are not known yet" : problem_);
  }
  for (const ServerAddress& address : lane_.map()->primaries) {
    if (const auto checked = check(address); !checked) return checked;
  }
  if (const std::size_t slot = lane_.map()->first_unserved(); slot < kSlots) {
    return fail(Errc::unavailable,
                "slot " + std::to_string(slot) + " of the Redis Cluster is served by nobody");
  }
  return {};
}

void Watch::wait_ready(ReadyWaiter& waiter, Deadline deadline) {
  waiting_.push_back({&waiter, deadline});
  lane_.tick_at(lane_.now());
}

void Watch::tell_waiters(TimePoint now) {
  const Result<void> ready = shared_.ready();
  std::erase_if(waiting_, [&](const Waiting& one) {
    if (!ready && !one.deadline.passed(now)) return false;
    one.waiter->done(ready);
    return true;
  });
}

}  // namespace mpr::redis
