// What one gateway does between two steps of another one, on one database. Writes of the gateway
// behind the proxy wait until the test lets them pass.
#include <algorithm>
#include <future>
#include <set>

#include "store/mongo/message_queues.hpp"
#include "tests/integration/mongo_bed.hpp"

namespace mpr::test {

namespace {

using std::chrono::seconds;
using Ids = std::vector<std::string>;

// A gateway whose writes to the queue the test holds.
class HeldGateway {
 public:
  HeldGateway(const std::string& database, Clock& clock, Metrics& metrics) {
    MongoStore::Options options;
    options.uri = proxy_.fresh_uri() + "&socketTimeoutMS=100000";
    options.database = database;
    options.workers = 1;
    options.copy_workers = 1;
    options.patience = seconds(100);
    store_ = std::move(MongoStore::open(options, clock, metrics).value());
  }
  ~HeldGateway() {
    release();
    if (busy_.joinable()) busy_.join();
  }
  HeldGateway(const HeldGateway&) = delete;
  HeldGateway& operator=(const HeldGateway&) = delete;

  MongoStore& store() { return *store_; }
  void tell(const std::string& command) { proxy_.tell(command); }
  // Writes that name a document of the queue wait from now on.
  void hold() { tell("hold //c/"); }
  void release() { tell("release"); }
  // Lets the write that waits pass.
  void step() { tell("step"); }
  bool holds_one() { return !proxy_.tell("held").starts_with("0"); }

  // Does it beside the test, until it ends or a write of it waits.
  template <class T>
  std::future<T> start(Task<T> task) {
    auto done = std::make_shared<std::promise<T>>();
    auto future = done->get_future();
    if (busy_.joinable()) busy_.join();
    busy_ = std::thread([task = std::move(task), done]() mutable {
      RunLoop loop;
      done->set_value(loop.run(std::move(task)));
    });
    until_held(future);
    return future;
  }
  // Yields whether a write waits; otherwise the operation has ended.
  template <class T>
  bool until_held(std::future<T>& future) {
    const auto end = std::chrono::steady_clock::now() + seconds(60);
    while (!holds_one()) {
      if (future.wait_for(std::chrono::milliseconds(5)) == std::future_status::ready) return false;
      if (std::chrono::steady_clock::now() > end) {
        ADD_FAILURE() << "the gateway neither writes nor ends";
        return false;
      }
    }
    return true;
  }
  // Lets so many writes pass, and waits for the next one; false: there is none.
  template <class T>
  bool steps(int count, std::future<T>& future) {
    for (int i = 0; i < count; ++i) {
      if (!holds_one()) return false;
      step();
      if (!until_held(future)) return false;
    }
    return true;
  }

 private:
  MongoProxy proxy_;
  std::unique_ptr<MongoStore> store_;
  std::thread busy_;
};

class MongoGateways : public MongoBed {
 protected:
  static std::string database_of(const std::string& uri) {
    const auto slash = uri.rfind('/');
    return uri.substr(slash + 1, uri.find('?', slash) - slash - 1);
  }
  static Deadline ample() { return Deadline::after(seconds(100)); }

  std::unique_ptr<HeldGateway> held_gateway() {
    return std::make_unique<HeldGateway>(database_of(uri_), clock_, metrics_);
  }

  // The other gateway's add of "late" has a position, and has not been sent; meanwhile "passing",
  // here, got the same position and was acknowledged. Then it is sent: it fills that gap.
  std::future<Result<AddOutcome>> fill_gap() {
    EXPECT_TRUE(add(other_->store(), message("first"), ample()).has_value());
    other_->hold();
    auto late = other_->start(other_->store().add(message("late"), ample()));
    const auto passing = add(*here_, message("passing"), ample());
    EXPECT_TRUE(passing.has_value());
    gap_ = passing->position;
    EXPECT_TRUE(remove(*here_, {"passing"}, ample()).has_value());
    EXPECT_TRUE(other_->steps(1, late));
    EXPECT_EQ(here(), (Ids{"first", "late"}));
    EXPECT_EQ(all().back().position, gap_);
    return late;
  }
  Ids here() { return ids(*here_); }
  Messages all() {
    auto taken = take(*here_, TakeMode::keep, ample());
    EXPECT_TRUE(taken.has_value()) << taken.error().context;
    return taken.value_or(Messages());
  }

