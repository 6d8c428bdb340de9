// Who is alive, played with a server and gateways that exist only here.
#include "store/redis/membership.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace mpr::redis {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const GatewayId kSelf("self");
const GatewayId kPeer("peer");
const SteadyPoint kStart{std::chrono::hours(1)};

// What Redis stores, and its clock. Time passes when a test says so.
struct FakeServer {
  milliseconds now{1'760'000'000'000};
  std::map<GatewayId, milliseconds> present;
  std::map<GatewayId, milliseconds> departed;

  Attendance beat(const GatewayId& self, const Membership* membership = nullptr) {
    Attendance answer;
    answer.self_was_present = present.contains(self);
    present[self] = now;
    departed.erase(self);
    if (membership) {
      for (const auto& [gateway, beat] : membership->to_prune()) {
        const auto found = present.find(gateway);
        if (found == present.end() || found->second.count() != static_cast<long>(beat)) continue;
        present.erase(found);
        departed[gateway] = now;
      }
    }
    answer.server_microseconds = static_cast<std::uint64_t>(now.count()) * 1000;
    for (const auto& [gateway, at] : present) {
      answer.present.push_back({gateway, static_cast<std::uint64_t>(at.count()), now - at});
    }
    for (const auto& [gateway, at] : departed) answer.departed.push_back({gateway, now - at});
    return answer;
  }
  void leave(const GatewayId& gateway) {
    present.erase(gateway);
    departed[gateway] = now;
  }
  Epoch epoch() const { return Epoch{static_cast<std::uint64_t>(now.count()) * 1000}; }
};

class MembershipTest : public testing::Test {
 protected:
  void pass(milliseconds time) {
    now_ += time;
    server_.now += time;
  }
  // Three seconds, at the end of which those who live beat, and then this gateway.
  void turn(std::set<GatewayId> others) {
    pass(seconds(3));
    for (const GatewayId& gateway : others) server_.beat(gateway);
    beat();
  }
  void turns(int count, const std::set<GatewayId>& others) {
    for (int i = 0; i < count; ++i) turn(others);
  }
  Membership::Changes beat() {
    const auto changes = membership_.on_beat(server_.beat(kSelf, &membership_), now_, now_);
    died_.insert(died_.end(), changes.died.begin(), changes.died.end());
    appeared_.insert(appeared_.end(), changes.appeared.begin(), changes.appeared.end());
    away_ += changes.was_away ? 1 : 0;
    return changes;
  }
  Presence presence(Epoch epoch = {}) const { return membership_.presence({kPeer, epoch}, now_); }

  SteadyPoint now_ = kStart;
  FakeServer server_;
  Membership membership_{kSelf, {seconds(12), seconds(10)}};
  std::vector<GatewayId> died_;
  std::vector<GatewayId> appeared_;
  int away_ = 0;
};

}  // namespace

TEST_F(MembershipTest, AGatewayThatBeatsIsAlive) {
  turns(20, {kPeer});
  EXPECT_EQ(presence(), Presence::live);
  EXPECT_EQ(membership_.alive(), 2U);
  EXPECT_TRUE(died_.empty());
  EXPECT_EQ(away_, 0);
}

TEST_F(MembershipTest, ThisGatewayIsAlwaysAliveForItself) {
  EXPECT_EQ(membership_.presence({kSelf, Epoch{1}}, now_), Presence::live);
  turns(2, {});
  pass(std::chrono::hours(1));
  EXPECT_EQ(membership_.presence({kSelf, Epoch{1}}, now_), Presence::live);
}

TEST_F(MembershipTest, AGatewayThatStopsIsDeadAfterTheTtlAndNotBefore) {
  turns(10, {kPeer});
  const SteadyPoint last = now_;
  while (presence() == Presence::live) {
    ASSERT_LT(now_ - last, seconds(16));
    turn({});
  }
  EXPECT_GE(now_ - last, seconds(12));
  EXPECT_EQ(died_, std::vector<GatewayId>{kPeer});
  EXPECT_EQ(membership_.alive(), 1U);
}

