// Taking, counting and status: order, limits, filters, exclusion.
#include "tests/contract/message_store_contract.hpp"

namespace mpr::test {

TEST_P(MessageStoreContract, AnEmptyQueueAnswersEmptyNotAnError) {
  EXPECT_TRUE(take(take_query("c")).empty());
  EXPECT_EQ(count("c"), 0U);
  EXPECT_EQ(status(all_of("c")), QueueStatus{});
  EXPECT_EQ(newest_push_token("c"), std::nullopt);
  EXPECT_TRUE(store_->ready().has_value());
}

TEST_P(MessageStoreContract, ReturnsAMessageAsItWasAdded) {
  const AddOutcome added = add(MessageBuilder("c", "m-1", 1000)
                                   .dids({"did:key:a"})
                                   .received(std::chrono::milliseconds(-7))
                                   .expires(std::chrono::hours(1))
                                   .token("secret"));
  const auto taken = take(take_query("c"));

  ASSERT_EQ(taken.size(), 1U);
  const StoredMessage& message = taken.front();
  EXPECT_EQ(message.id, MessageId("m-1"));
  EXPECT_EQ(message.position, added.position);
  EXPECT_EQ(message.received_at, FakeClock::kStart - std::chrono::milliseconds(7));
  EXPECT_EQ(message.expires_at, FakeClock::kStart + std::chrono::hours(1));
  EXPECT_EQ(*message.payload, *MessageBuilder("c", "m-1", 1000).message.payload);
  ASSERT_TRUE(message.push_token.has_value());
  EXPECT_EQ(*message.push_token, (PushToken{PushProvider::fcm, "secret", "project"}));
}

TEST_P(MessageStoreContract, KeepsPayloadsOfEverySizeByteForByte) {
  std::vector<std::string> payloads = {"{}", std::string("{\"\0\x01\xff\"}", 7)};
  const std::size_t largest = GetParam().largest_payload;
  payloads.push_back(std::string(largest / 30, 'a'));
  payloads.push_back(std::string(largest, 'b'));
  payloads.push_back(std::string(65, 'c'));
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    MessageBuilder builder("c", "m-" + std::to_string(i));
    builder.message.payload = make_payload(payloads[i]);
    add(builder);
  }
  const auto taken = take(take_query("c"));
  ASSERT_EQ(taken.size(), payloads.size());
  for (std::size_t i = 0; i < payloads.size(); ++i) EXPECT_TRUE(*taken[i].payload == payloads[i]);
}

TEST_P(MessageStoreContract, ReturnsMessagesInTheOrderOfTheirAdds) {
  Ids expected;
  Position last;
  for (int i = 0; i < 300; ++i) {
    expected.push_back("m-" + std::to_string((i * 7919) % 300));
    const auto outcome =
        add(MessageBuilder("c", expected.back())
                .received(std::chrono::milliseconds(-i)));  // arrival decides, not the clock
    EXPECT_GT(outcome.position, last);
    EXPECT_EQ(outcome.previous, last);
    last = outcome.position;
  }
  EXPECT_EQ(take_ids(take_query("c")), expected);
}

TEST_P(MessageStoreContract, TakingWithoutRemovingChangesNothing) {
  add(MessageBuilder("c", "m-1"));
  take(take_query("c"));
  EXPECT_EQ(take_ids(take_query("c")), Ids{"m-1"});
  EXPECT_EQ(count("c"), 1U);
}

