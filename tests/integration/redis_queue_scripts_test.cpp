// The scripts that add, read and remove messages, each on its own.
#include "tests/integration/script_bed.hpp"

namespace mpr::redis {

namespace {

class QueueScripts : public ScriptBed {
 protected:
  struct Add {
    std::string now = "100";
    std::string most = "10";
    std::string most_bytes = "1000";
    std::string id = {};
    std::string twin = {};
    std::string nonce = {};
    std::string description = "1|100|||n||||||";
    std::string payload = "01234";
    std::string expires = {};
  };
  // The answer without the new entry's id, which Redis chooses: that is put into `entry_`.
  std::string add_once(const Add& a) {
    const std::string answer = eval(queue_script<scripts::add_once>(),
                                    {a.now, "member", a.most, a.most_bytes, "{t}r:", a.id, a.twin,
                                     a.nonce, a.description, a.payload, a.expires, "100", "0"},
                                    {"{t}due", "{t}s"});
    const auto begin = answer.find(' ') + 1;
    const auto end = answer.find(' ', begin);
    entry_ = answer.substr(begin, end - begin);
    return answer.substr(0, begin) + "*" + answer.substr(end);
  }
  std::string remove(const Words& triples) {
    Words arguments = {"100", "60000", "{t}r:"};
    arguments.insert(arguments.end(), triples.begin(), triples.end());
    return eval(queue_script<scripts::remove>(), arguments);
  }
  struct Take {
    std::string from = {};
    std::string messages = "10";
    std::string bytes = "1000";
    std::string any = "0";
    std::string look = "100";
    std::string answer_bytes = "1000";
    std::string did = {};
    Words exclude = {};
  };
  // The answer with entries' ids in the place of entries.
  std::string take(const Take& t) {
    Words arguments = {"100", t.from, t.messages,    t.bytes, t.any, t.did.empty() ? "0" : "1",
                       t.did, t.look, t.answer_bytes};
    arguments.insert(arguments.end(), t.exclude.begin(), t.exclude.end());
    return eval(queue_script<scripts::take>(), arguments);
  }

