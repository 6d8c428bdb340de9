#include "gateway/call_lanes.hpp"

#include <boost/unordered/unordered_flat_map.hpp>
#include <utility>

namespace mpr {

namespace {

struct AlreadyHashed {
  using is_avalanching = void;
  std::size_t operator()(std::uint64_t hash) const noexcept { return hash; }
};

// A table of at most so many buckets is kept over idle times.
constexpr std::size_t kKeptBuckets = 32;

}  // namespace

class CallLanes::Table {
 public:
  boost::unordered_flat_map<std::uint64_t, Lane, AlreadyHashed> lanes;
};

CallLanes::CallLanes() = default;
CallLanes::~CallLanes() = default;

void CallLanes::Queue::push(LaneCall& call) {
  call.behind = nullptr;
  if (last == nullptr) {
    first = &call;
  } else {
    last->behind = &call;
  }
  last = &call;
}

LaneCall& CallLanes::Queue::pop() {
  LaneCall& call = *first;
  first = std::exchange(call.behind, nullptr);
  if (first == nullptr) last = nullptr;
  return call;
}

bool CallLanes::Lane::admits(LaneRule rule) const noexcept {
  return !alone_running && (rule == LaneRule::add || adds_running == 0);
}

void CallLanes::Lane::start(LaneRule rule) noexcept {
  if (rule == LaneRule::add) {
    ++adds_running;
  } else {
    alone_running = true;
  }
}

bool CallLanes::admit(LaneCall& call) {
  if (call.rule == LaneRule::free) return true;
  if (barrier_ != nullptr) {
    held_.push(call);
    return false;
  }
  if (call.rule == LaneRule::barrier) {
    barrier_ = &call;
    barrier_running_ = in_lanes_ == 0;
    return barrier_running_;
  }
  return admit_to_lane(call);
}

bool CallLanes::admit_to_lane(LaneCall& call) {
  if (table_ == nullptr) table_ = std::make_unique<Table>();
  ++in_lanes_;
  Lane& lane = table_->lanes[call.connection];
  if (!lane.waiting.empty() || !lane.admits(call.rule)) {
    lane.waiting.push(call);
    return false;
  }
  lane.start(call.rule);
  return true;
}

void CallLanes::finished(LaneCall& call, std::vector<LaneCall*>& ready) {
  if (call.rule == LaneRule::free) return;
  if (call.rule == LaneRule::barrier) {
    barrier_ = nullptr;
    barrier_running_ = false;
    release_held(ready);
    return;
  }
  const auto found = table_->lanes.find(call.connection);
  Lane& lane = found->second;
  if (call.rule == LaneRule::add) {
    --lane.adds_running;
  } else {
    lane.alone_running = false;
  }
  --in_lanes_;
  release_lane(lane, ready);
  if (lane.adds_running == 0 && !lane.alone_running) table_->lanes.erase(found);
  if (in_lanes_ == 0 && barrier_ != nullptr) {
    barrier_running_ = true;
    ready.push_back(barrier_);
  }
}

void CallLanes::release_lane(Lane& lane, std::vector<LaneCall*>& ready) {
  while (!lane.waiting.empty() && lane.admits(lane.waiting.first->rule)) {
    LaneCall& next = lane.waiting.pop();
    lane.start(next.rule);
    ready.push_back(&next);
  }
}

// Up to and including the next barrier, which may have to wait for what went before it.
void CallLanes::release_held(std::vector<LaneCall*>& ready) {
  while (!held_.empty() && barrier_ == nullptr) {
    LaneCall& next = held_.pop();
    if (admit(next)) ready.push_back(&next);
  }
}

void CallLanes::trim() {
  if (table_ != nullptr && in_lanes_ == 0 && table_->lanes.bucket_count() > kKeptBuckets) {
    table_.reset();
  }
}

}  // namespace mpr