TEST_P(MessageStoreContract, LimitAndByteLimitHoldTogether) {
  for (int i = 0; i < 6; ++i) add(MessageBuilder("c", "m-" + std::to_string(i), 100));
  const auto take_with = [&](std::uint64_t limit, std::uint64_t bytes, std::uint64_t response) {
    TakeQuery query = take_query("c", limit);
    query.limit_bytes = bytes;
    query.response_bytes = response;
    return take(query).size();
  };
  EXPECT_EQ(take_with(0, 0, 0), 6U);
  EXPECT_EQ(take_with(4, 0, 0), 4U);
  EXPECT_EQ(take_with(4, 300, 0), 3U);
  EXPECT_EQ(take_with(2, 300, 0), 2U);
  EXPECT_EQ(take_with(4, 299, 0), 2U);
  EXPECT_EQ(take_with(0, 0, 200), 2U);
  EXPECT_EQ(take_with(0, 500, 200), 2U);
  EXPECT_EQ(take_with(0, 99, 0), 1U) << "the first message is returned even when it is too large";
}

TEST_P(MessageStoreContract, TheByteLimitStopsAtTheFirstMessageThatDoesNotFit) {
  add(MessageBuilder("c", "m-1", 100));
  add(MessageBuilder("c", "m-2", 5000));
  add(MessageBuilder("c", "m-3", 100));
  TakeQuery query = take_query("c");
  query.limit_bytes = 300;
  EXPECT_EQ(take_ids(query), Ids{"m-1"});
}

TEST_P(MessageStoreContract, TakesOnlyWhatIsBehindAPosition) {
  add(MessageBuilder("c", "m-1"));
  const AddOutcome second = add(MessageBuilder("c", "m-2"));
  add(MessageBuilder("c", "m-3"));
  add(MessageBuilder("c", "m-4"));
  remove("c", {"m-2"});

  TakeQuery query = take_query("c", 1);
  query.after = second.position;
  EXPECT_EQ(take_ids(query), Ids{"m-3"});
  query.after = tail("c");
  EXPECT_TRUE(take(query).empty());
}

TEST_P(MessageStoreContract, BothFiltersHold) {
  add(MessageBuilder("c", "m-1").dids({"did:a"}));
  add(MessageBuilder("c", "m-2").dids({"did:b", "did:a"}));
  add(MessageBuilder("c", "m-3").dids({"did:b"}));
  add(MessageBuilder("c", "m-4"));
  add(MessageBuilder("other", "m-5").dids({"did:a"}));

  TakeQuery query = take_query("c");
  query.queue.recipient_did = RecipientDid("did:a");
  EXPECT_EQ(take_ids(query), (Ids{"m-1", "m-2"}));
  EXPECT_EQ(count(query.queue), 2U);
  EXPECT_EQ(status(query.queue).message_count, 2U);
  query.queue.recipient_did = RecipientDid("did:b");
  EXPECT_EQ(take_ids(query), (Ids{"m-2", "m-3"}));
  query.limit = 1;
  EXPECT_EQ(take_ids(query), Ids{"m-2"});
  query.queue.recipient_did = RecipientDid("did:none");
  EXPECT_TRUE(take(query).empty());
  EXPECT_EQ(count(query.queue), 0U);
  EXPECT_EQ(count("c"), 4U);
}

TEST_P(MessageStoreContract, ARecipientNamedTwiceCountsOnce) {
  add(MessageBuilder("c", "m-1").dids({"did:a", "did:a"}));
  QueueQuery query = all_of("c");
  query.recipient_did = RecipientDid("did:a");
  EXPECT_EQ(count(query), 1U);
  EXPECT_EQ(remove_all("c", "did:a").removed.size(), 1U);
  EXPECT_EQ(count(query), 0U);
}

TEST_P(MessageStoreContract, TenantsAreApart) {
  add(MessageBuilder("c", "m-1").tenant("one"));
  add(MessageBuilder("c", "m-2").tenant("two"));
  add(MessageBuilder("ec", "m-3").tenant("on"));

  TakeQuery query = take_query("c");
  EXPECT_TRUE(take(query).empty());
  query.queue.connection = connection("c", "one");
  EXPECT_EQ(take_ids(query), Ids{"m-1"});
  query.queue.connection = connection("ec", "on");
  EXPECT_EQ(take_ids(query), Ids{"m-3"});
  const auto removed =
      loop_.run(store_->remove(connection("c", "two"), {MessageId("m-1")}, Deadline::never()));
  ASSERT_TRUE(removed.has_value());
  EXPECT_TRUE(removed->removed.empty());
}