  std::string entry_;
};

}  // namespace

TEST_F(QueueScripts, AddOnceStoresAndCountsAndNotes) {
  run({"SET", "{t}s", "record"});
  EXPECT_EQ(add_once({.id = "my-id"}), "[0 * 100 '' record 0]");
  const std::string first = entry_;
  EXPECT_EQ(add_once({.id = "other", .expires = "500"}), "[0 * 100 " + first + " record 0]");
  EXPECT_EQ(queue(), first + " " + entry_ + " / 2 10");
  EXPECT_EQ(run({"HGETALL", "{t}i"}), "[my-id " + first + " 100 other " + entry_ + " 100]");
  EXPECT_EQ(run({"ZRANGE", "{t}x", "0", "-1", "WITHSCORES"}), "[" + entry_ + " 500]");
  EXPECT_EQ(run({"ZRANGE", "{t}due", "0", "-1", "WITHSCORES"}), "[member 100]");
}

TEST_F(QueueScripts, AddOnceKnowsAnIdThatIsPendingOrRemembered) {
  add_named("5-1", "pending", 77);
  run({"SET", "{t}r:gone", "3-0 55 101"});
  run({"SET", "{t}r:forgotten", "3-0 55 100"});
  EXPECT_EQ(add_once({.id = "pending"}), "[1 * 77 '' nil 0]");
  EXPECT_EQ(entry_, "5-1");
  EXPECT_EQ(add_once({.id = "gone"}), "[1 * 55 '' nil 0]");
  EXPECT_EQ(entry_, "3-0");
  EXPECT_EQ(add_once({.id = "forgotten"}), "[0 * 100 5-1 nil 0]");
}

TEST_F(QueueScripts, AddOnceKnowsAMessageOfTheStoreByItsId) {
  add_at("5-1", 77);
  EXPECT_EQ(add_once({.id = "looks-like-5-1", .twin = "5-1"}), "[1 * 77 '' nil 0]");
  EXPECT_EQ(add_once({.id = "looks-like-4-1", .twin = "4-1"}), "[1 * 4 '' nil 0]")
      << "no longer here";
  EXPECT_EQ(entry_, "4-1");
  EXPECT_EQ(add_once({.id = "looks-like-a-later-one", .twin = "9999999999999-1"}),
            "[0 * 100 5-1 nil 0]");
}

TEST_F(QueueScripts, AddOnceFindsWhatAnEarlierAttemptLeft) {
  add_at("1-1", 50);
  add("5-1", "1|60|||lost||||||", "01234");
  EXPECT_EQ(add_once({.nonce = "lost"}), "[0 * 60 1-1 nil 0]");
  EXPECT_EQ(entry_, "5-1");
  EXPECT_EQ(queue(), "1-1 5-1 / 2 15");
  EXPECT_EQ(run({"ZSCORE", "{t}due", "member"}), "100");
  EXPECT_EQ(add_once({.nonce = "other"}), "[0 * 100 5-1 nil 0]");
}

TEST_F(QueueScripts, AddOnceLooksBackToWhenTheEarlierAttemptBegan) {
  add("1-1", "1|60|||early||||||", "01234");
  run({"XADD", "{t}q", "*", "m", "1|60|||lost||||||", "p", "01234"});
  for (int i = 0; i < 300; ++i) {
    run({"XADD", "{t}q", "*", "m", "1|60|||n||||||", "p", "01234"});
  }
  add_once({.most = "9999", .nonce = "lost"});
  EXPECT_EQ(run({"XLEN", "{t}q"}), "302") << "found behind 300 others";
  add_once({.most = "9999", .nonce = "early"});
  EXPECT_EQ(run({"XLEN", "{t}q"}), "303") << "too old to be looked for";
}

TEST_F(QueueScripts, AddOnceRefusesOverTheQuotaAndFreesWhatExpired) {
  add_at("1-1", 50, 990);
  add_expiring("2-1", 100);
  EXPECT_EQ(add_once({.most = "1"}), "[2 * '' '' nil 1]");
  EXPECT_EQ(add_once({.payload = "0123456789x"}), "[3 * '' '' nil 0]");
  EXPECT_EQ(queue(), "1-1 / 1 990");
  EXPECT_EQ(add_once({.payload = "0123456789"}), "[0 * 100 1-1 nil 0]");
}

TEST_F(QueueScripts, AddOnceCorrectsACounterThatWouldRefuseIt) {
  run({"SET", "{t}n", "-98956046500550"});  // of removals that nobody corrected
  EXPECT_EQ(add_once({.id = "first"}), "[0 * 100 '' nil 0]");
  EXPECT_EQ(queue(), entry_ + " / 1 5");
  run({"SET", "{t}n", std::to_string((90LL << 40) + 999)});
  EXPECT_TRUE(add_once({.id = "second"}).starts_with("[0 "));
  EXPECT_EQ(run({"GET", "{t}n"}), std::to_string((2LL << 40) + 10));
}

TEST_F(QueueScripts, SettleQuotaTakesBackWhatIsTooMuch) {
  add_at("1-1", 50);
  add_at("2-1", 50);
  const auto settle = [&](const std::string& most, const std::string& bytes) {
    return eval(queue_script<scripts::settle_quota>(), {"100", most, bytes, "2-1"});
  };
  EXPECT_EQ(settle("2", "20"), "[0 0]");
  EXPECT_EQ(settle("2", "19"), "[3 0]");
  EXPECT_EQ(queue(), "1-1 / 1 10");
  EXPECT_EQ(settle("1", "1"), "[0 0]") << "it was taken already";
  add_at("3-1", 50);
  EXPECT_EQ(eval(queue_script<scripts::settle_quota>(), {"100", "1", "100", "3-1"}), "[2 0]");
  EXPECT_EQ(queue(), "1-1 / 1 10");
}

TEST_F(QueueScripts, SettleQuotaCorrectsACounterThatIsWrong) {
  add_at("1-1", 50);
  run({"SET", "{t}n", "-1099511627876"});
  EXPECT_EQ(eval(queue_script<scripts::settle_quota>(), {"100", "5", "100", "1-1"}), "[0 0]");
  EXPECT_EQ(queue(), "1-1 / 1 10");
}

TEST_F(QueueScripts, TakeHoldsItsLimits) {
  for (const char* entry : {"1-0", "2-0", "3-0", "4-0"}) add_at(entry, 50);

  const auto item = [&](const std::string& entry) {
    return "[" + entry + " [m 1|50|||n" + entry + "|||||| p xxxxxxxxxx]]";
  };
  EXPECT_EQ(take({.messages = "2"}), "[[" + item("1-0") + " " + item("2-0") + "] 1-0 1 1-0 [] 0]");
  EXPECT_EQ(take({.from = "1-0", .bytes = "20"}),
            "[[" + item("2-0") + " " + item("3-0") + "] 3-0 1 2-0 [] 0]");
  EXPECT_EQ(take({.bytes = "5"}), "[[" + item("1-0") + "] 1-0 1 1-0 [] 0]")
      << "the first always fits";
  EXPECT_EQ(take({.bytes = "5", .any = "1"}), "[[] '' 1 1-0 [] 0]");
  EXPECT_EQ(take({.from = "4-0"}), "[[] 4-0 1 '' [] 0]");
}

TEST_F(QueueScripts, TakeStopsWhereAStepEnds) {
  for (const char* entry : {"1-0", "2-0", "3-0"}) add_at(entry, 50);
  const auto item = [&](const std::string& entry) {
    return "[" + entry + " [m 1|50|||n" + entry + "|||||| p xxxxxxxxxx]]";
  };
  EXPECT_EQ(take({.look = "1"}), "[[" + item("1-0") + "] 1-0 0 1-0 [] 0]");
  EXPECT_EQ(take({.answer_bytes = "11"}),
            "[[" + item("1-0") + " " + item("2-0") + "] 2-0 0 1-0 [] 0]");
}

TEST_F(QueueScripts, TakeLeavesOutWhatIsExcludedExpiredOrForOthers) {
  add("1-0", "1|50|||n||||||", "a");
  add("2-0", "1|50|||n|||||5,5|did:adid:b", "b");
  add_expiring("3-0", 100);
  add("4-0", "1|50|||n|2|f|2|1|5|idtkpdid:b", "c");
  add("5-0", "1|50|||n|||||5|did:b", "d");
  EXPECT_EQ(take({.did = "did:b", .exclude = {"5-0"}}),
            "[[[2-0 [m 1|50|||n|||||5,5|did:adid:b p b]] [4-0 [m 1|50|||n|2|f|2|1|5|idtkpdid:b p "
            "c]]] 5-0 1 1-0 [] 1]");
  EXPECT_EQ(take({.did = "did:"}), "[[] 5-0 1 1-0 [] 1]");
}

TEST_F(QueueScripts, CountLeavesOutWhatExpiredOrIsExcluded) {
  EXPECT_EQ(eval(queue_script<scripts::count>(), {"100"}), "[0 '' [] 0]");
  add_at("1-0", 50);
  add_expiring("2-0", 100);
  add_expiring("3-0", 101);
  add_at("4-0", 50);
  run({"HSET", "{t}c", "mark", "0"});
  EXPECT_EQ(eval(queue_script<scripts::count>(), {"100", "1-0", "2-0", "9-9"}),
            "[2 1-0 [mark 0] 1]");
}

TEST_F(QueueScripts, StatusSumsUpAStretch) {
  add("1-0", "1|50|||n||||||", "12");
  add("2-0", "1|40|||n|||||1|d", "123");
  add_expiring("3-0", 100);
  add("4-0", "1|60|||n|||||1|d", "1234");
  const auto status = [&](Words arguments) {
    return eval(queue_script<scripts::status>(), arguments);
  };
  EXPECT_EQ(status({"100", "", "100", "0", ""}), "[3 9 40 60 4-0 1 1-0 [] 1]");
  EXPECT_EQ(status({"100", "", "2", "0", ""}), "[2 5 40 50 2-0 0 1-0 [] 1]");
  EXPECT_EQ(status({"100", "2-0", "2", "0", "", "4-0"}), "[0 0 '' '' 4-0 0 1-0 [] 1]");
  EXPECT_EQ(status({"100", "4-0", "2", "0", ""}), "[0 0 '' '' 4-0 1 1-0 [] 1]");
  EXPECT_EQ(status({"100", "", "100", "1", "d"}), "[2 7 40 60 4-0 1 1-0 [] 1]");
}

TEST_F(QueueScripts, NewestTokenLooksAtTheNewestThatArePending) {
  add("1-0", "1|50|||n||f|3|||old", "x");
  add("2-0", "1|50|||n||a|3|||new", "x");
  add("3-0", "1|50||100|n||f|4|||dead", "x");
  add_at("4-0", 50);
  const auto token = [&](const std::string& most) {
    return eval(queue_script<scripts::newest_token>(), {"100", most});
  };
  EXPECT_EQ(token("16"), "[1|50|||n||a|3|||new 1-0 [] 0]");
  EXPECT_EQ(token("2"), "[nil 1-0 [] 0]");
}

TEST_F(QueueScripts, PurgeFreesWhatExpired) {
  add_expiring("1-0", 90);
  add_expiring("2-0", 101);
  add_expiring("3-0", 80);
  run({"ZADD", "{t}x", "70", "0-9"});  // of a message that is gone
  run({"HSET", "{t}m", "1-0", "s5", "lease", "4 90"});
  EXPECT_EQ(eval(queue_script<scripts::purge>(), {"100", "10"}), "2");
  EXPECT_EQ(queue(), "2-0 / 1 5");
  EXPECT_EQ(run({"ZRANGE", "{t}x", "0", "-1"}), "[2-0]");
  EXPECT_EQ(run({"HGETALL", "{t}c"}), "[w:1-0 rs5]");
}

TEST_F(QueueScripts, RemoveTellsWhatWasThere) {
  for (const char* entry : {"1-0", "2-0", "3-0"}) add_at(entry, 50);
  EXPECT_EQ(remove({"3-0", "10", "a", "9-0", "10", "b", "1-0", "10", "c", "1-0", "10", "c", "", "",
                    "nobody"}),
            "[10100 [] 1 2-0 [] 0]");
  EXPECT_EQ(queue(), "2-0 / 1 10");
  EXPECT_EQ(remove({}), "['' [] 1 2-0 [] 0]");
}

TEST_F(QueueScripts, RemoveFindsCallersIdsAndSparesWhatExpired) {
  add_named("1-0", "mine", 60);
  add_expiring("2-0", 100);
  add_at("3-0", 50);
  add_named("4-0", "looks-like-9-0", 60);
  EXPECT_EQ(remove({"", "", "mine", "2-0", "5", "x", "1-0", "10", "y", "9-0", "10",
                    "looks-like-9-0", "3-0", "10", "z"}),
            "[20021 [1-0 4-0] 0 2-0 [] 1]");
  EXPECT_EQ(queue(), "2-0 / 1 5");
  EXPECT_EQ(run({"GET", "{t}r:mine"}), "1-0 60 60100");
}

TEST_F(QueueScripts, RemoveWithdrawsWhatIsMovedAlsoIfItHasLeft) {
  add_at("2-0", 50);
  run({"HSET", "{t}m", "1-0", "s10", "2-0", "s10", "lease", "4 90"});
  run({"HSET", "{t}g", "3-0", "cghost"});
  run({"HSET", "{t}c", "mark", "7", "w:8-0", "rs1"});
  run({"SET", "{t}r:ghost", "3-0 50 90000000"});
  EXPECT_EQ(remove({"1-0", "10", "a", "2-0", "10", "b", "", "", "ghost"}),
            "[010 [] 0 '' [mark 7 w:8-0 rs1] 0]")
      << "the state is that of before";
  EXPECT_EQ(run({"HMGET", "{t}c", "w:1-0", "w:2-0"}), "[rs10 rs10]");
  EXPECT_EQ(run({"HGET", "{t}c", "g:3-0"}).substr(13), ":cghost");
  EXPECT_EQ(run({"GET", "{t}r:ghost"}), "3-0 50 60100") << "remembered since it was removed";
}

TEST_F(QueueScripts, RemoveAllGoesInStepsUpToWhereTheQueueEnded) {
  for (const char* entry : {"1-0", "2-0", "3-0"}) add_at(entry, 50);
  const auto remove_all = [&](const Words& rest) {
    Words arguments = {"100", "60000", "{t}r:"};
    arguments.insert(arguments.end(), rest.begin(), rest.end());
    return eval(queue_script<scripts::remove_all>(), arguments);
  };
  EXPECT_EQ(remove_all({"", "", "2", "0", ""}), "[[1-0 2-0] 2-0 0 3-0 1 3-0 [] 0]");
  add_at("4-0", 50);
  EXPECT_EQ(remove_all({"2-0", "3-0", "2", "0", ""}), "[[3-0] 3-0 1 3-0 1 4-0 [] 0]");
  EXPECT_EQ(queue(), "4-0 / 1 10");
  EXPECT_EQ(remove_all({"", "", "2", "1", "did:x"}), "[[] 4-0 1 4-0 1 4-0 [] 0]");
}

TEST_F(QueueScripts, RemoveAllWithdrawsAllThatIsMoved) {
  add_at("2-0", 50);
  run({"HSET", "{t}m", "1-0", "s10", "2-0", "s10", "lease", "4 90"});
  EXPECT_EQ(
      eval(queue_script<scripts::remove_all>(), {"100", "60000", "{t}r:", "", "", "9", "0", ""}),
      "[[2-0] 2-0 1 2-0 0 '' [] 0]");
  EXPECT_EQ(run({"HMGET", "{t}c", "w:1-0", "w:2-0", "w:lease"}), "[rs10 rs10 nil]");
}

TEST_F(QueueScripts, WhatCannotBeReadStopsAScriptBeforeItChangesAnything) {
  run({"XADD", "{t}q", "1-0", "x", "y"});
  add_at("2-0", 50);
  for (const std::string& answer :
       {take({}), eval(queue_script<scripts::status>(), {"100", "", "9", "0", ""}),
        eval(queue_script<scripts::remove_all>(), {"100", "6", "{t}r:", "", "", "9", "0", ""})}) {
    EXPECT_EQ(answer.substr(0, 1), "!") << answer;
    EXPECT_NE(answer.find("not readable"), std::string::npos) << answer;
  }
  EXPECT_EQ(queue(), "1-0 2-0 / 1 10");
}

}  // namespace mpr::redis
