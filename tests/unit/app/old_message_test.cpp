#include "app/old_message.hpp"

#include <gtest/gtest.h>

namespace mpr {
namespace {

constexpr TimePoint kNow{std::chrono::milliseconds(1'800'000'000'000)};

TEST(OldMessage, IsReadWithThePayloadAsItIs) {
  const auto message = parse_old_message(
      R"({"messageId":"a-message-1","connectionId":"phone","recipientDids":["did:a","did:b"],)"
      R"("encryptedMessage":{"protected" : "x\u00e9", "n":1.0e0},"state":"pending",)"
      R"("encryptedMessageByteCount":31,"receivedAt":"2026-01-31T12:00:00.123Z"})",
      kNow);
  ASSERT_TRUE(message) << message.error().context;
  EXPECT_EQ(message->id, MessageId("a-message-1"));
  EXPECT_EQ(message->id_origin, IdOrigin::caller);
  EXPECT_EQ(message->connection, (Connection{TenantId(), ConnectionId("phone")}));
  EXPECT_EQ(message->recipient_dids, (std::vector{RecipientDid("did:a"), RecipientDid("did:b")}));
  EXPECT_EQ(*message->payload, R"({"protected" : "x\u00e9", "n":1.0e0})");
  EXPECT_EQ(to_iso8601(message->received_at), "2026-01-31T12:00:00.123Z");
}

TEST(OldMessage, TakesTimesAsMillisecondsAndNoneAsNow) {
  const auto received = [](std::string_view member) {
    const auto message = parse_old_message(R"({"messageId":"m","connectionId":"c",)" +
                                               std::string(member) + R"("encryptedMessage":{}})",
                                           kNow);
    EXPECT_TRUE(message);
    return message->received_at.time_since_epoch().count();
  };
  EXPECT_EQ(received(R"("receivedAt":1700000000000,)"), 1'700'000'000'000);
  EXPECT_EQ(received(R"("receivedAt":null,)"), kNow.time_since_epoch().count());
  EXPECT_EQ(received(""), kNow.time_since_epoch().count());
}

TEST(OldMessage, NamesWhatIsWrongWithoutShowingIt) {
  const auto problem = [](std::string_view json) {
    const auto message = parse_old_message(json, kNow);
    return message ? std::string("none") : message.error().context;
  };
  EXPECT_TRUE(problem("secret").starts_with("it is not a JSON object"));
  EXPECT_TRUE(problem(R"({"messageId":"m"} x)").starts_with("it is not a JSON object"));
  EXPECT_EQ(problem("{\"messageId\":\"\xff\"}"), "it is not UTF-8 text");
  EXPECT_EQ(problem(R"({"connectionId":"c","encryptedMessage":{}})"),
            "messageId is not a text of 1 to 255 bytes");
  EXPECT_EQ(problem(R"({"messageId":"m","connectionId":7,"encryptedMessage":{}})"),
            "connectionId is not a text of 1 to 255 bytes");
  EXPECT_EQ(problem(R"({"messageId":"m","connectionId":"c","encryptedMessage":"text"})"),
            "encryptedMessage is not an object");
  EXPECT_EQ(
      problem(R"({"messageId":"m","connectionId":"c","recipientDids":"d","encryptedMessage":{}})"),
      "recipientDids is not an array");
  EXPECT_EQ(
      problem(R"({"messageId":"m","connectionId":"c","receivedAt":"soon","encryptedMessage":{}})"),
      "receivedAt is not a time");
}

}  // namespace
}  // namespace mpr
