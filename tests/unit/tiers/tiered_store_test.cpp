// What readers and removers see of two tiers.
#include "tests/unit/tiers/tier_bed.hpp"

namespace mpr::test {

namespace {

class TieredStoreTest : public TierBed {
 protected:
  template <class T>
  static Errc code_of(const Result<T>& result) {
    return result ? Errc::internal : result.error().code;
  }
  Result<std::uint64_t> try_count(std::string_view id = "phone") {
    return loop_.run(store_.count(queue_of(id), kNever));
  }
};

TEST_F(TieredStoreTest, ReadsBothTiersAsOneQueue) {
  add_old({"m-1", "m-2"});
  archive();
  add(message_to("phone", "m-3", 50));
  ASSERT_EQ(in_cold(), (Ids{"m-1", "m-2"}));
  ASSERT_EQ(in_hot(), Ids{"m-3"});
  EXPECT_EQ(take(), (Ids{"m-1", "m-2", "m-3"}));
  EXPECT_EQ(take(taking(2)), (Ids{"m-1", "m-2"}));
  EXPECT_EQ(count(), 3U);
  const auto status = loop_.run(store_.status(queue_of(), kNever)).value();
  EXPECT_EQ(status, (QueueStatus{3, 250, FakeClock::kStart, FakeClock::kStart}));
}

TEST_F(TieredStoreTest, ByteLimitsReachOverBothTiers) {
  const auto fill = [this](std::size_t second, std::string_view to) {
    add(message_to(to, "m-1", 100));
    add(message_to(to, "m-2", second));
    clock_.advance(std::chrono::seconds(61));
    archive();
    add(message_to(to, "m-3", 100));
    ASSERT_EQ(in_cold(to).size(), 2U);
  };
  fill(5000, "large");
  TakeQuery query = taking(0, "large");
  query.limit_bytes = 300;
  EXPECT_EQ(take(query), Ids{"m-1"}) << "what comes behind one that does not fit stays too";
  fill(100, "small");
  query = taking(0, "small");
  query.limit_bytes = 300;
  EXPECT_EQ(take(query), (Ids{"m-1", "m-2", "m-3"}));
  query.limit_bytes = 299;
  EXPECT_EQ(take(query), (Ids{"m-1", "m-2"}));
  query.limit_bytes = 1;
  EXPECT_EQ(take(query), Ids{"m-1"}) << "the first one fits always, in whichever tier it is";
}

TEST_F(TieredStoreTest, RemovesWhereverAMessageIs) {
  add_old({"m-1", "m-2"});
  archive();
  const auto third = add(message_to("phone", "m-3")).position;
  add(message_to("phone", "m-4"));
  auto outcome = remove({"m-1", "m-3", "m-1", "nobody"});
  EXPECT_EQ(outcome.removed.size(), 2U);
  EXPECT_EQ(outcome.removed.back(), third);
  EXPECT_EQ(outcome.remaining, 2U);
  EXPECT_EQ(take(), (Ids{"m-2", "m-4"}));
  outcome = loop_.run(store_.remove_all(phone(), std::nullopt, kNever)).value();
  EXPECT_EQ(outcome.removed.size(), 2U);
  EXPECT_EQ(outcome.remaining, 0U);
  EXPECT_TRUE(in_cold().empty());
}

TEST_F(TieredStoreTest, RemovesAllOfADeepColdQueue) {
  Ids ids;
  for (int i = 0; i < 2500; ++i) ids.push_back("m-" + std::to_string(i));
  add_old(ids);
  archive();
  ASSERT_EQ(in_cold().size(), 2500U);
  const auto outcome = loop_.run(store_.remove_all(phone(), std::nullopt, kNever)).value();
  EXPECT_EQ(outcome.removed.size(), 2500U);
  EXPECT_EQ(count(), 0U);
}

TEST_F(TieredStoreTest, ATakeThatRemovesSpansBothTiers) {
  add_old({"m-1", "m-2"});
  archive();
  add(message_to("phone", "m-3"));
  add(message_to("phone", "m-4"));
  TakeQuery query = taking(3);
  query.mode = TakeMode::remove;
  EXPECT_EQ(take(query), (Ids{"m-1", "m-2", "m-3"}));
  EXPECT_EQ(take(), Ids{"m-4"});
}

TEST_F(TieredStoreTest, WithoutTheColdTierAnswersAreErrorsNotHalfAnswers) {
  add_old({"m-1"});
  archive();
  add(message_to("phone", "m-2"));
  cold_.fail_all(true);
  TakeQuery removing = taking();
  removing.mode = TakeMode::remove;
  EXPECT_EQ(code_of(try_count()), Errc::unavailable);
  EXPECT_EQ(code_of(loop_.run(store_.take(taking(), kNever))), Errc::unavailable);
  EXPECT_EQ(code_of(loop_.run(store_.take(removing, kNever))), Errc::unavailable);
  EXPECT_EQ(code_of(loop_.run(store_.status(queue_of(), kNever))), Errc::unavailable);
  EXPECT_EQ(code_of(loop_.run(store_.remove(phone(), message_ids({"m-1"}), kNever))),
            Errc::unavailable);
  EXPECT_EQ(code_of(loop_.run(store_.remove_all(phone(), std::nullopt, kNever))),
            Errc::unavailable);
  EXPECT_EQ(store_.ready().error().context, "the database is away");
  cold_.fail_all(false);
  EXPECT_TRUE(store_.ready().has_value());
  EXPECT_EQ(take().front(), "m-1") << "what no answer named is still there";
}

TEST_F(TieredStoreTest, AddsAndPurelyHotQueuesGoOnWithoutTheColdTier) {
  add(message_to("phone", "m-1"));
  ASSERT_EQ(count(), 1U);  // learns that nothing of it is in the cold tier
  cold_.fail_all(true);
  add(message_to("phone", "m-2"));
  EXPECT_EQ(take(), (Ids{"m-1", "m-2"}));
  EXPECT_EQ(remove({"m-1"}).remaining, 1U);
  EXPECT_TRUE(loop_.run(store_.add(message_to("another", "m-3"), kNever)).has_value());
  EXPECT_EQ(cold_.refused_calls(), 0U);
}

TEST_F(TieredStoreTest, AsksTheColdTierNoMoreOnceItWasFoundEmpty) {
  add(message_to("phone", "m-1"));
  EXPECT_EQ(take(), Ids{"m-1"});
  EXPECT_TRUE(hot_.knows_cold_empty(phone()));
  const auto asked = cold_.asked();
  EXPECT_EQ(take(), Ids{"m-1"});
  EXPECT_EQ(count(), 1U);
  remove({"m-1"});
  EXPECT_EQ(cold_.asked(), asked);
}

TEST_F(TieredStoreTest, AFilteredReadThatFindsNothingProvesNothing) {
  NewMessage message = message_to("phone", "m-1");
  message.recipient_dids = {RecipientDid("did:a")};
  add(std::move(message));
  clock_.advance(std::chrono::seconds(61));
  archive();
  QueueQuery query = queue_of();
  query.recipient_did = RecipientDid("did:b");
  EXPECT_EQ(loop_.run(store_.count(query, kNever)).value(), 0U);
  EXPECT_FALSE(hot_.knows_cold_empty(phone()));
  EXPECT_EQ(count(), 1U);
}

TEST_F(TieredStoreTest, LearnsThatTheColdTierIsEmptyAgain) {
  add_old({"m-1"});
  archive();
  remove({"m-1"});
  EXPECT_TRUE(hot_.knows_cold_empty(phone()));
  add_old({"m-2"});
  archive();
  EXPECT_FALSE(hot_.knows_cold_empty(phone()));
  EXPECT_EQ(take(), Ids{"m-2"});
}

TEST_F(TieredStoreTest, TheNewestTokenIsSearchedInTheNewestSixteenOfBothTiers) {
  NewMessage with_token = message_to("phone", "m-0");
  with_token.push_token = PushToken{PushProvider::fcm, "token", ""};
  add(std::move(with_token));
  add_old({"m-1", "m-2", "m-3"});
  archive();
  const auto token = [this] {
    return loop_.run(store_.newest_push_token(phone(), kNever)).value();
  };
  for (int i = 0; i < 12; ++i) add(message_to("phone", "n-" + std::to_string(i)));
  ASSERT_TRUE(token().has_value());
  EXPECT_EQ(token()->token, "token");
  add(message_to("phone", "n-12"));
  EXPECT_FALSE(token().has_value());
}

TEST_F(TieredStoreTest, ATakeReturnsWhatMayBeRemovedAndNotWhatIsSurelyStillThere) {
  Executor::Scope scope(loop_);
  TakeQuery query = taking();
  query.mode = TakeMode::remove;
  for (const auto fault : {Stepper::Fault::unheard, Stepper::Fault::refused}) {
    add_old({"m-1", "m-2"});
    archive();
    add(message_to("phone", "m-3"));
    Stepper steps;
    steps.stop_at_steps(false);
    int removals = 0;
    steps.faults([&](std::string_view name) {
      return name == "remove" && ++removals == 2 ? fault : Stepper::Fault::none;
    });
    SteppedHotStore hot(hot_, steps);
    SteppedColdStore cold(cold_, steps);
    TieredStore store(hot, cold);
    const bool unheard = fault == Stepper::Fault::unheard;
    const auto taken = loop_.run(store.take(query, kNever));
    EXPECT_EQ(names(taken.value()), unheard ? (Ids{"m-1", "m-2", "m-3"}) : (Ids{"m-1", "m-2"}));
    EXPECT_EQ(take(query), unheard ? Ids{} : Ids{"m-3"});
  }
}

TEST_F(TieredStoreTest, TwoTakesShareAQueueAndNeitherComesBackEmptyHanded) {
  Executor::Scope scope(loop_);
  for (int i = 0; i < 4; ++i) add(message_to("phone", "m-" + std::to_string(i)));
  Stepper steps;
  SteppedHotStore hot(hot_, steps);
  SteppedColdStore cold(cold_, steps);
  TieredStore other(hot, cold);
  TakeQuery query = taking(2);
  query.mode = TakeMode::remove;
  std::vector<Ids> taken;
  TaskGroup tasks([](const std::exception_ptr& e) { std::rethrow_exception(e); });
  struct Taker {
    static Task<void> take(TieredStore& store, TakeQuery query, std::vector<Ids>& taken) {
      const auto messages = co_await store.take(std::move(query), kNever);
      taken.push_back(names(messages.value()));
    }
  };
  tasks.spawn(Taker::take(other, query, taken));
  while (steps.waiting() && steps.next_name() != "remove") steps.let_go(0);
  EXPECT_EQ(take(query), (Ids{"m-0", "m-1"})) << "between the other's read and its removal";
  while (steps.waiting()) steps.let_go(0);
  EXPECT_EQ(taken, (std::vector<Ids>{{"m-2", "m-3"}}));
}

}  // namespace

}  // namespace mpr::test
