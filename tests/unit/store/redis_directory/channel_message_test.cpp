#include "store/redis/channel_message.hpp"

#include <gtest/gtest.h>

#include <random>

namespace mpr::redis {

namespace {

const Speaker kSpeaker{GatewayId("gateway-1"), 0xfedcba9876543210};
const Connection kPhone{TenantId("tenant"), ConnectionId("phone")};

StoredMessage message() {
  StoredMessage message;
  message.id = MessageId("message-1");
  message.position = Position{77};
  message.received_at = TimePoint(std::chrono::milliseconds(1'700'000'000'123));
  message.payload = make_payload(std::string("{\"a\":\"\0\xff\"}", 10));
  return message;
}

std::vector<ChannelContent> one_of_each() {
  return {Announced{1, kPhone, Position{~0ULL}},
          Superseded{300, kPhone, Epoch{1'760'000'000'123'456}},
          Overlooked{7},
          Beacon{128},
          OrphanMessage{kPhone, Epoch{9}, message()},
          ListenerCame{TenantId("tenant")},
          Left{}};
}

template <class Content>
Content back(const Content& content) {
  const auto decoded = decode_channel_message(encode({kSpeaker, content}));
  EXPECT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->speaker, kSpeaker);
  return std::get<Content>(decoded->content);
}

}  // namespace

TEST(ChannelMessage, IsReadAsItWasWritten) {
  for (const std::uint64_t number : {0ULL, 1ULL, 127ULL, 128ULL, 1ULL << 35, ~0ULL}) {
    const Announced announced{number, kPhone, Position{number}};
    EXPECT_EQ(back(announced), announced);
    const Superseded superseded{number, {TenantId(), ConnectionId("c")}, Epoch{number}};
    EXPECT_EQ(back(superseded), superseded);
    EXPECT_EQ(back(Overlooked{number}), Overlooked{number});
    EXPECT_EQ(back(Beacon{number}), Beacon{number});
  }
  EXPECT_EQ(back(ListenerCame{TenantId("t")}), ListenerCame{TenantId("t")});
  EXPECT_EQ(back(Left{}), Left{});
}

TEST(ChannelMessage, CarriesAllOfAnOrphansMessageButItsPushToken) {
  StoredMessage sent = message();
  sent.push_token = PushToken{PushProvider::fcm, "secret", ""};
  const std::string bytes = encode({kSpeaker, OrphanMessage{kPhone, Epoch{9}, sent}});
  EXPECT_EQ(bytes.find("secret"), std::string::npos);

  for (const std::optional<TimePoint> expiry :
       {std::optional<TimePoint>(), std::optional(sent.received_at + std::chrono::hours(1))}) {
    sent.expires_at = expiry;
    const OrphanMessage heard = back(OrphanMessage{kPhone, Epoch{9}, sent});
    EXPECT_EQ(heard.connection, kPhone);
    EXPECT_EQ(heard.orphan, Epoch{9});
    EXPECT_EQ(heard.message.id, sent.id);
    EXPECT_EQ(heard.message.position, sent.position);
    EXPECT_EQ(heard.message.received_at, sent.received_at);
    EXPECT_EQ(heard.message.expires_at, expiry);
    EXPECT_EQ(*heard.message.payload, *sent.payload);
    EXPECT_EQ(heard.message.push_token, std::nullopt);
  }
}

TEST(ChannelMessage, IsNotReadWhenItIsCutOffOrTooLong) {
  for (const ChannelContent& content : one_of_each()) {
    const std::string bytes = encode({kSpeaker, content});
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_FALSE(decode_channel_message(std::string_view(bytes).substr(0, length)));
    }
    EXPECT_FALSE(decode_channel_message(bytes + "x"));
  }
}

TEST(ChannelMessage, OfAnotherFormatOrKindIsNotRead) {
  std::string bytes = encode({kSpeaker, Left{}});
  bytes[0] = '2';
  EXPECT_FALSE(decode_channel_message(bytes));
  bytes[0] = '1';
  bytes[1] = '?';
  EXPECT_FALSE(decode_channel_message(bytes));
}

TEST(ChannelMessage, SurvivesDamage) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 dice(seed);
  for (int i = 0; i < 20'000; ++i) {
    const auto kinds = one_of_each();
    std::string bytes = encode({kSpeaker, kinds[dice() % kinds.size()]});
    for (unsigned n = dice() % 4; n > 0; --n)
      bytes[dice() % bytes.size()] = static_cast<char>(dice());
    const auto read = decode_channel_message(bytes);
    if (read) EXPECT_LE(read->speaker.gateway.value.size(), bytes.size());
  }
}

}  // namespace mpr::redis