TEST_F(MembershipTest, ADeadGatewayIsLostForTheGraceAndThenGone) {
  turns(10, {kPeer});
  while (presence() == Presence::live) turn({});
  const SteadyPoint death = now_;
  while (now_ - death < seconds(10)) {
    EXPECT_EQ(presence(), Presence::lost);
    pass(seconds(1));
  }
  EXPECT_EQ(presence(), Presence::gone);
  turns(5, {});
  EXPECT_EQ(presence(), Presence::gone);
  EXPECT_FALSE(server_.present.contains(kPeer)) << "its entry was pruned";
  EXPECT_EQ(died_.size(), 1U);
}

TEST_F(MembershipTest, AGatewayThatSaidGoodbyeIsLostAtOnce) {
  turns(2, {kPeer});
  server_.leave(kPeer);
  EXPECT_TRUE(membership_.on_left(kPeer, now_));
  EXPECT_EQ(presence(), Presence::lost);
  EXPECT_FALSE(membership_.on_left(kPeer, now_)) << "only once";
  turn({});
  EXPECT_EQ(presence(), Presence::lost);
  EXPECT_TRUE(died_.empty()) << "known already";
  turns(3, {});
  EXPECT_EQ(presence(), Presence::gone);
}

TEST_F(MembershipTest, AGoodbyeThatWasNotHeardIsFoundWithTheNextHeartbeat) {
  turns(2, {kPeer});
  server_.leave(kPeer);
  turn({});
  EXPECT_EQ(presence(), Presence::lost);
  EXPECT_EQ(died_, std::vector<GatewayId>{kPeer});
}

TEST_F(MembershipTest, AnAnswerFromBeforeAGoodbyeRevivesNobody) {
  turns(2, {kPeer});
  pass(seconds(1));
  server_.beat(kPeer);
  const SteadyPoint sent = now_;
  const Attendance old = server_.beat(kSelf);
  pass(milliseconds(5));
  server_.leave(kPeer);
  membership_.on_left(kPeer, now_);
  membership_.on_beat(old, sent, now_);
  EXPECT_EQ(presence(), Presence::lost);
  turn({});
  EXPECT_EQ(presence(), Presence::lost);
}

TEST_F(MembershipTest, AGatewayThatReturnsIsAlive) {
  turns(10, {kPeer});
  turns(6, {});
  EXPECT_NE(presence(), Presence::live);
  appeared_.clear();
  turn({kPeer});
  EXPECT_EQ(presence(), Presence::live);
  turns(10, {kPeer});
  EXPECT_EQ(presence(), Presence::live);
  EXPECT_EQ(died_.size(), 1U);
  EXPECT_EQ(appeared_, std::vector<GatewayId>{kPeer});
}

TEST_F(MembershipTest, AGatewayThatReturnsWhenItWasForgottenAppears) {
  turns(10, {kPeer});
  turns(20, {});
  EXPECT_EQ(presence(), Presence::gone);
  appeared_.clear();
  turns(3, {kPeer});
  EXPECT_EQ(appeared_, std::vector<GatewayId>{kPeer});
}

TEST_F(MembershipTest, AGatewayThatReturnsAndWasDeadBeforeThisOneCameAppears) {
  turns(3, {});
  EXPECT_TRUE(appeared_.empty());
  turns(3, {kPeer});
  EXPECT_EQ(appeared_, std::vector<GatewayId>{kPeer});
}

TEST_F(MembershipTest, NobodyAppearsWhoWasThereAtTheFirstAnswer) {
  server_.beat(kPeer);
  beat();
  turns(10, {kPeer});
  EXPECT_TRUE(appeared_.empty());
}

TEST_F(MembershipTest, AnUnknownGatewayIsAliveIfItsSessionIsYoungerThanWhatIsKnown) {
  turns(2, {});
  pass(seconds(2));
  EXPECT_EQ(presence(server_.epoch()), Presence::live);
  EXPECT_EQ(presence(Epoch{server_.epoch().value - 10'000'000}), Presence::gone);
}

TEST_F(MembershipTest, WhoStartsKnowsWhoDepartedShortlyBefore) {
  server_.departed[kPeer] = server_.now - seconds(4);
  beat();
  EXPECT_EQ(presence(), Presence::lost);
  EXPECT_TRUE(died_.empty()) << "nobody here knew it";
  pass(seconds(6));
  EXPECT_EQ(presence(), Presence::gone);
}

TEST_F(MembershipTest, WhoStartsDeclaresNobodyDeadBeforeAWholeTtl) {
  server_.present[kPeer] = server_.now - seconds(3600);
  beat();
  for (int i = 0; i < 3; ++i) {
    turn({});
    EXPECT_EQ(presence(), Presence::live);
  }
  turn({});
  EXPECT_EQ(presence(), Presence::lost);
}

