// Adding and removing: idempotency, quotas, deadlines, acknowledgement.
#include <algorithm>

#include "tests/contract/message_store_contract.hpp"

namespace mpr::test {

TEST_P(MessageStoreContract, AnAddIsAnsweredWithWhatWasStored) {
  const auto first = add(MessageBuilder("c", "m-1").received(std::chrono::seconds(1)));
  EXPECT_EQ(first.id, MessageId("m-1"));
  EXPECT_EQ(first.received_at, FakeClock::kStart + std::chrono::seconds(1));
  EXPECT_GT(first.position.value, 0U);
  EXPECT_EQ(first.previous, Position{});
  EXPECT_FALSE(first.duplicate);
}

TEST_P(MessageStoreContract, PreviousIsTheNewestStillPending) {
  const auto first = add(MessageBuilder("c", "m-1"));
  add(MessageBuilder("c", "m-2"));
  add(MessageBuilder("other", "m-3"));
  remove("c", {"m-2"});
  EXPECT_EQ(add(MessageBuilder("c", "m-4")).previous, first.position);
  remove_all("c");
  EXPECT_EQ(add(MessageBuilder("c", "m-5")).previous, Position{});
}

TEST_P(MessageStoreContract, APendingIdOfACallerIsNotStoredTwice) {
  const auto first = add(MessageBuilder("c", "m-1", 100).chosen_by_caller());
  add(MessageBuilder("c", "m-2"));
  const auto again =
      add(MessageBuilder("c", "m-1", 500).chosen_by_caller().received(std::chrono::seconds(30)));
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.id, first.id);
  EXPECT_EQ(again.position, first.position);
  EXPECT_EQ(again.received_at, first.received_at);
  EXPECT_EQ(take_ids(take_query("c")), (Ids{"m-1", "m-2"}));
  EXPECT_EQ(take(take_query("c", 1)).front().size(), 100U);
}

TEST_P(MessageStoreContract, AnIdBelongsToItsConnection) {
  add(MessageBuilder("c", "m-1").chosen_by_caller());
  EXPECT_FALSE(add(MessageBuilder("d", "m-1").chosen_by_caller()).duplicate);
  EXPECT_FALSE(add(MessageBuilder("c", "m-1").tenant("t").chosen_by_caller()).duplicate);
  remove("c", {"m-1"});
  EXPECT_EQ(count("d"), 1U);
}

TEST_P(MessageStoreContract, ARemovedIdOfACallerIsRememberedForTheWindow) {
  StoreSettings settings;
  settings.idempotency_window = std::chrono::seconds(60);
  open(settings);
  const auto by_id = add(MessageBuilder("c", "m-1").chosen_by_caller());
  add(MessageBuilder("c", "m-2").chosen_by_caller());
  add(MessageBuilder("c", "m-3").chosen_by_caller());
  remove("c", {"m-1"});
  TakeQuery query = take_query("c", 1);
  query.mode = TakeMode::remove;
  EXPECT_EQ(take_ids(query), Ids{"m-2"});
  remove_all("c");

  clock_.advance(std::chrono::seconds(59));
  const auto again = add(MessageBuilder("c", "m-1").chosen_by_caller());
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.position, by_id.position);
  EXPECT_EQ(again.received_at, by_id.received_at);
  EXPECT_TRUE(add(MessageBuilder("c", "m-2").chosen_by_caller()).duplicate);
  EXPECT_TRUE(add(MessageBuilder("c", "m-3").chosen_by_caller()).duplicate);
  EXPECT_EQ(count("c"), 0U);

  clock_.advance(std::chrono::seconds(1));
  const auto fresh = add(MessageBuilder("c", "m-1").chosen_by_caller());
  EXPECT_FALSE(fresh.duplicate);
  EXPECT_GT(fresh.position, by_id.position);
  EXPECT_EQ(count("c"), 1U);
}