TEST_P(MessageStoreContract, OddIdsNameTheirOwnQueues) {
  const Ids odd = {"a",
                   "a ",
                   " a",
                   "aa",
                   std::string(255, 'a'),
                   "\u00e4",
                   "\u65e5\u672c\u8a9e",
                   "{a}",
                   "a:b",
                   "a/b",
                   "..",
                   "*",
                   std::string("a\0b", 3),
                   "%s",
                   "a\n"};
  for (const auto& id : odd) add(MessageBuilder(id, "m-" + id));
  for (const auto& id : odd) {
    EXPECT_EQ(take_ids(take_query(id)), Ids{"m-" + id});
    EXPECT_EQ(count(id), 1U);
  }
  for (const auto& id : odd) {
    EXPECT_EQ(remove(id, {"m-" + id}).removed.size(), 1U);
    EXPECT_EQ(count(id), 0U);
  }
}

TEST_P(MessageStoreContract, WhatIsExcludedIsNeitherTakenNorCounted) {
  std::vector<MessageRef> refs;
  for (int i = 0; i < 6; ++i) {
    const std::string id = "m-" + std::to_string(i);
    const auto outcome = add(MessageBuilder("c", id, 100 + static_cast<std::size_t>(i))
                                 .dids({i % 2 ? "did:odd" : "did:even"})
                                 .received(std::chrono::milliseconds(i)));
    refs.push_back({MessageId(id), outcome.position});
  }
  remove("c", {"m-3"});

  TakeQuery query = take_query("c");
  query.queue.exclude = {refs[0], refs[3], refs[4]};  // m-3 is gone already
  EXPECT_EQ(take_ids(query), (Ids{"m-1", "m-2", "m-5"}));
  EXPECT_EQ(count(query.queue), 3U);
  EXPECT_EQ(status(query.queue),
            (QueueStatus{3, 101 + 102 + 105, FakeClock::kStart + std::chrono::milliseconds(1),
                         FakeClock::kStart + std::chrono::milliseconds(5)}));
  query.limit = 2;
  EXPECT_EQ(take_ids(query), (Ids{"m-1", "m-2"})) << "excluded messages do not use up the limit";
  query.queue.recipient_did = RecipientDid("did:even");
  EXPECT_EQ(count(query.queue), 1U);
  EXPECT_EQ(take_ids(query), Ids{"m-2"});
  query.queue.exclude = refs;
  EXPECT_EQ(count(query.queue), 0U);
  EXPECT_EQ(status(query.queue), QueueStatus{});
}

TEST_P(MessageStoreContract, ExcludedPositionsThatNeverWereDoNotChangeTheCount) {
  const auto first = add(MessageBuilder("c", "m-1"));
  const auto second = add(MessageBuilder("c", "m-2"));
  const auto stranger = add(MessageBuilder("other", "m-3"));
  QueueQuery query = all_of("c");
  query.exclude = {{MessageId("x"), Position{0}},
                   {MessageId("m-1"), first.position},
                   {MessageId("m-1"), first.position},
                   {MessageId("y"), Position{second.position.value + 1'000'000}}};
  if (stranger.position > second.position &&
      stranger.position.value != second.position.value + 1'000'000) {
    query.exclude.insert(query.exclude.begin() + 3, {MessageId("m-3"), stranger.position});
  }
  EXPECT_EQ(count(query), 1U);
  EXPECT_EQ(status(query).message_count, 1U);
}

