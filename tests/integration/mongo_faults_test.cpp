// MongoStore when the primary moves, the network fails and the database dies: nothing that was
// answered is lost, nothing is answered that is not so, and it recovers by itself.
#include <algorithm>
#include <random>
#include <set>

#include "tests/integration/mongo_bed.hpp"

namespace mpr::test {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Ids = std::vector<std::string>;

milliseconds since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start);
}

class MongoSet : public MongoBed {
 protected:
  MongoProxy proxy_;
  const std::string uri_ = proxy_.fresh_uri();
};

class MongoDeath : public MongoBed {
 protected:
  MongoDeath() {
    if (!server_.can_be_killed()) ADD_FAILURE() << "a given database cannot be killed by a test";
  }
  MongoServer& server_ = MongoServer::instance();
  const std::string uri_ = server_.fresh_uri();
};

}  // namespace

TEST_F(MongoSet, WorksThroughASetOfThree) {
  const auto store = open(uri_);
  ASSERT_TRUE(store->ready().has_value());
  ASSERT_TRUE(add(*store, message("m-1")).has_value());
  EXPECT_EQ(ids(*store), Ids{"m-1"});
}

TEST_F(MongoSet, FollowsThePrimaryWithinTheClientsDeadline) {
  const auto store = open(uri_);
  Ids expected;
  int late = 0;
  for (int i = 0; i < 6; ++i) {
    proxy_.tell("primary " + std::to_string(i % 3));
    const std::string id = "message-" + std::to_string(i);
    const auto start = std::chrono::steady_clock::now();
    const auto added = add(*store, message(id));
    ASSERT_TRUE(added.has_value()) << i << ": " << added.error().context;
    late += since(start) > std::chrono::seconds(2);
    expected.push_back(id);
  }
  EXPECT_LE(late, 1) << "more often than machines pause";
  EXPECT_EQ(ids(*store), expected);
}

TEST_F(MongoSet, AStepDownInTheMiddleOfAWriteIsTriedAgain) {
  const auto store = open(uri_);
  ASSERT_TRUE(add(*store, message("m-1")).has_value());
  for (const char* step : {"stepdown 1", "stepdown 2"}) {
    proxy_.tell(step);
    ASSERT_TRUE(add(*store, message(std::string("add-") + step)).has_value());
    proxy_.tell(step);
    const auto copied = copy(*store, {tier_message(std::string("copy-") + step, 1)});
    ASSERT_TRUE(copied.has_value()) << copied.error().context;
    proxy_.tell(step);
    ASSERT_TRUE(remove(*store, {std::string("copy-") + step}).has_value());
  }
  EXPECT_EQ(ids(*store), (Ids{"m-1", "add-stepdown 1", "add-stepdown 2"}));
}

TEST_F(MongoSet, AWriteWithoutAnAnswerIsNeitherLostNorDoubled) {
  const auto store = open(uri_);
  Ids expected;
  for (int i = 0; i < 5; ++i) {
    proxy_.tell("swallow 1");
    NewMessage m = message("message-" + std::to_string(i));
    if (i % 2 == 0) m.id_origin = IdOrigin::caller;
    const auto added = add(*store, m, patient());
    ASSERT_TRUE(added.has_value()) << added.error().context;
    EXPECT_FALSE(added->duplicate);
    expected.push_back(m.id.value);
  }
  EXPECT_EQ(ids(*store), expected);
  proxy_.tell("swallow 1");
  const auto copied = copy(*store, {tier_message("copy-1", 1), tier_message("copy-2", 2)});
  ASSERT_TRUE(copied.has_value()) << copied.error().context;
  EXPECT_EQ(count(*store), 7U);
  proxy_.tell("swallow 1");
  const auto removed = remove(*store, {"copy-1", "copy-2"});
  ASSERT_TRUE(removed.has_value()) << removed.error().context;
  EXPECT_EQ(removed->removed.size(), 2U);
  EXPECT_EQ(ids(*store), expected);
}

TEST_F(MongoSet, ATakeWithoutAnAnswerFromTheDatabaseLosesNothing) {
  const auto store = open(uri_);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(add(*store, message("message-" + std::to_string(i))).has_value());
  }
  proxy_.tell("swallow 2");
  std::multiset<std::string> seen;
  for (int i = 0; i < 3; ++i) {
    const auto taken = take(*store, TakeMode::remove);
    if (!taken) continue;
    for (const auto& m : *taken) seen.insert(m.id.value);
  }
  EXPECT_EQ(count(*store), 0U);
  EXPECT_EQ(seen.size(), 3U);
}

