// MongoStore on a real server: copying, several gateways, what the existing service left behind.
#include <algorithm>
#include <random>
#include <set>

#include "store/mongo/description.hpp"
#include "tests/integration/mongo_bed.hpp"
#include "tests/support/log_capture.hpp"

namespace mpr::test {

namespace {
using Ids = std::vector<std::string>;

class MongoStoreTest : public MongoBed {
 protected:
  const std::string uri_ = MongoServer::instance().fresh_uri();

  void insert_old(int from, int count, std::int64_t created_ms) {
    const auto pool = mongo::Pool::open(uri_, "", 1);
    mongo::Database database(**pool);
    std::vector<mongo::Document> documents;
    std::vector<const mongo::Document*> pointers;
    for (int i = from; i < from + count; ++i) {
      documents.push_back(old_document(i, created_ms + i / 2, "old-" + std::to_string(i)));
    }
    for (const auto& document : documents) pointers.push_back(&document);
    const auto inserted =
        database.insert(mongo::Table::messages, pointers, mongo::InsertOrder::strict);
    ASSERT_TRUE(inserted.has_value()) << inserted.error().context;
    ASSERT_TRUE(inserted->empty());
  }
};

}  // namespace

TEST_F(MongoStoreTest, CopiesAreReadInTheOrderOfTheirPositions) {
  const auto store = open(uri_, PositionsFrom::hot_tier);
  const auto results =
      copy(*store, {tier_message("m-3", 30), tier_message("m-1", 10), tier_message("m-2", 20)});
  ASSERT_TRUE(results.has_value()) << results.error().context;
  for (const auto& result : *results) EXPECT_EQ(result.outcome, CopyOutcome::copied);
  EXPECT_EQ(ids(*store), (Ids{"m-1", "m-2", "m-3"}));
  EXPECT_EQ(take(*store)->front().position, Position{10});
}

TEST_F(MongoStoreTest, ACopyOfWhatIsThereIsKnown) {
  const auto store = open(uri_, PositionsFrom::hot_tier);
  ASSERT_TRUE(copy(*store, {tier_message("m-1", 10), tier_message("m-2", 20)}).has_value());
  const auto again =
      copy(*store, {tier_message("m-1", 10), tier_message("m-3", 30), tier_message("m-2", 20)});
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ((*again)[0].outcome, CopyOutcome::known);
  EXPECT_EQ((*again)[1].outcome, CopyOutcome::copied);
  EXPECT_EQ((*again)[2].outcome, CopyOutcome::known);
  EXPECT_EQ(ids(*store), (Ids{"m-1", "m-2", "m-3"}));
}

TEST_F(MongoStoreTest, AMessageThatTheDatabaseCannotTakeIsRefusedAlone) {
  const auto store = open(uri_, PositionsFrom::hot_tier);
  const auto results =
      copy(*store, {tier_message("m-1", 10), tier_message("m-2", 20, std::string(17 << 20, 'x')),
                    tier_message("m-3", 30)});
  ASSERT_TRUE(results.has_value()) << results.error().context;
  EXPECT_EQ((*results)[0].outcome, CopyOutcome::copied);
  EXPECT_EQ((*results)[1].outcome, CopyOutcome::refused);
  EXPECT_NE((*results)[1].reason.find("16 MiB"), std::string::npos);
  EXPECT_EQ((*results)[2].outcome, CopyOutcome::copied);
  EXPECT_EQ(ids(*store), (Ids{"m-1", "m-3"}));
}

TEST_F(MongoStoreTest, PayloadsThatServersFindHardComeBackByteForByte) {
  const auto store = open(uri_, PositionsFrom::hot_tier);
  const std::vector<std::string> payloads = {R"({"a":"\u0000"})",
                                             std::string("{\"a\0b\":1}", 9),
                                             "{\"a\":\"\xff\"}",
                                             R"({"$where":"1","b.c":2,"":3})",
                                             R"({"a":{"$k":[]}})",
                                             R"({ "spaced" : 1.50 })",
                                             R"({"deep":[[[[[[1,2.5,-7,true,null,"é"]]]]]]})"};
  std::vector<TierMessage> batch;
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    batch.push_back(tier_message("m-" + std::to_string(i), i + 1, payloads[i]));
  }
  const auto results = copy(*store, batch);
  ASSERT_TRUE(results.has_value()) << results.error().context;
  for (std::size_t i = 0; i < results->size(); ++i) {
    EXPECT_EQ((*results)[i].outcome, CopyOutcome::copied) << payloads[i] << (*results)[i].reason;
  }
  const auto taken = take(*store);
  ASSERT_EQ(taken->size(), payloads.size());
  for (std::size_t i = 0; i < payloads.size(); ++i) EXPECT_EQ(*(*taken)[i].payload, payloads[i]);
}

