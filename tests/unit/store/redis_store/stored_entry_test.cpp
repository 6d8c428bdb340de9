#include "store/redis/stored_entry.hpp"

#include <gtest/gtest.h>

#include <random>

#include "store/redis/message_ids.hpp"

namespace mpr::redis {

namespace {

TimePoint at(std::int64_t ms) { return TimePoint(std::chrono::milliseconds(ms)); }

Value text(std::string value) {
  Value out;
  out.kind = Value::Kind::text;
  out.text = std::move(value);
  return out;
}

Value list(std::vector<Value> items) {
  Value out;
  out.kind = Value::Kind::array;
  out.items = std::move(items);
  return out;
}

NewMessage full_message() {
  NewMessage message;
  message.connection = {TenantId("t"), ConnectionId("c")};
  message.id = MessageId("caller-id|1");
  message.id_origin = IdOrigin::caller;
  message.recipient_dids = {RecipientDid("did:a|,b"), RecipientDid(""), RecipientDid("did:c")};
  message.payload = make_payload("{}");
  message.received_at = at(-5);
  message.expires_at = at(2000);
  message.push_token = PushToken{PushProvider::apns, "to|ken", "pro|ject"};
  return message;
}

}  // namespace

TEST(StoredEntry, ADescriptionIsReadableAndStaysAsItIs) {
  NewMessage plain;
  plain.id = MessageId("proposal");
  plain.received_at = at(1000);
  EXPECT_EQ(describe(plain, at(1000), "n1"), "1|1000|||n1||||||");
  EXPECT_EQ(describe(full_message(), at(7), "n2"),
            "1|-5|7|2000|n2|11|a|6|8|8,0,5|caller-id|1to|kenpro|jectdid:a|,bdid:c");
}

TEST(StoredEntry, WhatWasDescribedComesBack) {
  const auto description = parse_description(describe(full_message(), at(7), "n2"));
  ASSERT_TRUE(description.has_value()) << description.error().context;
  EXPECT_EQ(description->received_at, at(-5));
  EXPECT_EQ(description->accepted_at, at(7));
  EXPECT_EQ(description->expires_at, at(2000));
  EXPECT_EQ(description->nonce, "n2");
  EXPECT_EQ(description->caller_id, MessageId("caller-id|1"));
  EXPECT_EQ(description->push_token, full_message().push_token);
  EXPECT_EQ(description->recipient_dids, full_message().recipient_dids);
}

TEST(StoredEntry, WhatIsNoDescriptionIsCorrupt) {
  const std::string good = describe(full_message(), at(7), "n2");
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(parse_description(good.substr(0, size)).error().code, Errc::corrupt) << size;
  }
  for (const std::string& bad :
       {std::string(good + "x"), std::string("2" + good.substr(1)), std::string("1||||n||||||"),
        std::string("1|1000|||n|99|||||"), std::string("1|1e3|||n||||||"),
        std::string("1|1000|||n||||5,x||")}) {
    EXPECT_EQ(parse_description(bad).error().code, Errc::corrupt) << bad;
  }
}

TEST(StoredEntry, AnItemBecomesAMessageOfBothKinds) {
  const NewMessage message = full_message();
  const auto item = [&] {
    return list({text("5-1"), list({text("m"), text(describe(message, at(7), "n")), text("p"),
                                    text("{\"x\":1}")})});
  };
  auto entry = parse_entry(item());
  ASSERT_TRUE(entry.has_value());
  const StoredMessage stored = as_stored(message.connection, *entry);
  EXPECT_EQ(stored.id, message.id);
  EXPECT_EQ(stored.position, position_of("5-1"));
  EXPECT_EQ(stored.received_at, message.received_at);
  EXPECT_EQ(stored.expires_at, message.expires_at);
  EXPECT_EQ(stored.push_token, message.push_token);
  EXPECT_EQ(*stored.payload, "{\"x\":1}");
  const TierMessage moving = as_tier_message(message.connection, *entry);
  EXPECT_EQ(moving.position, stored.position);
  EXPECT_EQ(moving.message.id, message.id);
  EXPECT_EQ(moving.message.id_origin, IdOrigin::caller);
  EXPECT_EQ(moving.message.connection, message.connection);
  EXPECT_EQ(moving.message.recipient_dids, message.recipient_dids);
}

TEST(StoredEntry, AMessageWithoutACallersIdIsNamedByItsPlace) {
  NewMessage message = full_message();
  message.id_origin = IdOrigin::server;
  auto entry = parse_entry(list({text("5-1"), list({text("m"), text(describe(message, at(7), "n")),
                                                    text("p"), text("{}")})}));
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->id(message.connection),
            encode_message_id(message.connection, {*position_of("5-1"), 2}));
}

TEST(StoredEntry, AnItemOfAnotherShapeIsCorrupt) {
  EXPECT_EQ(parse_entry(text("x")).error().code, Errc::corrupt);
  EXPECT_EQ(parse_entry(list({text("1-1"), list({})})).error().code, Errc::corrupt);
  EXPECT_EQ(parse_entry(list({text("1-1"),
                              list({text("a"), text("1|1|||n||||||"), text("p"), text("{}")})}))
                .error()
                .code,
            Errc::corrupt);
}

}  // namespace mpr::redis
