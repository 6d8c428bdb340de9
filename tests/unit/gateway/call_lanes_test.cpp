#include "gateway/call_lanes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace mpr {
namespace {

// Calls with one-letter names; remembers which were started, in order.
struct Lanes {
  struct Call : LaneCall {
    char name = '?';
  };

  // "a1" is an add of connection 1, "o1" any other call of it, "b" a barrier, "f" a free call.
  void arrive(char name, const std::string& kind) {
    Call& call = calls.emplace_back();
    call.name = name;
    call.rule = kind[0] == 'a'   ? LaneRule::add
                : kind[0] == 'o' ? LaneRule::alone
                : kind[0] == 'b' ? LaneRule::barrier
                                 : LaneRule::free;
    call.connection = kind.size() > 1 ? static_cast<std::uint64_t>(kind[1]) : 0;
    if (lanes.admit(call)) started += name;
  }
  void end(char name) {
    const auto call =
        std::find_if(calls.begin(), calls.end(), [name](const Call& c) { return c.name == name; });
    std::vector<LaneCall*> ready;
    lanes.finished(*call, ready);
    for (LaneCall* next : ready) started += static_cast<Call*>(next)->name;
  }

  CallLanes lanes;
  std::deque<Call> calls;
  std::string started;
};

TEST(CallLanes, StartAddsOfOneConnectionTogether) {
  Lanes lanes;
  lanes.arrive('A', "a1");
  lanes.arrive('B', "a1");
  lanes.arrive('C', "a1");
  EXPECT_EQ(lanes.started, "ABC");
}

TEST(CallLanes, LetOtherCallsWaitForTheAddsBeforeThem) {
  Lanes lanes;
  lanes.arrive('A', "a1");
  lanes.arrive('B', "a1");
  lanes.arrive('T', "o1");
  EXPECT_EQ(lanes.started, "AB");
  lanes.end('B');
  EXPECT_EQ(lanes.started, "AB");
  lanes.end('A');
  EXPECT_EQ(lanes.started, "ABT");
}

TEST(CallLanes, LetAddsWaitForOtherCallsBeforeThem) {
  Lanes lanes;
  lanes.arrive('T', "o1");
  lanes.arrive('A', "a1");
  lanes.arrive('B', "a1");
  lanes.arrive('U', "o1");
  lanes.arrive('C', "a1");
  EXPECT_EQ(lanes.started, "T");
  lanes.end('T');
  EXPECT_EQ(lanes.started, "TAB");
  lanes.end('A');
  lanes.end('B');
  EXPECT_EQ(lanes.started, "TABU");
  lanes.end('U');
  EXPECT_EQ(lanes.started, "TABUC");
}

TEST(CallLanes, DoNotLetAnAddOvertakeAWaitingCall) {
  Lanes lanes;
  lanes.arrive('A', "a1");
  lanes.arrive('T', "o1");
  lanes.arrive('B', "a1");
  EXPECT_EQ(lanes.started, "A");
  lanes.end('A');
  lanes.end('T');
  EXPECT_EQ(lanes.started, "ATB");
}

TEST(CallLanes, KeepConnectionsApart) {
  Lanes lanes;
  lanes.arrive('T', "o1");
  lanes.arrive('U', "o2");
  lanes.arrive('A', "a3");
  lanes.arrive('F', "f");
  EXPECT_EQ(lanes.started, "TUAF");
}

TEST(CallLanes, LetABarrierWaitForAllAndAllWaitForIt) {
  Lanes lanes;
  lanes.arrive('A', "a1");
  lanes.arrive('T', "o2");
  lanes.arrive('X', "b");
  lanes.arrive('B', "a1");
  lanes.arrive('U', "o3");
  lanes.arrive('F', "f");
  EXPECT_EQ(lanes.started, "ATF");
  lanes.end('A');
  EXPECT_EQ(lanes.started, "ATF");
  lanes.end('T');
  EXPECT_EQ(lanes.started, "ATFX");
  lanes.end('X');
  EXPECT_EQ(lanes.started, "ATFXBU");
}

TEST(CallLanes, RunBarriersOneAfterTheOther) {
  Lanes lanes;
  lanes.arrive('X', "b");
  lanes.arrive('Y', "b");
  lanes.arrive('A', "a1");
  lanes.arrive('Z', "b");
  lanes.arrive('B', "a1");
  EXPECT_EQ(lanes.started, "X");
  lanes.end('X');
  EXPECT_EQ(lanes.started, "XY");
  lanes.end('Y');
  EXPECT_EQ(lanes.started, "XYA");
  lanes.end('A');
  EXPECT_EQ(lanes.started, "XYAZ");
  lanes.end('Z');
  EXPECT_EQ(lanes.started, "XYAZB");
}

TEST(CallLanes, KeepNothingOfWhatHasEnded) {
  Lanes lanes;
  for (char name = 'A'; name <= 'Z'; ++name) {
    lanes.arrive(name, std::string("o") + name);
    lanes.end(name);
    lanes.lanes.trim();
  }
  lanes.arrive('a', "oA");
  EXPECT_EQ(lanes.started, "ABCDEFGHIJKLMNOPQRSTUVWXYZa");
}

// Whatever comes and ends in whatever order: every call is started once, and calls of a connection
// never overlap against the rules.
TEST(CallLanes, KeepTheRulesWhateverHappens) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  struct Call : LaneCall {
    std::size_t arrived = 0;
  };
  CallLanes lanes;
  std::deque<Call> calls;
  std::vector<Call*> running;
  std::size_t started = 0;
  const auto start = [&](Call& call) {
    for (const Call* other : running) {
      const bool related = call.rule == LaneRule::barrier || other->rule == LaneRule::barrier ||
                           call.connection == other->connection;
      const bool both_add = call.rule == LaneRule::add && other->rule == LaneRule::add;
      EXPECT_TRUE(!related || both_add) << "calls " << other->arrived << " and " << call.arrived;
      if (related) EXPECT_LT(other->arrived, call.arrived);
    }
    running.push_back(&call);
    ++started;
  };
  for (std::size_t i = 0; i < 20'000 || !running.empty(); ++i) {
    if (i < 20'000 && random() % 2 == 0) {
      Call& call = calls.emplace_back();
      call.arrived = calls.size();
      const auto dice = random() % 20;
      call.rule = dice == 0 ? LaneRule::barrier : dice < 12 ? LaneRule::add : LaneRule::alone;
      call.connection = random() % 5;
      if (lanes.admit(call)) start(call);
    } else if (!running.empty()) {
      const auto which = running.begin() + static_cast<std::ptrdiff_t>(random() % running.size());
      Call& call = **which;
      running.erase(which);
      std::vector<LaneCall*> ready;
      lanes.finished(call, ready);
      for (LaneCall* next : ready) start(static_cast<Call&>(*next));
    }
  }
  EXPECT_EQ(started, calls.size());
}

}  // namespace
}  // namespace mpr