TEST_F(MongoStoreTest, AColdReadStopsAtThePositionAndLeavesOutTheWithdrawn) {
  const auto store = open(uri_, PositionsFrom::hot_tier);
  std::vector<TierMessage> batch;
  for (int i = 1; i <= 6; ++i) {
    batch.push_back(tier_message("m-" + std::to_string(i), static_cast<std::uint64_t>(i)));
  }
  ASSERT_TRUE(copy(*store, batch).has_value());
  const ColdPart part{Position{5}, {MessageId("m-2")}};
  TakeQuery query;
  query.queue.connection = connection();
  query.queue.exclude = {{MessageId("m-3"), Position{3}}};
  const auto taken = loop_.run(store->take_cold(query, part, patient()));
  ASSERT_TRUE(taken.has_value());
  ASSERT_EQ(taken->size(), 2U);
  EXPECT_EQ((*taken)[0].id, MessageId("m-1"));
  EXPECT_EQ((*taken)[1].id, MessageId("m-4"));
  EXPECT_EQ(loop_.run(store->count_cold(query.queue, part, patient())), 2U);
  EXPECT_EQ(loop_.run(store->status_cold(query.queue, part, patient()))->message_count, 2U);
}

TEST_F(MongoStoreTest, ACopyTakesThePlaceOfAnExpiredOneOfItsId) {
  const auto store = open(uri_, PositionsFrom::hot_tier);
  auto first = tier_message("m-1", 10);
  first.message.expires_at = clock_.now() + std::chrono::seconds(1);
  ASSERT_TRUE(copy(*store, {first}).has_value());
  clock_.advance(std::chrono::seconds(2));
  const auto results = copy(*store, {tier_message("m-1", 20), tier_message("m-2", 30)});
  ASSERT_TRUE(results.has_value());
  EXPECT_EQ((*results)[0].outcome, CopyOutcome::copied);
  EXPECT_EQ(ids(*store), (Ids{"m-1", "m-2"}));
}

TEST_F(MongoStoreTest, ExpiredCopiesAreSweptAndCounted) {
  const auto store = open(uri_, PositionsFrom::hot_tier);
  auto batch = std::vector{tier_message("m-1", 1), tier_message("m-2", 2), tier_message("m-3", 3)};
  batch[0].message.expires_at = FakeClock::kStart + std::chrono::seconds(1);
  batch[2].message.expires_at = FakeClock::kStart + std::chrono::seconds(1);
  ASSERT_TRUE(copy(*store, batch).has_value());
  EXPECT_EQ(loop_.run(store->remove_expired(100, patient())), 0U);
  clock_.advance(std::chrono::seconds(1));
  EXPECT_EQ(ids(*store), Ids{"m-2"});
  EXPECT_EQ(loop_.run(store->remove_expired(1, patient())), 1U);
  EXPECT_EQ(loop_.run(store->remove_expired(100, patient())), 1U);
  EXPECT_EQ(loop_.run(store->remove_expired(100, patient())), 0U);
  EXPECT_EQ(metrics_.messages_expired.value(), 2U);
}

