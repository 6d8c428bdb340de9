// What outlives the store object: everything that was answered.
#include "tests/contract/message_store_contract.hpp"

namespace mpr::test {

TEST_P(DurableStoreContract, AnsweredOperationsAreThereAfterARestart) {
  add(MessageBuilder("c", "m-1").dids({"did:a"}).token("secret").expires(std::chrono::hours(1)));
  add(MessageBuilder("c", "m-2").dids({"did:b", "did:a"}));
  add(MessageBuilder("c", "m-3"));
  add(MessageBuilder("d", "m-4").tenant("t"));
  add(MessageBuilder("e", "m-5"));
  remove("c", {"m-2"});
  remove_all("e");
  const auto before = take(take_query("c"));
  const QueueStatus status_before = status(all_of("c"));

  restart();

  const auto after = take(take_query("c"));
  ASSERT_EQ(ids_of(after), (Ids{"m-1", "m-3"}));
  for (std::size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i].position, before[i].position);
    EXPECT_EQ(after[i].received_at, before[i].received_at);
    EXPECT_EQ(after[i].expires_at, before[i].expires_at);
    EXPECT_EQ(after[i].push_token, before[i].push_token);
    EXPECT_EQ(*after[i].payload, *before[i].payload);
  }
  EXPECT_EQ(status(all_of("c")), status_before);
  QueueQuery query = all_of("c");
  query.recipient_did = RecipientDid("did:a");
  EXPECT_EQ(count(query), 1U);
  query = all_of("d");
  query.connection.tenant = TenantId("t");
  EXPECT_EQ(count(query), 1U);
  EXPECT_EQ(count("e"), 0U);
  if (!GetParam().knows_totals()) return;
  const StoreTotals totals = store_->totals();
  EXPECT_EQ(totals.messages, 3U);
  EXPECT_EQ(totals.queues, 2U);
}

TEST_P(DurableStoreContract, PositionsGoOnGrowingAfterARestart) {
  const auto first = add(MessageBuilder("c", "m-1"));
  const auto second = add(MessageBuilder("c", "m-2"));
  remove_all("c");
  const Position tail_before = tail("c");
  restart();
  EXPECT_GE(tail("c"), second.position);
  EXPECT_GE(tail("c"), tail_before);
  const auto third = add(MessageBuilder("c", "m-3"));
  EXPECT_GT(third.position, second.position);
  EXPECT_GT(second.position, first.position);
  EXPECT_EQ(third.previous, Position{});
}

TEST_P(DurableStoreContract, RemovedIdsOfCallersAreRememberedOverARestart) {
  StoreSettings settings;
  settings.idempotency_window = std::chrono::seconds(60);
  open(settings);
  const auto first = add(MessageBuilder("c", "m-1").chosen_by_caller());
  add(MessageBuilder("c", "m-2").chosen_by_caller());
  remove("c", {"m-1"});
  clock_.advance(std::chrono::seconds(30));
  restart();
  const auto again = add(MessageBuilder("c", "m-1").chosen_by_caller());
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.position, first.position);
  EXPECT_EQ(again.received_at, first.received_at);
  EXPECT_TRUE(add(MessageBuilder("c", "m-2").chosen_by_caller()).duplicate);
  clock_.advance(std::chrono::seconds(30));
  restart();
  EXPECT_FALSE(add(MessageBuilder("c", "m-1").chosen_by_caller()).duplicate);
}

TEST_P(DurableStoreContract, MessagesThatExpireWhileTheStoreIsClosedAreGone) {
  add(MessageBuilder("c", "m-1").expires(std::chrono::seconds(5)));
  add(MessageBuilder("c", "m-2"));
  store_.reset();
  clock_.advance(std::chrono::seconds(5));
  restart();
  EXPECT_EQ(take_ids(take_query("c")), Ids{"m-2"});
  if (!GetParam().knows_totals()) return;
  EXPECT_EQ(store_->totals().messages, 1U);
}

TEST_P(DurableStoreContract, ManyRestartsLoseAndRepeatNothing) {
  Ids expected;
  for (int i = 0; i < 30; ++i) {
    const std::string id = "m-" + std::to_string(i);
    add(MessageBuilder("c", id));
    expected.push_back(id);
    if (i % 3 == 2) {
      remove("c", {expected.front()});
      expected.erase(expected.begin());
    }
    restart();
    ASSERT_EQ(take_ids(take_query("c")), expected);
  }
}

}  // namespace mpr::test
