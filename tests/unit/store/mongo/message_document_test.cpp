#include "store/mongo/message_document.hpp"

#include <gtest/gtest.h>

#include <set>

namespace mpr::mongo {

namespace {

constexpr TimePoint kNow{std::chrono::milliseconds(1'750'000'000'000)};

NewMessage a_message(std::string payload) {
  NewMessage message;
  message.connection = {TenantId("t"), ConnectionId("c")};
  message.id = MessageId("message-1");
  message.recipient_dids = {RecipientDid("did:key:a"), RecipientDid("did:key:b")};
  message.payload = make_payload(std::move(payload));
  message.received_at = kNow - std::chrono::milliseconds(7);
  return message;
}

StoredMessage there_and_back(const NewMessage& message) {
  const Document document = document_of(message, Position{42}, "id", kNow);
  return message_of(*document.get());
}

// As the existing service stores it: mongoose, with an ObjectId and no position.
Document old_document(const char* oid, std::int64_t created_ms, std::string_view id) {
  Document document;
  bson_oid_t key;
  bson_oid_init_from_string(&key, oid);
  bson_append_oid(document.get(), "_id", -1, &key);
  Document payload;
  payload.text("protected", "abc").text("tag", "x");
  document.text("messageId", id).text("connectionId", "c");
  document.document("encryptedMessage", payload).text("state", "pending");
  document.time("createdAt", TimePoint(std::chrono::milliseconds(created_ms)));
  return document;
}

}  // namespace

TEST(MessageDocument, AMessageComesBackAsItWas) {
  NewMessage message = a_message(R"({"ciphertext":"abc","n":1})");
  message.expires_at = kNow + std::chrono::seconds(5);
  message.push_token = PushToken{PushProvider::apns, "token", "project"};
  const StoredMessage stored = there_and_back(message);
  EXPECT_EQ(stored.id, message.id);
  EXPECT_EQ(stored.position, Position{42});
  EXPECT_EQ(stored.received_at, message.received_at);
  EXPECT_EQ(stored.expires_at, message.expires_at);
  EXPECT_EQ(*stored.payload, *message.payload);
  EXPECT_EQ(stored.push_token, message.push_token);
}

TEST(MessageDocument, EveryPayloadComesBackByteForByte) {
  const std::vector<std::string> payloads = {
      "{}",
      R"({"a":1})",
      "{ \"a\" : 1.0 }",
      R"({"a":"\u0000"})",
      "{\"a\":\"\xff\"}",
      std::string("{\"\0\x01\xff\"}", 7),
      R"({"$a":{"b.c":1}})",
  };
  for (const std::string& payload : payloads) {
    const StoredMessage stored = there_and_back(a_message(payload));
    EXPECT_EQ(*stored.payload, payload);
    EXPECT_EQ(stored.size(), payload.size());
  }
}

TEST(MessageDocument, HasTheFieldsThatTheExistingServiceReads) {
  const Document document =
      document_of(a_message(R"({"ciphertext":"abc"})"), Position{42}, "id", kNow);
  EXPECT_EQ(document.json(),
            R"({ "_id" : "id", "messageId" : "message-1", "connectionId" : "c", "tenant" : "t", )"
            R"("recipientKeys" : [ "did:key:a", "did:key:b" ], )"
            R"("encryptedMessage" : { "ciphertext" : "abc" }, "encryptedMessageByteCount" : 20, )"
            R"("state" : "pending", "createdAt" : { "$date" : "2025-06-15T15:06:39.993Z" }, )"
            R"("updatedAt" : { "$date" : "2025-06-15T15:06:40Z" }, "position" : 42 })");
}

TEST(MessageDocument, IdsWithZerosOrBrokenTextAreKept) {
  NewMessage message = a_message("{}");
  message.connection.id.value = std::string("a\0b", 3);
  message.id.value = "\xff\xfe-12345678";
  const Document document = document_of(message, Position{1}, "id", kNow);
  EXPECT_EQ(connection_of(*document.get()), message.connection);
  EXPECT_EQ(message_id_of(*document.get()), message.id);
}

TEST(MessageDocument, IdsOfDifferentMessagesDiffer) {
  const std::vector<std::string> parts = {
      "", "a", "b", "a/b", "/", "%2f", "%", "a/", " ", "\n", "aa", std::string("a\0", 2), "\xff"};
  std::set<std::string> ids;
  std::size_t made = 0;
  for (const auto& tenant : parts) {
    for (const auto& connection : parts) {
      const Connection c{TenantId(tenant), ConnectionId(connection)};
      for (const auto& id : parts) {
        ids.insert(copied_id(c, MessageId(id)));
        ++made;
      }
      ids.insert(added_id(c, Position{1}));
      ids.insert(tail_id(c));
      made += 2;
    }
  }
  EXPECT_EQ(ids.size(), made);
}

TEST(MessageDocument, OldDocumentsAreServedInTheOrderInWhichTheyWereStored) {
  const std::int64_t ms = kNow.time_since_epoch().count();
  const Document first = old_document("65a000000000000000000001", ms, "old-message-1");
  const Document second = old_document("65a000000000000000000002", ms, "old-message-2");
  const Document third = old_document("65a000000000000000000000", ms + 1, "old-message-3");
  EXPECT_LT(position_of(*first.get()), position_of(*second.get()));
  EXPECT_LT(position_of(*second.get()), position_of(*third.get()));
  const StoredMessage message = message_of(*first.get());
  EXPECT_EQ(message.id, MessageId("old-message-1"));
  EXPECT_EQ(message.received_at, kNow);
  EXPECT_EQ(*message.payload, R"({"protected":"abc","tag":"x"})");
  EXPECT_EQ(size_of(*first.get()), message.size());
}

TEST(MessageDocument, OldPositionsAreFromTimeAndCounter) {
  const Document document = old_document("65a000000000000000f00007", 5, "old-message-1");
  EXPECT_EQ(position_of(*document.get()).value, (5ULL << 20) + 0x00007);
}

TEST(MessageDocument, TheFirstPositionIsTheSameAllDayAndBehindEarlierDays) {
  const TimePoint midnight = std::chrono::floor<std::chrono::days>(kNow);
  const Position first = first_position(midnight);
  EXPECT_EQ(first_position(midnight + std::chrono::hours(23)), first);
  EXPECT_GT(first_position(midnight + std::chrono::days(1)).value,
            first.value + 80'000'000'000'000ULL);
}

}  // namespace mpr::mongo