TEST_F(MongoStoreTest, TheSweepForgetsIdsPastTheirWindowAndRemovesWhatExpired) {
  MongoStore::Options options;
  options.sweep_every = std::chrono::seconds(1);
  const auto store = open(uri_, PositionsFrom::store, options);
  auto removed = message("removed");
  removed.id_origin = IdOrigin::caller;
  auto expiring = message("expiring");
  expiring.expires_at = FakeClock::kStart + std::chrono::seconds(1);
  ASSERT_TRUE(add(*store, removed).has_value());
  ASSERT_TRUE(add(*store, expiring).has_value());
  ASSERT_TRUE(add(*store, message("stays")).has_value());
  ASSERT_TRUE(remove(*store, {"removed"}).has_value());

  const auto pool = mongo::Pool::open(uri_, "", 1);
  mongo::Database database(**pool);
  const auto documents_in = [&](mongo::Table table) {
    return database.count(table, mongo::Document(), patient()).value_or(99);
  };
  clock_.advance(std::chrono::seconds(1));
  EXPECT_TRUE(eventually([&] { return documents_in(mongo::Table::messages) == 1; }));
  EXPECT_EQ(documents_in(mongo::Table::removed_ids), 1U);
  clock_.advance(options.idempotency_window);
  EXPECT_TRUE(eventually([&] { return documents_in(mongo::Table::removed_ids) == 0; }));
  EXPECT_EQ(ids(*store), Ids{"stays"});
}

TEST_F(MongoStoreTest, OldDocumentsAreServedInPlaceInFrontOfOurs) {
  insert_old(0, 6, FakeClock::kStart.time_since_epoch().count() - 1000);
  const auto store = open(uri_);
  ASSERT_TRUE(add(*store, message("new-1")).has_value());
  ASSERT_TRUE(add(*store, message("new-2")).has_value());

  EXPECT_EQ(ids(*store),
            (Ids{"old-0", "old-1", "old-2", "old-3", "old-4", "old-5", "new-1", "new-2"}));
  EXPECT_EQ(count(*store), 8U);
  const auto all = take(*store);
  EXPECT_TRUE(std::is_sorted(all->begin(), all->end(),
                             [](const auto& a, const auto& b) { return a.position < b.position; }));
  EXPECT_EQ(*all->front().payload, R"({"protected":"old","number":0})");

  TakeQuery query;
  query.queue.connection = connection();
  query.queue.recipient_did = RecipientDid("did:odd");
  query.queue.exclude = {{(*all)[1].id, (*all)[1].position}};
  const auto odd = loop_.run(store->take(query, patient()));
  ASSERT_EQ(odd->size(), 2U);
  EXPECT_EQ((*odd)[0].id, MessageId("old-3"));
  query.queue.recipient_did.reset();
  query.after = (*all)[4].position;
  query.limit = 2;
  const auto behind = loop_.run(store->take(query, patient()));
  ASSERT_EQ(behind->size(), 2U);
  EXPECT_EQ((*behind)[0].id, MessageId("old-5"));
  EXPECT_EQ((*behind)[1].id, MessageId("new-1"));
}

TEST_F(MongoStoreTest, OldDocumentsAreCountedAndRemovedAsOthersAre) {
  insert_old(0, 4, FakeClock::kStart.time_since_epoch().count() - 1000);
  const auto store = open(uri_);
  const auto all = take(*store);
  const auto status = loop_.run(store->status({connection(), std::nullopt, {}}, patient()));
  EXPECT_EQ(status->message_count, 4U);
  EXPECT_EQ(status->total_bytes, 4 * all->front().size());
  const auto removed = remove(*store, {"old-1", "old-3"});
  EXPECT_EQ(removed->removed.size(), 2U);
  EXPECT_EQ(removed->remaining, 2U);
  EXPECT_EQ(take(*store, TakeMode::remove)->size(), 2U);
  EXPECT_EQ(count(*store), 0U);
  EXPECT_GT(add(*store, message("new-1"))->position, all->back().position);
}