TEST_F(MongoSet, CutAndResetConnectionsAreReplaced) {
  const auto store = open(uri_);
  ASSERT_TRUE(add(*store, message("m-1")).has_value());
  for (const char* how : {"cut", "reset"}) {
    proxy_.tell(how);
    const auto counted = count(*store, soon());
    ASSERT_TRUE(counted.has_value()) << counted.error().context;
    proxy_.tell(how);
    ASSERT_TRUE(add(*store, message(std::string("message-") + how), soon()).has_value());
  }
  EXPECT_EQ(count(*store), 3U);
}

TEST_F(MongoSet, WithoutAPrimaryEverythingIsAnErrorInTimeAndNothingIsEmpty) {
  const auto store = open(uri_);
  ASSERT_TRUE(add(*store, message("m-1")).has_value());
  proxy_.tell("primary none");
  const auto start = std::chrono::steady_clock::now();
  const Deadline deadline = Deadline::after(milliseconds(1000));
  EXPECT_FALSE(add(*store, message("m-2"), deadline).has_value());
  EXPECT_LT(since(start), milliseconds(3000));
  EXPECT_FALSE(count(*store, Deadline::after(milliseconds(300))).has_value());
  EXPECT_FALSE(take(*store, TakeMode::keep, Deadline::after(milliseconds(300))).has_value());
  EXPECT_FALSE(remove(*store, {"nobody"}, Deadline::after(milliseconds(300))).has_value());
  EXPECT_FALSE(copy(*store, {tier_message("x", 1)}, Deadline::after(milliseconds(300))));
  EXPECT_TRUE(eventually([&] { return !store->ready().has_value(); }));
  proxy_.tell("primary 2");
  EXPECT_TRUE(eventually([&] { return count(*store, soon()).has_value(); }));
  EXPECT_TRUE(eventually([&] { return store->ready().has_value(); }));
  const Ids found = ids(*store);
  // What was refused for being late may have come in; what was answered is there.
  EXPECT_EQ(std::count(found.begin(), found.end(), "m-1"), 1);
}

TEST_F(MongoSet, ASlowDatabaseDoesNotHoldACallerBeyondItsDeadline) {
  const auto store = open(uri_);
  ASSERT_TRUE(add(*store, message("m-1")).has_value());
  proxy_.tell("delay 1500");
  for (int i = 0; i < 3; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const auto counted = count(*store, Deadline::after(milliseconds(200)));
    ASSERT_FALSE(counted.has_value());
    EXPECT_EQ(counted.error().code, Errc::deadline_exceeded);
    EXPECT_LT(since(start), milliseconds(1200)) << "before the database answers";
  }
  proxy_.tell("delay 0");
  EXPECT_TRUE(eventually([&] { return count(*store, soon()) == 1U; }));
}

// What was taken while nobody waits any more is there again.
TEST_F(MongoSet, ATakeThatComesTooLateLeavesTheMessages) {
  const auto store = open(uri_);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(add(*store, message("message-" + std::to_string(i))).has_value());
  }
  for (const int delay : {40, 70, 110, 160}) {
    proxy_.tell("delay " + std::to_string(delay));
    const auto taken = take(*store, TakeMode::remove, Deadline::after(milliseconds(300)));
    proxy_.tell("delay 0");
    const std::size_t got = taken ? taken->size() : 0;
    ASSERT_TRUE(eventually([&] { return count(*store, soon()) == 3U - got; }));
    for (std::size_t i = 0; i < got; ++i) {
      ASSERT_TRUE(add(*store, message("again-" + std::to_string(delay) + std::to_string(i))));
    }
  }
}