TEST_P(MessageStoreContract, OldestRememberedIdsAreForgottenFirst) {
  StoreSettings settings;
  settings.remembered_ids = 3;
  open(settings);
  for (int i = 0; i < 5; ++i) {
    const std::string id = "m-" + std::to_string(i);
    add(MessageBuilder("c" + std::to_string(i), id).chosen_by_caller());
    remove("c" + std::to_string(i), {id});
  }
  EXPECT_TRUE(add(MessageBuilder("c4", "m-4").chosen_by_caller()).duplicate);
  EXPECT_TRUE(add(MessageBuilder("c2", "m-2").chosen_by_caller()).duplicate);
  if (!GetParam().knows_totals()) return;
  EXPECT_FALSE(add(MessageBuilder("c1", "m-1").chosen_by_caller()).duplicate);
  EXPECT_FALSE(add(MessageBuilder("c0", "m-0").chosen_by_caller()).duplicate);
}

TEST_P(MessageStoreContract, RemovesTheGivenIdsAndIgnoresUnknownOnes) {
  std::vector<Position> positions;
  for (int i = 0; i < 5; ++i) {
    positions.push_back(add(MessageBuilder("c", "m-" + std::to_string(i))).position);
  }
  RemoveOutcome outcome = remove("c", {"m-4", "nobody", "m-1", "m-1", ""});
  std::sort(outcome.removed.begin(), outcome.removed.end());
  EXPECT_EQ(outcome.removed, (std::vector<Position>{positions[1], positions[4]}));
  EXPECT_EQ(outcome.remaining, 3U);
  EXPECT_EQ(take_ids(take_query("c")), (Ids{"m-0", "m-2", "m-3"}));

  outcome = remove("c", {"m-4", "m-1"});
  EXPECT_TRUE(outcome.removed.empty());
  EXPECT_EQ(outcome.remaining, 3U);
  EXPECT_TRUE(remove("nowhere", {"m-0"}).removed.empty());
  EXPECT_TRUE(remove("c", {}).removed.empty());
}

TEST_P(MessageStoreContract, RemovesEverythingOrEverythingOfOneRecipient) {
  add(MessageBuilder("c", "m-1").dids({"did:a"}));
  add(MessageBuilder("c", "m-2").dids({"did:b"}));
  add(MessageBuilder("c", "m-3").dids({"did:b", "did:a"}));
  add(MessageBuilder("other", "m-4").dids({"did:a"}));

  RemoveOutcome outcome = remove_all("c", "did:a");
  EXPECT_EQ(outcome.removed.size(), 2U);
  EXPECT_EQ(outcome.remaining, 1U);
  EXPECT_EQ(take_ids(take_query("c")), Ids{"m-2"});
  QueueQuery query = all_of("c");
  query.recipient_did = RecipientDid("did:b");
  EXPECT_EQ(count(query), 1U);
  outcome = remove_all("c");
  EXPECT_EQ(outcome.removed.size(), 1U);
  EXPECT_EQ(outcome.remaining, 0U);
  EXPECT_TRUE(remove_all("c").removed.empty());
  EXPECT_EQ(count("other"), 1U);
}

TEST_P(MessageStoreContract, TakeWithRemovalRemovesExactlyWhatItReturns) {
  std::vector<MessageRef> refs;
  for (int i = 0; i < 6; ++i) {
    const std::string id = "m-" + std::to_string(i);
    refs.push_back({MessageId(id), add(MessageBuilder("c", id).dids({"did:a"})).position});
  }
  add(MessageBuilder("c", "m-6").dids({"did:b"}));
  TakeQuery query = take_query("c", 2);
  query.mode = TakeMode::remove;
  query.queue.recipient_did = RecipientDid("did:a");
  query.queue.exclude = {refs[1]};
  EXPECT_EQ(take_ids(query), (Ids{"m-0", "m-2"}));
  EXPECT_EQ(take_ids(take_query("c")), (Ids{"m-1", "m-3", "m-4", "m-5", "m-6"}));
  query.limit = 0;
  query.limit_bytes = 250;
  EXPECT_EQ(take_ids(query), (Ids{"m-3", "m-4"}));
  query.queue.recipient_did.reset();
  query.limit_bytes = 0;
  query.queue.exclude.clear();
  query.after = refs[1].position;
  EXPECT_EQ(take_ids(query), (Ids{"m-5", "m-6"}));
  EXPECT_EQ(take_ids(take_query("c")), Ids{"m-1"});
}