  // Two gateways that know nothing yet, on an empty database.
  void SetUp() override {
    uri_ = MongoServer::instance().fresh_uri();
    here_ = open(uri_);
    other_ = held_gateway();
  }

  std::string uri_;
  std::unique_ptr<MongoStore> here_;
  std::unique_ptr<HeldGateway> other_;
  Position gap_;
};

// How many writes follow the insert that fills a gap until its add is answered, at most.
constexpr int kMostSteps = 12;

}  // namespace

// The step at which the acknowledgement comes is tried one by one.
TEST_F(MongoGateways, WhatIsAcknowledgedWhileItIsMovedStaysGone) {
  for (int at = 0; at < kMostSteps; ++at) {
    SCOPED_TRACE(at);
    SetUp();
    auto late = fill_gap();
    const bool in_between = other_->steps(at, late);
    const auto removed = remove(*here_, {"late"}, ample());
    ASSERT_TRUE(removed.has_value()) << removed.error().context;
    EXPECT_EQ(removed->remaining, 1U);
    other_->release();
    EXPECT_TRUE(late.get().has_value());
    EXPECT_EQ(here(), Ids{"first"});
    if (!in_between) return;
  }
  FAIL() << "the add takes more writes than this test thinks";
}

TEST_F(MongoGateways, WhatIsMovedWhileItIsRemovedIsGone) {
  const auto third = held_gateway();
  auto late = fill_gap();
  third->hold();
  auto removal = third->start(third->store().remove(connection(), {MessageId("late")}, ample()));
  ASSERT_TRUE(third->steps(1, removal)) << "the tail is written, the message is still to go";
  other_->release();
  const auto added = late.get();
  ASSERT_TRUE(added.has_value()) << added.error().context;
  EXPECT_GT(added->position, gap_);
  third->release();
  const auto removed = removal.get();
  ASSERT_TRUE(removed.has_value()) << removed.error().context;
  EXPECT_EQ(removed->removed, std::vector{added->position});
  EXPECT_EQ(removed->remaining, 1U);
  EXPECT_EQ(here(), Ids{"first"});
}

TEST_F(MongoGateways, WhatFillsAGapIsMovedBehindEverythingThatAReaderMayHavePassed) {
  auto late = fill_gap();
  const auto passed = add(*here_, message("passed"), ample());
  ASSERT_TRUE(passed.has_value());
  ASSERT_TRUE(remove(*here_, {"passed"}, ample()).has_value());
  const auto before = add(*here_, message("before"), ample());
  ASSERT_TRUE(before.has_value());
  other_->release();
  const auto added = late.get();
  ASSERT_TRUE(added.has_value()) << added.error().context;
  EXPECT_GT(added->position, before->position);
  EXPECT_FALSE(added->previous && *added->previous < before->position);
  ASSERT_TRUE(add(*here_, message("here"), ample()).has_value());
  ASSERT_TRUE(add(other_->store(), message("there"), ample()).has_value());
  EXPECT_EQ(here(), (Ids{"first", "before", "late", "here", "there"}));
  EXPECT_EQ(all()[2].position, added->position);
}

TEST_F(MongoGateways, OfTwoThatHandAMessageOutOneGetsIt) {
  ASSERT_TRUE(
      copy(*here_, {tier_message("m-1", 10), tier_message("m-2", 20), tier_message("m-3", 30)})
          .has_value());
  const std::vector<MessageId> all_of_them = {MessageId("m-1"), MessageId("m-2"), MessageId("m-3")};
  other_->hold();
  auto there = other_->start(other_->store().claim_and_remove(connection(), all_of_them, ample()));
  ASSERT_TRUE(other_->steps(2, there)) << "the tail is written, the first one is gone";
  const auto taken = loop_.run(here_->claim_and_remove(connection(), all_of_them, ample()));
  ASSERT_TRUE(taken.has_value()) << taken.error().context;
  other_->release();
  const auto taken_there = there.get();
  ASSERT_TRUE(taken_there.has_value()) << taken_there.error().context;
  EXPECT_EQ(taken_there->removed, std::vector{Position{10}});
  EXPECT_EQ(taken->removed, (std::vector{Position{20}, Position{30}}));
  EXPECT_EQ(taken->remaining + taken_there->remaining, 0U);
}

TEST_F(MongoGateways, AnAddKnowsOfRemovalsElsewhereAndFillsNoGap) {
  ASSERT_TRUE(add(other_->store(), message("first"), ample()).has_value());
  const auto passing = add(*here_, message("passing"), ample());
  ASSERT_TRUE(passing.has_value());
  ASSERT_TRUE(remove(*here_, {"passing"}, ample()).has_value());
  // For a moment what was read of the queue's end is believed.
  const auto forgotten = std::chrono::steady_clock::now() + std::chrono::milliseconds(30);
  ASSERT_TRUE(eventually([&] { return std::chrono::steady_clock::now() > forgotten; }));
  other_->hold();
  auto late = other_->start(other_->store().add(message("late"), ample()));
  EXPECT_FALSE(other_->steps(1, late)) << "more than the insert was written";
  other_->release();
  const auto added = late.get();
  ASSERT_TRUE(added.has_value()) << added.error().context;
  EXPECT_EQ(added->position.value, passing->position.value + 1);
}

// A session goes on behind the last position it saw. An add that begins while a message is on its
// way must not overtake it.
TEST_F(MongoGateways, NothingAppearsInFrontOfWhatWasSeen) {
  for (int at = 0; at < kMostSteps; ++at) {
    SCOPED_TRACE(at);
    SetUp();
    auto late = fill_gap();
    const bool in_between = other_->steps(at, late);
    const auto meanwhile = add(*here_, message("meanwhile"), ample());
    ASSERT_TRUE(meanwhile.has_value()) << meanwhile.error().context;
    TakeQuery query;
    query.queue.connection = connection();
    query.after = gap_;
    Ids seen;
    const auto read_on = [&] {
      const auto taken = loop_.run(here_->take(query, ample()));
      ASSERT_TRUE(taken.has_value()) << taken.error().context;
      for (const auto& m : *taken) {
        seen.push_back(m.id.value);
        query.after = m.position;
      }
    };
    read_on();
    other_->release();
    ASSERT_TRUE(late.get().has_value());
    read_on();
    EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()),
              (std::set<std::string>{"late", "meanwhile"}));
    if (!in_between) return;
  }
  FAIL() << "the add takes more writes than this test thinks";
}

