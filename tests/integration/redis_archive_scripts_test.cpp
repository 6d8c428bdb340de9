// The scripts of the archiver, each on its own.
#include "tests/integration/script_bed.hpp"

namespace mpr::redis {

namespace {

class ArchiveScripts : public ScriptBed {
 protected:
  static std::string item(const std::string& entry, int at) {
    return "[" + entry + " [m 1|" + std::to_string(at) + "|||n" + entry + "|||||| p xxxxxxxxxx]]";
  }
  void hold_lease(const std::string& number) { run({"SET", "{t}lease", number}); }
  std::string claim(const std::string& lease, const std::string& until = "60",
                    const std::string& most = "10", const std::string& bytes = "1000") {
    return eval(queue_script<scripts::claim>(), {lease, until, most, bytes, "100"}, {"{t}lease"});
  }
  std::string finish(const std::string& lease, const Words& pairs) {
    Words arguments = {lease, "100", "60000", "{t}r:"};
    arguments.insert(arguments.end(), pairs.begin(), pairs.end());
    return eval(queue_script<scripts::finish>(), arguments, {"{t}lease"});
  }
  std::string forget(const std::string& lease) {
    return eval(queue_script<scripts::forget>(), {lease}, {"{t}lease"});
  }
  std::string settle_due(const std::string& now = "100", const std::string& forget_after = "0") {
    return eval(queue_script<scripts::settle_due>(), {now, "member", forget_after},
                {"{t}due", "{t}aside"});
  }
  std::string score() { return run({"ZSCORE", "{t}due", "member"}); }
  std::string withdrawn() {  // the fields of the tier state but mark and moved
    std::string names;
    for (const char* field : {"w:1-0", "w:2-0", "w:3-0"}) {
      const std::string value = run({"HGET", "{t}c", field});
      if (value != "nil") names += std::string(field) + "=" + value + " ";
    }
    return names;
  }
  bool is_ghost(const std::string& entry) { return run({"HEXISTS", "{t}c", "g:" + entry}) == "1"; }
};

}  // namespace

TEST_F(ArchiveScripts, ALeaseIsOnesUntilItEndsAndItsNumberGrows) {
  const Words keys = {"{t}lease", "{t}leases"};
  const auto lease = [&](const std::string& held) {
    return eval_keys(scripts::lease(), keys, {held, "60000"});
  };
  EXPECT_EQ(lease("0"), "1");
  EXPECT_EQ(lease("0"), "0");
  EXPECT_EQ(lease("1"), "1");
  EXPECT_EQ(lease("2"), "0");
  run({"DEL", "{t}lease"});
  EXPECT_EQ(lease("1"), "1") << "it ran out, and nobody took it";
  EXPECT_EQ(eval_keys(scripts::release(), {"{t}lease"}, {"7"}), "0");
  EXPECT_EQ(eval_keys(scripts::release(), {"{t}lease"}, {"1"}), "1");
  EXPECT_EQ(lease("0"), "2");
  run({"DEL", "{t}lease"});
  EXPECT_EQ(lease("1"), "0") << "another was there since";
  EXPECT_GT(std::stoi(run({"PTTL", "{t}leases"})), -2);
}

TEST_F(ArchiveScripts, SettleDueScoresByTheOldestMessage) {
  add_at("1-0", 70);
  add_at("2-0", 80);
  run({"ZADD", "{t}due", "10", "member"});
  EXPECT_EQ(settle_due(), "[70 0]");
  EXPECT_EQ(score(), "70");
}

TEST_F(ArchiveScripts, SettleDueForgetsAQueueThatIsEmptyForLong) {
  add_at("1-0", 70);
  run({"XDEL", "{t}q", "1-0"});
  run({"ZADD", "{t}due", "10", "member"});
  run({"HSET", "{t}c", "mark", "0"});
  run({"HSET", "{t}aside", "member", "1-0 500"});
  EXPECT_EQ(settle_due("100", "99999999999999"), "['' 0]");
  EXPECT_EQ(score(), "100") << "to be looked at again";
  EXPECT_EQ(settle_due(), "['' 0]");
  EXPECT_EQ(score(), "nil");
  EXPECT_EQ(run({"EXISTS", "{t}q", "{t}n", "{t}c", "{t}aside"}), "0");
}

TEST_F(ArchiveScripts, SettleDueLeavesTheMarkOfAnArchivedQueueForAWhile) {
  run({"ZADD", "{t}due", "10", "member"});
  run({"HSET", "{t}c", "mark", "7.5"});
  EXPECT_EQ(settle_due(), "['' 0]");
  EXPECT_EQ(score(), "nil");
  EXPECT_EQ(run({"HGET", "{t}c", "mark"}), "7.5");
  EXPECT_GT(std::stoi(run({"PTTL", "{t}c"})), 500'000);
}

TEST_F(ArchiveScripts, SettleDueForgetsNoQueueBeforeItsGhostsWereNamedForTheLastTime) {
  run({"ZADD", "{t}due", "10", "member"});
  run({"HSET", "{t}c", "mark", "0", "g:1-0", "2000:s10", "g:2-0", "1000:s10"});
  EXPECT_EQ(settle_due(), "[1000 0]");
  EXPECT_EQ(score(), "1000");
  hold_lease("4");
  EXPECT_EQ(claim("4"), "[1 [] [1-0 s10 2-0 s10]]");
  EXPECT_EQ(run({"HGET", "{t}c", "g:1-0"}), "nil") << "its time is long over";
  EXPECT_EQ(settle_due(), "['' 0]");
  EXPECT_EQ(score(), "nil");
}

TEST_F(ArchiveScripts, SettleDueNamesAQueueWhoseBatchIsUnfinished) {
  run({"ZADD", "{t}due", "10", "member"});
  run({"HSET", "{t}m", "1-0", "s10", "lease", "4 55"});
  EXPECT_EQ(settle_due(), "[55 0]");
  EXPECT_EQ(score(), "55");
  add_at("2-0", 99);
  EXPECT_EQ(settle_due(), "[55 0]");
}

TEST_F(ArchiveScripts, AQueueIsLeftAloneUntilItsHeadIsGoneOrTheTimeHasCome) {
  add_at("1-0", 50);
  add_at("2-0", 60);
  run({"ZADD", "{t}due", "10", "member"});
  hold_lease("4");
  const auto set_aside = [&](const std::string& lease) {
    return eval(queue_script<scripts::set_aside>(), {lease, "member", "500"},
                {"{t}lease", "{t}aside"});
  };
  EXPECT_EQ(set_aside("3"), "0");
  EXPECT_EQ(set_aside("4"), "1");
  EXPECT_EQ(settle_due("499"), "['' 0]");
  EXPECT_EQ(settle_due("500"), "[50 0]");
  EXPECT_EQ(set_aside("4"), "1");
  run({"XDEL", "{t}q", "1-0"});
  EXPECT_EQ(settle_due("499"), "[60 0]");
  EXPECT_EQ(run({"EXISTS", "{t}aside"}), "0");
}

TEST_F(ArchiveScripts, AClaimIsTheOldHeadOfTheQueueUnderItsBounds) {
  add_at("1-0", 50);
  add_at("2-0", 60);
  add_at("3-0", 70);
  add_at("4-0", 40);
  hold_lease("4");
  EXPECT_EQ(claim("3"), "[0]");
  EXPECT_EQ(run({"EXISTS", "{t}m", "{t}c"}), "0");
  EXPECT_EQ(claim("4"), "[1 [" + item("1-0", 50) + " " + item("2-0", 60) + "] []]");
  EXPECT_EQ(run({"HMGET", "{t}m", "1-0", "2-0", "3-0", "lease"}), "[s10 s10 nil 4 100]");
  EXPECT_NE(run({"HGET", "{t}c", "mark"}), "nil");
}

TEST_F(ArchiveScripts, AClaimHoldsItsBounds) {
  for (const char* entry : {"1-0", "2-0", "3-0"}) add_at(entry, 50);
  hold_lease("4");
  EXPECT_EQ(claim("4", "60", "1"), "[1 [" + item("1-0", 50) + "] []]");
  run({"DEL", "{t}m"});
  EXPECT_EQ(claim("4", "60", "9", "20"),
            "[1 [" + item("1-0", 50) + " " + item("2-0", 50) + "] []]");
  run({"DEL", "{t}m"});
  EXPECT_EQ(claim("4", "60", "9", "1"), "[1 [" + item("1-0", 50) + "] []]");
  run({"DEL", "{t}m"});
  EXPECT_EQ(claim("4", "49"), "[1 [] []]");
  EXPECT_EQ(run({"EXISTS", "{t}m"}), "0");
}

TEST_F(ArchiveScripts, AnUnfinishedBatchIsAdoptedAsAWhole) {
  for (const char* entry : {"1-0", "2-0", "3-0"}) add_at(entry, 50);
  hold_lease("4");
  claim("4");
  run({"XDEL", "{t}q", "2-0"});  // taken, by a removal that has not told so yet
  hold_lease("5");
  EXPECT_EQ(claim("5", "60", "1", "1"),
            "[1 [" + item("1-0", 50) + " " + item("3-0", 50) + "] [2-0 s10]]");
  EXPECT_EQ(withdrawn(), "w:2-0=ns10 ");
  EXPECT_TRUE(is_ghost("2-0"));
  EXPECT_EQ(run({"HMGET", "{t}g", "1-0", "2-0", "3-0"}), "[s10 s10 s10]");
  EXPECT_GT(std::stoi(run({"PTTL", "{t}g"})), 500'000);
  EXPECT_EQ(run({"HGET", "{t}m", "lease"}), "5 100");
}

TEST_F(ArchiveScripts, ANewMessageWithAWithdrawnIdWaitsUntilTheCopyIsGone) {
  hold_lease("4");
  run({"HSET", "{t}m", "1-0", "cmine", "lease", "4 90"});
  add_named("2-0", "mine", 50);
  EXPECT_EQ(claim("4"), "[1 [] [1-0 cmine]]");
  EXPECT_EQ(forget("4"), "1");
  EXPECT_EQ(claim("4"), "[1 [[2-0 [m 1|50|||n|4|||||mine p 0123456789]]] []]");
}

TEST_F(ArchiveScripts, ANewMessageWithTheIdOfAGhostEndsItsWithdrawal) {
  hold_lease("4");
  run({"HSET", "{t}c", "g:1-0", "99999999999999:cmine", "g:3-0", "1:s7"});
  add_named("2-0", "mine", 50);
  EXPECT_EQ(claim("4"), "[1 [[2-0 [m 1|50|||n|4|||||mine p 0123456789]]] [1-0 cmine 3-0 s7]]");
  EXPECT_FALSE(is_ghost("1-0"));
  EXPECT_FALSE(is_ghost("3-0")) << "old enough to be laid";
}

TEST_F(ArchiveScripts, FinishMovesWhatIsThereAndNamesWhatIsNot) {
  add_at("1-0", 50);
  add_at("2-0", 50);
  add_named("3-0", "mine", 50);
  hold_lease("4");
  claim("4");
  const std::string mark = run({"HGET", "{t}c", "mark"});
  run({"XDEL", "{t}q", "2-0"});
  EXPECT_EQ(finish("3", {"1-0", "a"}), "[0]");
  EXPECT_EQ(finish("4", {"1-0", "a", "2-0", "b", "", "mine", "9-0", "c"}), "[1 2 [2-0 s10]]");
  EXPECT_EQ(run({"XLEN", "{t}q"}), "0");
  EXPECT_EQ(run({"HGET", "{t}c", "moved"}), "3-0");
  EXPECT_NE(run({"HGET", "{t}c", "mark"}), mark);
  EXPECT_EQ(run({"GET", "{t}r:mine"}), "3-0 50 60100");
  EXPECT_EQ(run({"HGETALL", "{t}m"}), "[2-0 s10 lease 4 100]");
  EXPECT_EQ(withdrawn(), "w:2-0=ns10 ");
  EXPECT_EQ(forget("3"), "0");
  EXPECT_EQ(forget("4"), "1");
  EXPECT_EQ(run({"EXISTS", "{t}m"}), "0");
  EXPECT_EQ(withdrawn(), "");
}

TEST_F(ArchiveScripts, WhatWasNotCopiedStaysClaimed) {
  for (const char* entry : {"1-0", "2-0", "3-0"}) add_at(entry, 50);
  hold_lease("4");
  claim("4");
  EXPECT_EQ(finish("4", {"1-0", "a"}), "[1 1 []]");
  EXPECT_EQ(run({"HMGET", "{t}m", "1-0", "2-0", "3-0"}), "[nil s10 s10]");
  eval(queue_script<scripts::remove>(), {"100", "60000", "{t}r:", "3-0", "10", "x"});
  EXPECT_EQ(forget("4"), "1");
  EXPECT_EQ(withdrawn(), "w:3-0=rs10 ") << "nobody was told yet";
  EXPECT_EQ(claim("4"), "[1 [" + item("2-0", 50) + "] [3-0 s10]]");
  EXPECT_EQ(run({"EXISTS", "{t}g"}), "0") << "the same lease";
}

TEST_F(ArchiveScripts, GhostsStayKnownAfterForget) {
  add_at("1-0", 50);
  add_at("2-0", 50);
  hold_lease("4");
  claim("4");
  hold_lease("5");
  claim("5");
  EXPECT_EQ(finish("5", {"1-0", "a", "2-0", "b"}), "[1 2 []]");
  EXPECT_EQ(forget("5"), "1");
  EXPECT_EQ(run({"EXISTS", "{t}m"}), "0");
  const std::string before = run({"HGETALL", "{t}c"});
  EXPECT_EQ(eval(queue_script<scripts::remove>(), {"100", "60000", "{t}r:", "1-0", "10", "x"}),
            "[0 [] 0 '' " + before + " 0]")
      << "gone from here, and not withdrawn before";
  EXPECT_TRUE(is_ghost("1-0"));
  EXPECT_FALSE(is_ghost("2-0"));
}

TEST_F(ArchiveScripts, TheColdTierIsEmptyOnlyIfNothingWasClaimedSince) {
  const auto note = [&](const std::string& mark) {
    return eval(queue_script<scripts::note_cold_empty>(), {mark});
  };
  EXPECT_EQ(note("7.5"), "0");
  EXPECT_EQ(note(""), "1");
  EXPECT_EQ(run({"HGET", "{t}c", "mark"}), "0");
  EXPECT_NE(run({"TTL", "{t}c"}), "-1") << "who only asked leaves nothing behind";
  add_at("1-0", 50);
  hold_lease("4");
  claim("4");
  EXPECT_EQ(run({"TTL", "{t}c"}), "-1");
  const std::string claimed = run({"HGET", "{t}c", "mark"});
  EXPECT_EQ(note("0"), "0");
  EXPECT_EQ(note(claimed), "0") << "it is being moved";
  finish("4", {"1-0", "a"});
  EXPECT_EQ(note(claimed), "0") << "that read may have been earlier than the copies";
  EXPECT_EQ(note(run({"HGET", "{t}c", "mark"})), "1");
}

TEST_F(ArchiveScripts, StillHotKnowsBothKindsOfIds) {
  add_at("1-0", 50);
  add_named("2-0", "mine", 50);
  add_expiring("3-0", 100);
  EXPECT_EQ(eval(queue_script<scripts::still_hot>(), {"100", "1-0", "a", "", "mine", "3-0", "b",
                                                      "4-0", "c", "9-0", "mine", "", "nobody"}),
            "110010");
}

}  // namespace mpr::redis
