// What an archiver's pass does, and what it does about failures.
#include <algorithm>

#include "tests/support/log_capture.hpp"
#include "tests/unit/tiers/tier_bed.hpp"

namespace mpr::test {

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class ArchiverTest : public TierBed {
 protected:
  // An archiver whose steps a test decides about.
  struct Stepped {
    Stepper steps;
    SteppedHotStore hot;
    SteppedColdStore cold;
    Archiver archiver;

    Stepped(ArchiverTest& bed, Archiver::Options options)
        : hot(bed.hot_, steps),
          cold(bed.cold_, steps),
          archiver({hot, &cold, bed.clock_, bed.metrics_}, options) {}
    // Goes on to the step of that name, before it takes effect.
    void reach(std::string_view name) {
      while (steps.waiting() && steps.next_name() != name) steps.let_go(0);
      ASSERT_TRUE(steps.waiting()) << "no step " << name;
    }
    void finish() {
      while (steps.waiting()) steps.let_go(0);
    }
  };
  struct Pass {
    std::optional<Archiver::PassReport> report;
  };
  static Task<void> run(Archiver& archiver, Pass& pass) {
    pass.report = co_await archiver.pass(kNever);
  }

  // In which order the queues of a dozen phones are archived.
  Ids order_of_phones(std::uint64_t seed) {
    Archiver::Options limits = options();
    limits.seed = seed;
    limits.bulks_at_once = 1;
    limits.batch_messages = 1;
    for (int i = 0; i < 12; ++i) add(message_to("phone-" + std::to_string(i), "m-1"));
    clock_.advance(seconds(61));
    Executor::Scope scope(loop_);
    Stepped stepped(*this, limits);
    Pass pass;
    tasks_.spawn(run(stepped.archiver, pass));
    Ids order;
    while (stepped.steps.waiting()) {
      stepped.steps.let_go(0);
      for (int i = 0; i < 12; ++i) {
        const std::string id = "phone-" + std::to_string(i);
        const bool known = std::find(order.begin(), order.end(), id) != order.end();
        if (!known && !in_cold(id).empty()) order.push_back(id);
      }
    }
    for (const auto& id : order) remove({"m-1"}, id);
    return order;
  }

  TaskGroup tasks_{[](const std::exception_ptr& e) { std::rethrow_exception(e); }};
};

TEST_F(ArchiverTest, MovesWhatIsOlderThanTheThresholdInOrder) {
  add_old({"m-1", "m-2"});
  add(message_to("phone", "m-3"));
  const auto report = archive();
  EXPECT_EQ(report.archived, 2U);
  EXPECT_EQ(report.failures, 0U);
  EXPECT_EQ(report.lag, seconds(1));
  EXPECT_EQ(in_cold(), (Ids{"m-1", "m-2"}));
  EXPECT_EQ(in_hot(), Ids{"m-3"});
  EXPECT_EQ(metrics_.messages_archived.value(), 2U);
}

TEST_F(ArchiverTest, FillsBulksFromManyQueues) {
  Archiver::Options limits = options();
  limits.batch_messages = 50;
  limits.bulks_at_once = 1;
  for (int i = 0; i < 100; ++i) add(message_to("phone-" + std::to_string(i), "m-1"));
  clock_.advance(seconds(61));
  Archiver archiver({hot_, &cold_, clock_, metrics_}, limits);
  const auto report = loop_.run(archiver.pass(kNever));
  EXPECT_EQ(report.archived, 100U);
  EXPECT_EQ(cold_.bulks(), (std::vector<std::size_t>{50, 50}));
}

TEST_F(ArchiverTest, ADeepQueueMovesInBulksBesideOthers) {
  Archiver::Options limits = options();
  limits.batch_messages = 20;
  limits.bulks_at_once = 1;
  for (int i = 0; i < 105; ++i) add(message_to("deep", "m-" + std::to_string(i)));
  for (int i = 0; i < 5; ++i) add(message_to("other", "n-" + std::to_string(i)));
  clock_.advance(seconds(61));
  Archiver archiver({hot_, &cold_, clock_, metrics_}, limits);
  EXPECT_EQ(loop_.run(archiver.pass(kNever)).archived, 110U);
  EXPECT_EQ(in_cold("deep").size(), 105U);
  for (const std::size_t bulk : cold_.bulks()) EXPECT_LE(bulk, 20U);
}

TEST_F(ArchiverTest, BulksAreBoundedInBytes) {
  Archiver::Options limits = options();
  limits.batch_bytes = 1000;
  limits.bulks_at_once = 1;
  for (int i = 0; i < 10; ++i) add(message_to("phone", "m-" + std::to_string(i), 400));
  clock_.advance(seconds(61));
  Archiver archiver({hot_, &cold_, clock_, metrics_}, limits);
  EXPECT_EQ(loop_.run(archiver.pass(kNever)).archived, 10U);
  for (const std::size_t bulk : cold_.bulks()) EXPECT_LE(bulk, 3U);
}

TEST_F(ArchiverTest, WithoutTheColdTierNothingMovesAndNothingIsLost) {
  add_old({"m-1", "m-2"});
  cold_.fail_all(true);
  auto report = archive();
  EXPECT_EQ(report.archived, 0U);
  EXPECT_GT(report.failures, 0U);
  EXPECT_EQ(report.first_failure->context, "the database is away");
  EXPECT_EQ(in_hot(), (Ids{"m-1", "m-2"}));
  cold_.fail_all(false);
  EXPECT_EQ(take(), (Ids{"m-1", "m-2"}));
  EXPECT_EQ(archive().archived, 2U);
}

TEST_F(ArchiverTest, PausesAreLongerFromFailureToFailureAndEndWithSuccess) {
  const LogCapture logs;
  add_old({"m-1"});
  cold_.fail_all(true);
  Archiver archiver({hot_, &cold_, clock_, metrics_}, options());
  // How often it tries in a minute.
  const auto tries = [&](seconds time) {
    Executor::Scope scope(loop_);
    const auto before = cold_.refused_calls();
    for (seconds passed{0}; passed < time; passed += seconds(1)) {
      clock_.advance(seconds(1));
      archiver.tick();
    }
    return cold_.refused_calls() - before;
  };
  const auto at_first = tries(seconds(20));
  tries(seconds(100));
  const auto later = tries(seconds(60));
  EXPECT_GT(at_first, 4U);
  EXPECT_LT(later, 4U);
  EXPECT_EQ(logs.with("archiving fails").size(), 1U);
  cold_.fail_all(false);
  tries(seconds(60));
  EXPECT_EQ(in_cold(), Ids{"m-1"});
  EXPECT_EQ(logs.with("archiving goes on").size(), 1U);
  archiver.begin_stop();
  EXPECT_TRUE(archiver.idle());
}

TEST_F(ArchiverTest, WithoutAColdTierNothingIsSaidOfArchiving) {
  const LogCapture logs;
  Executor::Scope scope(loop_);
  Stepper steps;
  SteppedHotStore hot(hot_, steps);
  steps.stop_at_steps(false);
  bool refused = true;
  steps.faults(
      [&](std::string_view) { return refused ? Stepper::Fault::refused : Stepper::Fault::none; });
  Archiver archiver({hot, nullptr, clock_, metrics_}, options());
  const auto wait_a_minute = [&] {
    for (int second = 0; second < 60; ++second) {
      clock_.advance(seconds(1));
      archiver.tick();
    }
  };
  wait_a_minute();
  refused = false;
  wait_a_minute();
  EXPECT_EQ(logs.with("clearing up after empty queues fails").size(), 1U);
  EXPECT_EQ(logs.with("clearing up goes on").size(), 1U);
  EXPECT_TRUE(logs.with("archiving").empty());
}

TEST_F(ArchiverTest, AMessageThatIsRefusedStaysWithWhatIsBehindIt) {
  const LogCapture logs;
  add_old({"m-1", "m-2", "m-3"});
  add_old({"n-1"}, "other");
  cold_.refuse(MessageId("m-2"));
  auto report = archive();
  EXPECT_EQ(report.archived, 2U) << "m-1 and n-1";
  EXPECT_EQ(report.set_aside, 1U);
  EXPECT_EQ(in_hot(), (Ids{"m-2", "m-3"}));
  EXPECT_EQ(take(), (Ids{"m-1", "m-2", "m-3"}));
  EXPECT_EQ(count(), 3U);
  ASSERT_EQ(logs.with("cannot be archived").size(), 1U);
  EXPECT_NE(logs.with("connection=phone").size(), 0U);
  EXPECT_TRUE(logs.with("xxx").empty()) << "no payload";

  clock_.advance(minutes(59));
  EXPECT_EQ(archive().set_aside, 0U) << "not at every pass";
  clock_.advance(minutes(2));
  EXPECT_EQ(archive().set_aside, 1U) << "but again after a while";
  EXPECT_EQ(take(), (Ids{"m-1", "m-2", "m-3"}));
}

TEST_F(ArchiverTest, WhatWasCopiedBehindARefusedMessageIsNotSeenAfterItsRemoval) {
  const LogCapture logs;
  add_old({"m-1", "m-2", "m-3", "m-4"});
  cold_.refuse(MessageId("m-1"));
  archive();
  ASSERT_EQ(in_cold(), (Ids{"m-2", "m-3", "m-4"})) << "copies";
  remove({"m-3"});
  remove({"m-1"});
  EXPECT_EQ(take(), (Ids{"m-2", "m-4"}));
  EXPECT_EQ(archive().archived, 2U) << "its head is gone, so the queue moves on";
  EXPECT_EQ(take(), (Ids{"m-2", "m-4"}));
  clock_.advance(hours(1));
  archive();
  EXPECT_EQ(in_cold(), (Ids{"m-2", "m-4"}));
}

TEST_F(ArchiverTest, WhatIsRemovedWhileItIsCopiedDoesNotComeBack) {
  add_old({"m-1", "m-2", "m-3"});
  for (const std::string_view step : {"copy", "finish", "release"}) {
    SCOPED_TRACE(step);
    Executor::Scope scope(loop_);
    add_old({"m-" + std::string(step)});
    Stepped stepped(*this, options());
    Pass pass;
    tasks_.spawn(run(stepped.archiver, pass));
    stepped.reach(step);
    const Ids before = take();
    EXPECT_EQ(remove({before.front()}).removed.size(), 1U);
    EXPECT_EQ(take(), Ids(before.begin() + 1, before.end()));
    stepped.finish();
    EXPECT_EQ(take(), Ids(before.begin() + 1, before.end()));
    EXPECT_EQ(in_cold(), Ids(before.begin() + 1, before.end()));
  }
}

TEST_F(ArchiverTest, LeavesAPartitionToWhoHasItsLease) {
  Executor::Scope scope(loop_);
  add_old({"m-1"});
  Stepped first(*this, options());
  Pass pass;
  tasks_.spawn(run(first.archiver, pass));
  first.reach("claim");
  EXPECT_EQ(archive().archived, 0U);
  first.finish();
  EXPECT_EQ(pass.report->archived, 1U);
}

TEST_F(ArchiverTest, AnotherOneFinishesWhatADeadOneBegan) {
  for (const std::string_view step : {"claim", "copy", "finish", "release"}) {
    SCOPED_TRACE(step);
    Executor::Scope scope(loop_);
    const std::string id = "m-" + std::string(step);
    add_old({id});
    Stepped dying(*this, options());
    Pass pass;
    tasks_.spawn(run(dying.archiver, pass));
    dying.reach(step);
    dying.steps.kill();
    dying.finish();
    EXPECT_EQ(take().back(), id);
    clock_.advance(seconds(11));
    archive();
    EXPECT_EQ(in_cold().back(), id);
    EXPECT_TRUE(in_hot().empty());
    EXPECT_EQ(take().back(), id);
  }
  EXPECT_EQ(count(), 4U);
}

TEST_F(ArchiverTest, OneThatSleptThroughItsLeaseDoesNoHarm) {
  Executor::Scope scope(loop_);
  add_old({"m-1", "m-2"});
  Stepped sleeper(*this, options());
  Pass pass;
  tasks_.spawn(run(sleeper.archiver, pass));
  sleeper.reach("copy");
  clock_.advance(seconds(11));
  EXPECT_EQ(archive().archived, 2U);
  remove({"m-1"});
  sleeper.finish();  // copies m-1 again
  EXPECT_GT(pass.report->leases_lost, 0U);
  EXPECT_EQ(pass.report->archived, 0U);
  EXPECT_EQ(take(), Ids{"m-2"});
  EXPECT_EQ(count(), 1U);
  clock_.advance(minutes(11));
  archive();
  EXPECT_EQ(in_cold(), Ids{"m-2"}) << "the ghost is gone for good";
  EXPECT_EQ(take(), Ids{"m-2"});
}

TEST_F(ArchiverTest, WhatTheOtherOneReliesOnIsNotTakenBack) {
  Executor::Scope scope(loop_);
  add_old({"m-1"});
  Stepped sleeper(*this, options());
  Pass pass;
  tasks_.spawn(run(sleeper.archiver, pass));
  sleeper.reach("copy");
  clock_.advance(seconds(11));
  Stepped other(*this, options());
  Pass other_pass;
  tasks_.spawn(run(other.archiver, other_pass));
  other.reach("copy");
  sleeper.steps.let_go(0);  // the sleeper copies, and the other one finds it copied
  other.finish();
  sleeper.finish();
  EXPECT_EQ(other_pass.report->archived, 1U);
  EXPECT_EQ(take(), Ids{"m-1"});
}

TEST_F(ArchiverTest, KeepsItsLeasesWhileItWorks) {
  Executor::Scope scope(loop_);
  Archiver::Options limits = options();
  limits.batch_messages = 1;
  Ids ids;
  for (int i = 0; i < 10; ++i) ids.push_back("m-" + std::to_string(i));
  add_old(ids);
  Stepped slow(*this, limits);
  Pass pass;
  tasks_.spawn(run(slow.archiver, pass));
  while (slow.steps.waiting()) {
    if (slow.steps.next_name() == "copy") clock_.advance(seconds(4));
    slow.steps.let_go(0);
  }
  EXPECT_EQ(pass.report->archived, 10U);
  EXPECT_EQ(pass.report->leases_lost, 0U);
}

TEST_F(ArchiverTest, TheLagGrowsWhileNothingCanBeClaimed) {
  Executor::Scope scope(loop_);
  add_old({"m-1"});
  Stepped refusing(*this, options());
  refusing.steps.stop_at_steps(false);
  bool refused = true;
  refusing.steps.faults([&](std::string_view name) {
    return refused && name == "claim" ? Stepper::Fault::refused : Stepper::Fault::none;
  });
  const auto lag_after = [&](seconds time) {
    for (seconds passed{0}; passed < time; passed += seconds(1)) {
      clock_.advance(seconds(1));
      refusing.archiver.tick();
    }
    return metrics_.archive_lag_seconds.value();
  };
  const auto at_first = lag_after(seconds(60));
  const auto later = lag_after(seconds(120));
  refused = false;
  EXPECT_GT(at_first, 0);
  EXPECT_GT(later, at_first + 60);
  EXPECT_EQ(lag_after(seconds(120)), 0);
  EXPECT_EQ(in_cold(), Ids{"m-1"});
}

TEST_F(ArchiverTest, EndsAfterItsPresentStepWhenItIsStopped) {
  Executor::Scope scope(loop_);
  Archiver::Options limits = options();
  limits.batch_messages = 1;
  add_old({"m-1", "m-2", "m-3"});
  Stepped stopped(*this, limits);
  stopped.archiver.tick();
  stopped.reach("copy");
  EXPECT_FALSE(stopped.archiver.idle());
  stopped.archiver.begin_stop();
  stopped.finish();
  EXPECT_TRUE(stopped.archiver.idle());
  EXPECT_EQ(in_cold(), Ids{"m-1"});
  clock_.advance(seconds(5));
  stopped.archiver.tick();
  EXPECT_TRUE(stopped.archiver.idle());
  EXPECT_EQ(archive().archived, 2U) << "its leases were given back";
}

TEST_F(ArchiverTest, RemovesExpiredMessagesFromTheColdTierABitAtATime) {
  Archiver::Options limits = options();
  limits.sweep_messages = 4;
  for (int i = 0; i < 10; ++i) {
    NewMessage message = message_to("phone", "m-" + std::to_string(i));
    message.expires_at = FakeClock::kStart + minutes(5);
    add(std::move(message));
  }
  clock_.advance(minutes(2));
  Archiver archiver({hot_, &cold_, clock_, metrics_}, limits);
  EXPECT_EQ(loop_.run(archiver.pass(kNever)).archived, 10U);
  clock_.advance(minutes(4));
  std::vector<std::uint64_t> expired;
  for (int i = 0; i < 4; ++i) expired.push_back(loop_.run(archiver.pass(kNever)).expired);
  EXPECT_EQ(expired, (std::vector<std::uint64_t>{4, 4, 2, 0}));
  EXPECT_EQ(metrics_.messages_expired.value(), 10U);
}

TEST_F(ArchiverTest, WithoutAColdTierItOnlyLetsEmptyQueuesBeForgotten) {
  Archiver::Options limits = options();
  limits.connections_per_look = 2;
  Archiver archiver({hot_, nullptr, clock_, metrics_}, limits);
  for (int i = 0; i < 40; ++i) add(message_to("phone-" + std::to_string(i), "m-1"));
  for (int i = 0; i < 40; i += 2) remove({"m-1"}, "phone-" + std::to_string(i));
  clock_.advance(seconds(61));
  for (int i = 0; i < 10; ++i) loop_.run(archiver.pass(kNever));
  EXPECT_EQ(hot_.queues_known(), 20U);
  EXPECT_EQ(in_hot("phone-1"), Ids{"m-1"});
  EXPECT_EQ(metrics_.messages_archived.value(), 0U);
}

TEST_F(ArchiverTest, GatewaysGoThroughThePartitionsInDifferentOrders) {
  EXPECT_NE(order_of_phones(1), order_of_phones(2));
}

}  // namespace

}  // namespace mpr::test