TEST_F(MongoGateways, WhatIsInFlightStaysHiddenWhenItIsMoved) {
  auto late = fill_gap();
  TakeQuery query;
  query.queue.connection = connection();
  query.queue.exclude = {{MessageId("late"), gap_}};
  other_->release();
  ASSERT_TRUE(late.get().has_value());
  EXPECT_EQ(loop_.run(here_->count(query.queue, ample())), 1U);
  query.after = gap_;
  const auto behind = loop_.run(here_->take(query, ample()));
  ASSERT_TRUE(behind.has_value()) << behind.error().context;
  EXPECT_TRUE(behind->empty());
}

// The answer to each of its writes is lost once, that of the insert included.
TEST_F(MongoGateways, AMoveWithoutAnAnswerIsDoneOnce) {
  for (int at = 0; at < kMostSteps; ++at) {
    SCOPED_TRACE(at);
    SetUp();
    ASSERT_TRUE(add(other_->store(), message("first"), ample()).has_value());
    other_->hold();
    auto late = other_->start(other_->store().add(message("late"), ample()));
    ASSERT_TRUE(add(*here_, message("passing"), ample()).has_value());
    const auto before = add(*here_, message("before"), ample());
    ASSERT_TRUE(before.has_value());
    ASSERT_TRUE(remove(*here_, {"passing"}, ample()).has_value());
    const bool in_between = other_->steps(at, late);
    if (in_between) other_->tell("swallow 1");
    other_->release();
    const auto added = late.get();
    ASSERT_TRUE(added.has_value()) << added.error().context;
    EXPECT_FALSE(added->duplicate);
    EXPECT_GT(added->position, before->position);
    const Messages found = all();
    ASSERT_EQ(found.size(), 3U);
    EXPECT_EQ(found.back().id, MessageId("late"));
    EXPECT_EQ(found.back().position, added->position);
    if (!in_between) return;
  }
  FAIL() << "the add takes more writes than this test thinks";
}