TEST_F(MembershipTest, AnOutageOfTheServerKillsNobody) {
  turns(10, {kPeer});
  pass(seconds(60));  // nobody can beat
  beat();
  EXPECT_EQ(away_, 1);
  EXPECT_EQ(presence(), Presence::live);
  pass(seconds(5));  // the other one takes a little longer to come back
  server_.beat(kPeer);
  beat();
  turns(10, {kPeer});
  EXPECT_TRUE(died_.empty());
}

TEST_F(MembershipTest, WhoDiedInAnOutageIsFoundDeadAfterIt) {
  turns(10, {kPeer});
  pass(seconds(60));
  beat();
  turns(3, {});
  EXPECT_EQ(presence(), Presence::live);
  turn({});
  EXPECT_EQ(presence(), Presence::lost);
}

TEST_F(MembershipTest, AServerThatForgotEverybodyKillsNobody) {
  turns(10, {kPeer});
  pass(seconds(3));
  server_.present.clear();
  EXPECT_TRUE(beat().was_away);
  EXPECT_EQ(presence(), Presence::live);
  turns(10, {kPeer});
  EXPECT_TRUE(died_.empty());
}

TEST_F(MembershipTest, AServerWhoseClockJumpsKillsNobody) {
  for (const milliseconds jump : {milliseconds(seconds(-90)), milliseconds(seconds(90))}) {
    turns(10, {kPeer});
    server_.now += jump;
    beat();
    EXPECT_EQ(presence(), Presence::live);
    turns(10, {kPeer});
    EXPECT_TRUE(died_.empty());
    EXPECT_EQ(away_, 0);
  }
}

TEST_F(MembershipTest, WhoWasPausedForLongIsToldSo) {
  turns(5, {kPeer});
  for (int i = 0; i < 5; ++i) {
    pass(seconds(3));
    server_.beat(kPeer);
  }
  EXPECT_TRUE(beat().was_away);
  EXPECT_EQ(presence(), Presence::live);
  turns(3, {kPeer});
  EXPECT_EQ(away_, 1);
}

TEST_F(MembershipTest, WhoseEntryWasTakenAwayIsToldSo) {
  turns(5, {});
  server_.present.erase(kSelf);
  pass(seconds(3));
  EXPECT_TRUE(beat().was_away);
}

// Gateways come, go, stop and pause; the server fails. Nobody is found dead who beat within the
// TTL, and everybody who stopped is found dead 15 seconds after it could be known.
TEST(Membership, AgreesWithTheTruthInRandomHistories) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 dice(seed);
  for (int round = 0; round < 50; ++round) {
    FakeServer server;
    SteadyPoint now = kStart;
    Membership membership(kSelf, {seconds(12), seconds(10)});
    std::map<GatewayId, SteadyPoint> beat_at;
    SteadyPoint stable_since = now;
    bool down = false;
    std::set<int> running;
    for (int step = 0; step < 600; ++step) {
      now += milliseconds(500);
      server.now += milliseconds(500);
      if (dice() % 40 == 0) {
        down = !down && dice() % 2 == 0;
        stable_since = now;
      }
      if (dice() % 10 == 0) running.insert(static_cast<int>(dice() % 4));
      if (dice() % 30 == 0) running.erase(static_cast<int>(dice() % 4));
      if (down) stable_since = now;
      if (down || step % 6 != 0) continue;
      for (const int n : running) {
        const GatewayId gateway("g" + std::to_string(n));
        server.beat(gateway);
        beat_at[gateway] = now;
      }
      const auto changes = membership.on_beat(server.beat(kSelf, &membership), now, now);
      for (const GatewayId& gateway : changes.died) {
        ASSERT_GE(now - beat_at[gateway], seconds(12)) << gateway.value << " at step " << step;
      }
      for (const auto& [gateway, at] : beat_at) {
        const auto state = membership.presence({gateway, Epoch{1}}, now);
        if (at == now) ASSERT_EQ(state, Presence::live) << gateway.value << " at step " << step;
        if (now - at >= seconds(18) && now - stable_since >= seconds(18)) {
          ASSERT_NE(state, Presence::live) << gateway.value << " at step " << step;
        }
      }
    }
  }
}

}  // namespace mpr::redis
