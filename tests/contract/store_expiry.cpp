// Messages with a time to live, under a clock that only the test moves.
#include "tests/contract/message_store_contract.hpp"

namespace mpr::test {

using std::chrono::seconds;

TEST_P(MessageStoreContract, AMessageIsThereUntilTheMomentItExpires) {
  add(MessageBuilder("c", "m-1").expires(seconds(10)).dids({"did:a"}));
  clock_.advance(seconds(10) - std::chrono::milliseconds(1));
  EXPECT_EQ(count("c"), 1U);
  EXPECT_EQ(take(take_query("c")).size(), 1U);
  clock_.advance(std::chrono::milliseconds(1));
  EXPECT_EQ(count("c"), 0U);
  EXPECT_EQ(status(all_of("c")), QueueStatus{});
  EXPECT_TRUE(take(take_query("c")).empty());
  QueueQuery query = all_of("c");
  query.recipient_did = RecipientDid("did:a");
  EXPECT_EQ(count(query), 0U);
}

TEST_P(MessageStoreContract, ExpiredMessagesAreSkippedAmongOthers) {
  std::vector<MessageRef> refs;
  for (int i = 0; i < 6; ++i) {
    const std::string id = "m-" + std::to_string(i);
    MessageBuilder builder("c", id, i < 5 ? 100 : 77);
    if (i % 2 == 0) builder.expires(seconds(10 + i));
    refs.push_back({MessageId(id), add(builder.dids({"did:a"})).position});
  }
  clock_.advance(seconds(12));  // m-0 and m-2 are gone, m-4 is not
  EXPECT_EQ(take_ids(take_query("c")), (Ids{"m-1", "m-3", "m-4", "m-5"}));
  EXPECT_EQ(take_ids(take_query("c", 2)), (Ids{"m-1", "m-3"}));
  EXPECT_EQ(count("c"), 4U);
  EXPECT_EQ(status(all_of("c")).total_bytes, 377U);
  QueueQuery query = all_of("c");
  query.recipient_did = RecipientDid("did:a");
  query.exclude = {refs[0], refs[1]};  // one expired, one pending
  EXPECT_EQ(count(query), 3U);
  EXPECT_EQ(status(query).message_count, 3U);
}

TEST_P(MessageStoreContract, ExpiredMessagesAreNotReportedAsRemoved) {
  add(MessageBuilder("c", "m-1").expires(seconds(1)));
  add(MessageBuilder("c", "m-2"));
  clock_.advance(seconds(2));
  EXPECT_TRUE(remove("c", {"m-1"}).removed.empty());
  EXPECT_EQ(remove_all("c").removed.size(), 1U);
  EXPECT_EQ(metrics_.messages_expired.value(), 1U);
  if (!GetParam().knows_totals()) return;
  EXPECT_EQ(store_->totals().messages, 0U);
  EXPECT_EQ(store_->totals().queues, 0U);
}

TEST_P(MessageStoreContract, AnExpiredMessageIsNotTakenWithRemoval) {
  add(MessageBuilder("c", "m-1").expires(seconds(1)));
  add(MessageBuilder("c", "m-2").expires(seconds(100)));
  clock_.advance(seconds(2));
  TakeQuery query = take_query("c");
  query.mode = TakeMode::remove;
  EXPECT_EQ(take_ids(query), Ids{"m-2"});
}

TEST_P(MessageStoreContract, AnExpiredMessageGivesItsIdAndItsRoomBack) {
  StoreSettings settings;
  settings.max_queue_messages = 1;
  open(settings);
  add(MessageBuilder("c", "m-1").chosen_by_caller().expires(seconds(1)));
  clock_.advance(seconds(1));
  const auto again = add(MessageBuilder("c", "m-1").chosen_by_caller());
  EXPECT_FALSE(again.duplicate);
  EXPECT_EQ(again.previous, Position{});
  EXPECT_EQ(count("c"), 1U);
}

TEST_P(MessageStoreContract, AnExpiredTokenIsNotTheNewest) {
  add(MessageBuilder("c", "m-1").token("kept"));
  add(MessageBuilder("c", "m-2").token("expired").expires(seconds(1)));
  clock_.advance(seconds(1));
  ASSERT_TRUE(newest_push_token("c").has_value());
  EXPECT_EQ(newest_push_token("c")->token, "kept");
}

TEST_P(MessageStoreContract, AMessageThatIsBornExpiredIsAcceptedAndNeverSeen) {
  add(MessageBuilder("c", "m-1").expires(seconds(-1)));
  EXPECT_EQ(count("c"), 0U);
  EXPECT_TRUE(take(take_query("c")).empty());
}

}  // namespace mpr::test