TEST_P(MessageStoreContract, StatusSumsAndTimesWhatItCounts) {
  add(MessageBuilder("c", "m-1", 100).received(std::chrono::seconds(5)));
  add(MessageBuilder("c", "m-2", 200).received(std::chrono::seconds(2)));
  add(MessageBuilder("c", "m-3", 300).received(std::chrono::seconds(9)));
  add(MessageBuilder("c", "m-4", 400).received(std::chrono::seconds(7)));
  EXPECT_EQ(status(all_of("c")), (QueueStatus{4, 1000, FakeClock::kStart + std::chrono::seconds(2),
                                              FakeClock::kStart + std::chrono::seconds(9)}));
  remove("c", {"m-2", "m-3"});
  EXPECT_EQ(status(all_of("c")), (QueueStatus{2, 500, FakeClock::kStart + std::chrono::seconds(5),
                                              FakeClock::kStart + std::chrono::seconds(7)}));
}

TEST_P(MessageStoreContract, TotalsCoverAllQueues) {
  add(MessageBuilder("a", "m-1", 100));
  add(MessageBuilder("a", "m-2", 200));
  add(MessageBuilder("b", "m-3", 300));
  if (!GetParam().knows_totals()) return;
  StoreTotals totals = store_->totals();
  EXPECT_EQ(totals.messages, 3U);
  EXPECT_EQ(totals.bytes, 600U);
  EXPECT_EQ(totals.queues, 2U);
  EXPECT_EQ(metrics_.messages_pending.value(), 3);
  EXPECT_EQ(metrics_.bytes_pending.value(), 600);
  EXPECT_EQ(metrics_.queues.value(), 2);
  remove("a", {"m-1"});
  remove_all("b");
  totals = store_->totals();
  EXPECT_EQ(totals.messages, 1U);
  EXPECT_EQ(totals.bytes, 200U);
  EXPECT_EQ(totals.queues, 1U);
  EXPECT_EQ(metrics_.messages_pending.value(), 1);
}

TEST_P(MessageStoreContract, EveryLaterAddIsBehindTheTail) {
  const Position before = tail("c");
  const auto first = add(MessageBuilder("c", "m-1"));
  EXPECT_GT(first.position, before);
  EXPECT_GE(tail("c"), first.position);
  remove("c", {"m-1"});
  const Position after_removal = tail("c");
  EXPECT_GE(after_removal, first.position);
  EXPECT_GT(add(MessageBuilder("c", "m-2")).position, after_removal);
}

TEST_P(MessageStoreContract, TheNewestPushTokenIsSearchedInTheNewestSixteen) {
  add(MessageBuilder("c", "m-1").token("old"));
  EXPECT_EQ(newest_push_token("c")->token, "old");
  add(MessageBuilder("c", "m-2").token("new"));
  for (int i = 0; i < 15; ++i) add(MessageBuilder("c", "n-" + std::to_string(i)));
  ASSERT_TRUE(newest_push_token("c").has_value());
  EXPECT_EQ(*newest_push_token("c"), (PushToken{PushProvider::fcm, "new", "project"}));
  add(MessageBuilder("c", "m-3"));
  EXPECT_EQ(newest_push_token("c"), std::nullopt);
  remove("c", {"m-3", "n-0"});
  EXPECT_EQ(newest_push_token("c")->token, "new");
}

TEST_P(MessageStoreContract, TakesTheSameAtAnyDepth) {
  constexpr int kDepth = 5000;
  std::vector<Task<Result<AddOutcome>>> adds;
  for (int i = 0; i < kDepth; ++i) {
    adds.push_back(
        store_->add(MessageBuilder("c", "m-" + std::to_string(i), 50).message, Deadline::never()));
  }
  loop_.run(when_all(std::move(adds)));
  for (int i = 0; i < kDepth; i += 500) {
    Ids expected;
    for (int k = i; k < i + 500; ++k) expected.push_back("m-" + std::to_string(k));
    EXPECT_EQ(count("c"), static_cast<std::uint64_t>(kDepth - i));
    EXPECT_EQ(take_ids(take_query("c", 500)), expected);
    EXPECT_EQ(remove("c", expected).removed.size(), 500U);
  }
  EXPECT_EQ(count("c"), 0U);
}

}  // namespace mpr::test