// Random faults under load: what was answered is there, once; what was removed stays gone.
TEST_F(MongoSet, NothingAnsweredIsLostWhateverHappensToTheConnections) {
  const char* const fixed = std::getenv("MPR_SEED");
  const std::uint64_t seed = fixed ? std::strtoull(fixed, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE("MPR_SEED=" + std::to_string(seed));
  const auto store = open(uri_);
  std::atomic<bool> stop = false;
  std::thread faults([&] {
    std::mt19937_64 dice(seed);
    while (!stop.load()) {
      const std::vector<std::string> commands = {
          "primary 0", "primary 1", "primary 2",  "cut",
          "reset",     "swallow 1", "stepdown 1", "delay " + std::to_string(dice() % 30),
          "delay 0"};
      proxy_.tell(commands[dice() % commands.size()]);
      std::this_thread::sleep_for(milliseconds(dice() % 400));
    }
    for (const char* calm : {"primary 0", "delay 0", "swallow 0", "stepdown 0"}) proxy_.tell(calm);
  });
  std::set<std::string> there;
  std::set<std::string> unknown;
  std::mt19937_64 dice(seed + 1);
  Position last;
  for (int i = 0; i < 60; ++i) {
    const std::string id = "message-" + std::to_string(i);
    if (dice() % 3 == 0 && !there.empty()) {
      const std::string victim = *there.begin();
      there.erase(there.begin());
      if (!remove(*store, {victim}, soon())) unknown.insert(victim);
      continue;
    }
    const auto added = add(*store, message(id), soon());
    if (!added) {
      unknown.insert(id);
      continue;
    }
    EXPECT_GT(added->position, last);
    last = added->position;
    there.insert(id);
  }
  stop = true;
  faults.join();
  ASSERT_TRUE(eventually([&] { return count(*store, soon()).has_value(); }));
  std::multiset<std::string> found;
  for (const auto& id : ids(*store)) found.insert(id);
  for (const auto& id : there) EXPECT_EQ(found.count(id), 1U) << id;
  for (const auto& id : found) {
    EXPECT_TRUE(there.contains(id) || unknown.contains(id)) << id << " was removed";
  }
}

TEST_F(MongoDeath, KilledAndStartedAgainItIsBackByItselfWithEverythingAnswered) {
  const auto store = open(uri_);
  Ids expected;
  for (int i = 0; i < 5; ++i) {
    expected.push_back("message-" + std::to_string(i));
    ASSERT_TRUE(add(*store, message(expected.back())).has_value());
  }
  server_.kill9();
  const auto start = std::chrono::steady_clock::now();
  const auto counted = count(*store, soon());
  ASSERT_FALSE(counted.has_value());
  EXPECT_LT(since(start), milliseconds(5000));
  EXPECT_FALSE(take(*store, TakeMode::keep, Deadline::after(milliseconds(500))).has_value());
  EXPECT_TRUE(eventually([&] { return !store->ready().has_value(); }));
  server_.start_again();
  EXPECT_TRUE(eventually([&] { return count(*store, soon()).has_value(); }));
  EXPECT_TRUE(eventually([&] { return store->ready().has_value(); }));
  EXPECT_EQ(ids(*store), expected);
  ASSERT_TRUE(add(*store, message("after")).has_value());
}

TEST_F(MongoDeath, OpensWithoutADatabaseAndWorksAsSoonAsItIsThere) {
  server_.kill9();
  const auto store = open(uri_);
  ASSERT_NE(store, nullptr);
  EXPECT_FALSE(store->ready().has_value());
  EXPECT_FALSE(count(*store, Deadline::after(milliseconds(300))).has_value());
  server_.start_again();
  EXPECT_TRUE(eventually([&] { return store->ready().has_value(); }));
  EXPECT_TRUE(eventually([&] { return add(*store, message("m-1"), soon()).has_value(); }));
}

TEST_F(MongoDeath, APausedDatabaseIsAnErrorInTime) {
  const auto store = open(uri_);
  ASSERT_TRUE(add(*store, message("m-1")).has_value());
  server_.pause();
  const auto start = std::chrono::steady_clock::now();
  const auto counted = count(*store, Deadline::after(milliseconds(500)));
  server_.resume();
  ASSERT_FALSE(counted.has_value());
  EXPECT_LT(since(start), milliseconds(3000));
  EXPECT_TRUE(eventually([&] { return count(*store, soon()) == 1U; }));
}

TEST_F(MongoDeath, AStoreIsClosedInSecondsWhileTheDatabaseIsGone) {
  auto store = open(uri_);
  server_.kill9();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(count(*store, Deadline::after(milliseconds(300))).has_value());
  store.reset();
  EXPECT_LT(since(start), seconds(8));
  server_.start_again();
}

}  // namespace mpr::test