TEST_F(MongoGateways, AnInsertWithoutAnAnswerIsNotRepeatedAfterItsAcknowledgement) {
  ASSERT_TRUE(add(other_->store(), message("first"), ample()).has_value());
  other_->hold();
  auto late = other_->start(other_->store().add(message("late"), ample()));
  other_->tell("swallow 1");
  other_->tell("primary none");
  other_->release();
  ASSERT_TRUE(eventually([&] { return here() == Ids{"first", "late"}; }));
  ASSERT_TRUE(remove(*here_, {"late"}, ample()).has_value());
  other_->tell("primary 0");
  const auto added = late.get();
  ASSERT_FALSE(added.has_value());
  EXPECT_EQ(added.error().code, Errc::unavailable);
  EXPECT_EQ(added.error().effect, Error::Effect::unknown);
  EXPECT_EQ(here(), Ids{"first"});
  ASSERT_TRUE(add(other_->store(), message("next"), ample()).has_value());
  EXPECT_EQ(here(), (Ids{"first", "next"}));
}

TEST_F(MongoGateways, ARemovalThatIsLateSaysWhetherItMayBeDone) {
  ASSERT_TRUE(add(*here_, message("first"), ample()).has_value());
  other_->hold();
  auto removal = other_->start(
      other_->store().remove(connection(), {MessageId("first")}, Deadline::after(seconds(4))));
  ASSERT_TRUE(other_->holds_one());
  const auto behind =
      remove(other_->store(), {"other"}, Deadline::after(std::chrono::milliseconds(50)));
  ASSERT_FALSE(behind.has_value());
  EXPECT_EQ(behind.error().code, Errc::deadline_exceeded);
  EXPECT_EQ(behind.error().effect, Error::Effect::none);
  const auto late = removal.get();
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, Errc::deadline_exceeded);
  EXPECT_EQ(late.error().effect, Error::Effect::unknown);
  other_->release();
  EXPECT_TRUE(eventually([&] { return here().empty(); }));
}

// Its place, and its _id, have become another message's while the removal was on its way.
TEST_F(MongoGateways, ARemovalTakesNothingButWhatItLookedAt) {
  const auto third = held_gateway();
  ASSERT_TRUE(add(other_->store(), message("first"), ample()).has_value());
  other_->hold();
  auto late = other_->start(other_->store().add(message("late"), ample()));
  ASSERT_TRUE(add(*here_, message("passing"), ample()).has_value());
  third->hold();
  auto removal = third->start(third->store().remove(connection(), {MessageId("passing")}, ample()));
  ASSERT_TRUE(third->steps(1, removal));
  ASSERT_TRUE(remove(*here_, {"passing"}, ample()).has_value());
  ASSERT_TRUE(other_->steps(1, late));
  third->release();
  EXPECT_TRUE(removal.get().has_value());
  other_->release();
  ASSERT_TRUE(late.get().has_value());
  EXPECT_EQ(here(), (Ids{"first", "late"}));
}

TEST_F(MongoGateways, WhatIsPutBackFindsRoomAlthoughItsPlaceIsTaken) {
  ASSERT_TRUE(add(other_->store(), message("first"), ample()).has_value());
  other_->hold();
  auto late = other_->start(other_->store().add(message("late"), ample()));
  ASSERT_TRUE(add(*here_, message("passing"), ample()).has_value());

  MongoOptions options;
  const auto pool = mongo::Pool::open(uri_, "", 1);
  ASSERT_TRUE(pool.has_value());
  mongo::StoreState state(options, **pool, clock_, metrics_);
  mongo::MessageQueues queues(state);
  mongo::RemoveOperation operation(connection(), {}, ample());
  TakeQuery query;
  query.queue.connection = connection();
  query.mode = TakeMode::remove;
  const auto taken = queues.take(query, {}, operation);
  ASSERT_TRUE(taken.has_value()) << taken.error().context;
  ASSERT_EQ(taken->messages.size(), 2U);
  other_->release();
  ASSERT_TRUE(late.get().has_value());
  EXPECT_EQ(here(), Ids{"late"});

  queues.put_back(*taken);
  EXPECT_EQ(here(), (Ids{"first", "passing", "late"}));
  queues.put_back(*taken);
  EXPECT_EQ(here(), (Ids{"first", "passing", "late"}));
}

}  // namespace mpr::test