TEST_F(MongoStoreTest, OldDocumentsWithOneIdTwiceAreBothRemoved) {
  insert_old(0, 1, 1'700'000'000'000);
  const auto pool = mongo::Pool::open(uri_, "", 1);
  mongo::Database database(**pool);
  const auto twin = old_document(9, 1'700'000'000'500, "old-0");
  const mongo::Document* const pointer = &twin;
  ASSERT_TRUE(database.insert(mongo::Table::messages, {&pointer, 1}, mongo::InsertOrder::any));
  const auto store = open(uri_);
  EXPECT_EQ(ids(*store), (Ids{"old-0", "old-0"}));
  EXPECT_EQ(remove(*store, {"old-0"})->remaining, 0U);
}

TEST_F(MongoStoreTest, AnOldDocumentWithoutAMessageIdIsAcknowledgedByItsOwn) {
  const auto whole = old_document(7, 1'700'000'000'000, "dropped");
  mongo::Document nameless;
  bson_copy_to_excluding_noinit(whole.get(), nameless.get(), "messageId", nullptr);
  const mongo::Document* const pointer = &nameless;
  const auto pool = mongo::Pool::open(uri_, "", 1);
  mongo::Database database(**pool);
  ASSERT_TRUE(database.insert(mongo::Table::messages, {&pointer, 1}, mongo::InsertOrder::any));
  insert_old(0, 1, 1'700'000'000'000);
  const auto store = open(uri_);
  EXPECT_EQ(ids(*store), (Ids{"old-0", "65a000000000000000000007"}));
  const auto removed = remove(*store, {"65a000000000000000000007"});
  ASSERT_TRUE(removed.has_value()) << removed.error().context;
  EXPECT_EQ(removed->removed.size(), 1U);
  EXPECT_EQ(ids(*store), Ids{"old-0"});
}

// What one of several messages says has to hold for the part that was asked for.
TEST_F(MongoStoreTest, TheNewestPushTokenIsThatOfTheNewestMessageOfThePart) {
  const auto store = open(uri_, PositionsFrom::hot_tier);
  std::vector<TierMessage> batch;
  for (std::uint64_t i = 1; i <= 4; ++i) {
    batch.push_back(tier_message("m-" + std::to_string(i), i));
    if (i == 2) continue;
    batch.back().message.push_token =
        PushToken{PushProvider::fcm, "token-" + std::to_string(i), ""};
  }
  ASSERT_TRUE(copy(*store, batch).has_value());
  const auto newest = [&](ColdPart part, std::size_t most) {
    const auto token =
        loop_.run(store->newest_push_token_cold(connection(), part, most, patient()));
    EXPECT_TRUE(token.has_value()) << token.error().context;
    return token && *token ? (*token)->token : "";
  };
  EXPECT_EQ(newest({}, 16), "token-4");
  EXPECT_EQ(newest({Position{4}, {}}, 16), "token-3");
  EXPECT_EQ(newest({std::nullopt, {MessageId("m-4")}}, 16), "token-3");
  EXPECT_EQ(newest({Position{4}, {MessageId("m-3")}}, 16), "token-1");
  EXPECT_EQ(newest({Position{4}, {MessageId("m-3")}}, 1), "");
}

TEST_F(MongoStoreTest, AnAnswerThatTakesTooLongIsAnErrorAndNotItsBeginning) {
  insert_old(0, 3, 1'700'000'000'000);
  const auto pool = mongo::Pool::open(uri_, "", 1);
  mongo::Database database(**pool);
  const auto found =
      database.find(mongo::Table::messages, {}, Deadline::after(-std::chrono::seconds(1)),
                    [](const bson_t&) { return true; });
  EXPECT_FALSE(found.has_value());
}