TEST_P(MessageStoreContract, AFullQueueRefusesUntilThereIsRoom) {
  StoreSettings settings;
  settings.max_queue_messages = 3;
  open(settings);
  for (int i = 0; i < 3; ++i) add(MessageBuilder("c", "m-" + std::to_string(i)).chosen_by_caller());
  const auto refused = run_add(MessageBuilder("c", "m-3"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::quota_exceeded);
  EXPECT_NE(refused.error().context.find("3"), std::string::npos) << "names the limit";
  EXPECT_EQ(count("c"), 3U);
  EXPECT_TRUE(add(MessageBuilder("c", "m-0").chosen_by_caller()).duplicate);
  EXPECT_FALSE(add(MessageBuilder("other", "m-3")).duplicate);
  remove("c", {"m-1"});
  EXPECT_FALSE(add(MessageBuilder("c", "m-3")).duplicate);
}

TEST_P(MessageStoreContract, QuotasOfBytesHold) {
  StoreSettings settings;
  settings.max_queue_bytes = 250;
  settings.max_store_bytes = 500;
  open(settings);
  add(MessageBuilder("a", "m-1", 200));
  const auto queue_full = run_add(MessageBuilder("a", "m-2", 100));
  ASSERT_FALSE(queue_full.has_value());
  EXPECT_EQ(queue_full.error().code, Errc::quota_exceeded);
  EXPECT_NE(queue_full.error().context.find("250"), std::string::npos);
  if (!GetParam().knows_totals()) return;
  add(MessageBuilder("b", "m-3", 200));
  const auto store_full = run_add(MessageBuilder("c", "m-4", 101));
  ASSERT_FALSE(store_full.has_value());
  EXPECT_EQ(store_full.error().code, Errc::quota_exceeded);
  EXPECT_NE(store_full.error().context.find("500"), std::string::npos);
  remove("a", {"m-1"});
  add(MessageBuilder("c", "m-4", 101));
}

TEST_P(MessageStoreContract, QuotasHoldWhenAddsArriveTogether) {
  StoreSettings settings;
  settings.max_queue_messages = 10;
  open(settings);
  std::vector<Task<Result<AddOutcome>>> adds;
  for (int i = 0; i < 30; ++i) {
    adds.push_back(
        store_->add(MessageBuilder("c", "m-" + std::to_string(i)).message, Deadline::never()));
  }
  std::size_t accepted = 0;
  for (const auto& outcome : loop_.run(when_all(std::move(adds)))) accepted += outcome.has_value();
  EXPECT_EQ(accepted, 10U);
  EXPECT_EQ(count("c"), 10U);
}

TEST_P(MessageStoreContract, WhatIsLateIsRefusedAndNotApplied) {
  add(MessageBuilder("c", "m-1"));
  const Deadline past{std::chrono::steady_clock::now() - std::chrono::seconds(1)};
  const auto added = loop_.run(store_->add(MessageBuilder("c", "m-2").message, past));
  const auto removed = loop_.run(store_->remove(connection("c"), {MessageId("m-1")}, past));
  const auto cleared = loop_.run(store_->remove_all(connection("c"), std::nullopt, past));
  TakeQuery query = take_query("c");
  query.mode = TakeMode::remove;
  const auto taken = loop_.run(store_->take(query, past));
  const auto counted = loop_.run(store_->count(all_of("c"), past));
  for (const Errc code : {added.error().code, removed.error().code, cleared.error().code,
                          taken.error().code, counted.error().code}) {
    EXPECT_EQ(code, Errc::deadline_exceeded);
  }
  EXPECT_EQ(take_ids(take_query("c")), Ids{"m-1"});
}

TEST_P(MessageStoreContract, WhatOneThreadStartsTogetherTakesEffectInOrder) {
  for (int round = 0; round < 20; ++round) {
    const std::string c = "c" + std::to_string(round);
    std::vector<Task<Result<AddOutcome>>> adds;
    Ids expected;
    for (int i = 0; i < 50; ++i) {
      expected.push_back("m-" + std::to_string(i));
      adds.push_back(store_->add(MessageBuilder(c, expected.back()).message, Deadline::never()));
    }
    const auto outcomes = loop_.run(when_all(std::move(adds)));
    Position last;
    for (const auto& outcome : outcomes) {
      ASSERT_TRUE(outcome.has_value());
      EXPECT_EQ(outcome->previous, last);
      last = outcome->position;
    }
    EXPECT_EQ(take_ids(take_query(c)), expected);
  }
}

namespace {
// Outcomes of operations that were started together, each awaited in a member of one group.
struct Mixed {
  std::optional<Result<AddOutcome>> first;
  std::optional<Result<AddOutcome>> twin;
  std::optional<Result<std::uint64_t>> counted;
  std::optional<Result<std::vector<StoredMessage>>> taken;
  std::optional<Result<AddOutcome>> after_take;
  std::optional<Result<RemoveOutcome>> removed;
  std::optional<Result<RemoveOutcome>> cleared;
  std::optional<Result<std::uint64_t>> counted_last;
};

template <class T>
Task<bool> keep_outcome(Task<T> task, std::optional<T>& slot) {
  slot.emplace(co_await task);
  co_return true;
}

void start_mixed(MessageStore& store, Mixed& out, std::vector<Task<bool>>& tasks) {
  const Deadline never = Deadline::never();
  tasks.push_back(keep_outcome(
      store.add(MessageBuilder("c", "m-1").chosen_by_caller().message, never), out.first));
  tasks.push_back(keep_outcome(
      store.add(MessageBuilder("c", "m-1").chosen_by_caller().message, never), out.twin));
  tasks.push_back(keep_outcome(store.count(all_of("c"), never), out.counted));
  TakeQuery query = take_query("c");
  query.mode = TakeMode::remove;
  tasks.push_back(keep_outcome(store.take(query, never), out.taken));
  tasks.push_back(keep_outcome(
      store.add(MessageBuilder("c", "m-2").chosen_by_caller().message, never), out.after_take));
  std::vector<MessageId> both;
  both.emplace_back("m-1");
  both.emplace_back("m-2");
  tasks.push_back(keep_outcome(store.remove(connection("c"), both, never), out.removed));
  tasks.push_back(
      keep_outcome(store.remove_all(connection("c"), std::nullopt, never), out.cleared));
  tasks.push_back(keep_outcome(store.count(all_of("c"), never), out.counted_last));
}
}  // namespace

TEST_P(MessageStoreContract, MixedOperationsStartedTogetherTakeEffectInOrder) {
  Mixed out;
  std::vector<Task<bool>> tasks;
  start_mixed(*store_, out, tasks);
  loop_.run(when_all(std::move(tasks)));

  EXPECT_FALSE(out.first->value().duplicate);
  EXPECT_TRUE(out.twin->value().duplicate);
  EXPECT_EQ(out.twin->value().position, out.first->value().position);
  EXPECT_EQ(out.counted->value(), 1U);
  EXPECT_EQ(ids_of(out.taken->value()), Ids{"m-1"});
  EXPECT_FALSE(out.after_take->value().duplicate);
  EXPECT_EQ(out.after_take->value().previous, Position{});
  EXPECT_EQ(out.removed->value().removed, std::vector<Position>{out.after_take->value().position});
  EXPECT_EQ(out.removed->value().remaining, 0U);
  EXPECT_TRUE(out.cleared->value().removed.empty());
  EXPECT_EQ(out.counted_last->value(), 0U);
}

TEST_P(MessageStoreContract, AnIdRemovedTwiceTogetherIsRemovedOnce) {
  add(MessageBuilder("c", "m-1"));
  std::vector<Task<Result<RemoveOutcome>>> removals;
  for (int i = 0; i < 4; ++i) {
    removals.push_back(store_->remove(connection("c"), {MessageId("m-1")}, Deadline::never()));
  }
  std::size_t removed = 0;
  for (const auto& outcome : loop_.run(when_all(std::move(removals)))) {
    removed += outcome.value().removed.size();
    EXPECT_EQ(outcome.value().remaining, 0U);
  }
  EXPECT_EQ(removed, 1U);
}

}  // namespace mpr::test