// Several stores on one database are several gateways.
TEST_F(MongoStoreTest, GatewaysThatAddTogetherGiveEveryMessageItsOwnPosition) {
  constexpr int kGateways = 3;
  constexpr int kEach = 100;
  std::vector<std::unique_ptr<MongoStore>> stores;
  for (int g = 0; g < kGateways; ++g) stores.push_back(open(uri_));
  std::vector<std::thread> threads;
  for (int g = 0; g < kGateways; ++g) {
    threads.emplace_back([&, g] {
      RunLoop loop;
      Position last;
      for (int i = 0; i < kEach; ++i) {
        const std::string id = "g" + std::to_string(g) + "-" + std::to_string(i);
        const auto added =
            loop.run(stores[static_cast<std::size_t>(g)]->add(message(id), patient()));
        ASSERT_TRUE(added.has_value()) << added.error().context;
        EXPECT_GT(added->position, last);
        last = added->position;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<std::uint64_t> positions;
  const auto taken = take(*stores[0]);
  for (const auto& m : *taken) positions.insert(m.position.value);
  EXPECT_EQ(taken->size(), static_cast<std::size_t>(kGateways * kEach));
  EXPECT_EQ(positions.size(), taken->size());
}

// A reader that goes on behind the last position it saw, as a live session does, misses nothing.
TEST_F(MongoStoreTest, MessagesAppearInTheOrderOfTheirPositions) {
  constexpr int kEach = 80;
  std::vector<std::unique_ptr<MongoStore>> stores;
  for (int g = 0; g < 2; ++g) stores.push_back(open(uri_));
  const auto reader = open(uri_);
  const auto remover = open(uri_);
  std::atomic<int> done = 0;
  std::vector<std::thread> threads;
  for (int g = 0; g < 2; ++g) {
    threads.emplace_back([&, g] {
      RunLoop loop;
      for (int i = 0; i < kEach; ++i) {
        const std::string id = "g" + std::to_string(g) + "-" + std::to_string(i);
        const auto added =
            loop.run(stores[static_cast<std::size_t>(g)]->add(message(id), patient()));
        EXPECT_TRUE(added.has_value()) << added.error().context;
      }
      ++done;
    });
  }
  std::vector<std::string> seen;
  TakeQuery query;
  query.queue.connection = connection();
  for (bool last_look = false;;) {
    const auto taken = loop_.run(reader->take(query, patient()));
    ASSERT_TRUE(taken.has_value()) << taken.error().context;
    std::vector<MessageId> acknowledged;
    for (const auto& m : *taken) {
      seen.push_back(m.id.value);
      query.after = m.position;
      acknowledged.push_back(m.id);
    }
    // By another gateway, which makes the newest message vanish under the writers.
    if (!acknowledged.empty()) {
      ASSERT_TRUE(loop_.run(remover->remove(connection(), acknowledged, patient())).has_value());
    }
    if (last_look) break;
    last_look = done.load() == 2;
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(seen.size(), 2U * kEach);
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 2U * kEach);
  EXPECT_EQ(count(*reader), 0U);
}

TEST_F(MongoStoreTest, AnIdOfACallerIsStoredOnceByManyGateways) {
  std::vector<std::unique_ptr<MongoStore>> stores;
  for (int g = 0; g < 3; ++g) stores.push_back(open(uri_));
  for (int round = 0; round < 15; ++round) {
    NewMessage twin = message("round-" + std::to_string(round));
    twin.id_origin = IdOrigin::caller;
    std::atomic<int> fresh = 0;
    std::vector<std::thread> threads;
    for (auto& store : stores) {
      threads.emplace_back([&] {
        RunLoop loop;
        const auto added = loop.run(store->add(twin, patient()));
        ASSERT_TRUE(added.has_value()) << added.error().context;
        if (!added->duplicate) ++fresh;
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(fresh.load(), 1);
  }
  EXPECT_EQ(count(*stores[0]), 15U);
}

TEST_F(MongoStoreTest, GatewaysThatTakeTogetherNeverGetTheSameMessage) {
  constexpr int kMessages = 60;
  std::vector<std::unique_ptr<MongoStore>> stores;
  for (int g = 0; g < 3; ++g) stores.push_back(open(uri_));
  for (int i = 0; i < kMessages; ++i) {
    ASSERT_TRUE(add(*stores[0], message("message-" + std::to_string(i))).has_value());
  }
  std::mutex mutex;
  std::multiset<std::string> all;
  std::vector<std::thread> threads;
  for (auto& store : stores) {
    threads.emplace_back([&] {
      RunLoop loop;
      for (;;) {
        TakeQuery query;
        query.queue.connection = connection();
        query.limit = 7;
        query.mode = TakeMode::remove;
        const auto taken = loop.run(store->take(query, patient()));
        ASSERT_TRUE(taken.has_value()) << taken.error().context;
        const auto left = loop.run(store->count({connection(), std::nullopt, {}}, patient()));
        if (taken->empty() && *left == 0) return;
        std::lock_guard lock(mutex);
        for (const auto& m : *taken) all.insert(m.id.value);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(all.size(), static_cast<std::size_t>(kMessages));
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), all.size());
}

TEST_F(MongoStoreTest, TheTailOutlivesTheNewestMessageForEveryGateway) {
  const auto one = open(uri_);
  const auto other = open(uri_);
  Position last;
  for (int i = 0; i < 10; ++i) {
    MongoStore& adds = i % 2 ? *one : *other;
    MongoStore& removes = i % 3 ? *one : *other;
    const std::string id = "message-" + std::to_string(i);
    const auto added = add(adds, message(id));
    ASSERT_TRUE(added.has_value());
    EXPECT_GT(added->position, last);
    ASSERT_EQ(remove(removes, {id})->remaining, 0U);
    last = *loop_.run(adds.tail(connection(), patient()));
    EXPECT_GE(last, added->position);
  }
}

TEST_F(MongoStoreTest, WorksOverTlsAndSaysSo) {
  const std::string uri = MongoServer::instance().fresh_tls_uri();
  if (uri.empty()) GTEST_FAIL() << "the given database has no TLS listener known to the tests";
  MongoStore::Options options;
  options.uri = uri;
  const auto found = describe_mongodb(options);
  ASSERT_TRUE(found.has_value()) << found.error().context;
  EXPECT_TRUE(found->tls);
  const auto store = open(uri);
  ASSERT_TRUE(add(*store, message("m-1")).has_value());
  EXPECT_EQ(ids(*store), Ids{"m-1"});
}

TEST_F(MongoStoreTest, DescribesTheServer) {
  MongoStore::Options options;
  options.uri = uri_;
  const auto before = describe_mongodb(options);
  ASSERT_TRUE(before.has_value()) << before.error().context;
  EXPECT_FALSE(before->missing_indexes.empty());
  insert_old(0, 1, 1'700'000'000'000);
  open(uri_);
  const auto after = describe_mongodb(options);
  ASSERT_TRUE(after.has_value()) << after.error().context;
  EXPECT_TRUE(after->missing_indexes.empty());
  EXPECT_TRUE(after->has_old_documents);
  EXPECT_FALSE(after->version.empty());
  EXPECT_FALSE(after->tls);
  if (MongoServer::instance().is_ferretdb()) {
    EXPECT_EQ(after->kind, MongoDescription::Kind::ferretdb);
  }
}

TEST_F(MongoStoreTest, AnIndexThatDiffersIsReportedAndLeftAlone) {
  const auto pool = mongo::Pool::open(uri_, "", 1);
  mongo::Database database(**pool);
  mongo::Document key;
  key.small("somethingElse", 1);
  mongo::Document index;
  index.document("key", key).text("name", "mpr_queue");
  mongo::Array list;
  list.document(index);
  mongo::Document command;
  command.text("createIndexes", "storequeuedmessages").array("indexes", list.done());
  ASSERT_TRUE(database.command(command).has_value());
  const LogCapture log;
  const auto store = open(uri_);
  EXPECT_EQ(log.with("an index is not as it should be").size(), 1U);
  EXPECT_TRUE(add(*store, message("m-1")).has_value());
}

}  // namespace mpr::test
