#include "tools/bench/delivered.hpp"

#include <gtest/gtest.h>

namespace mpr::bench {
namespace {

constexpr std::string_view kTwo =
    R"([{"id":"one","receivedAt":"2026-01-31T12:00:00.000Z","encryptedMessage":{"]}":1}},)"
    R"({"id":"two","receivedAt":"2026-01-31T12:00:00.001Z","encryptedMessage":{"]}":2}}])";

TEST(Delivered, ReadsMessagesWithTheirPayloadsUntouched) {
  std::vector<DeliveredMessage> messages(7);
  ASSERT_TRUE(read_messages(kTwo, 8, messages));

  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].id, "one");
  EXPECT_EQ(messages[0].payload, R"({"]}":1})");
  EXPECT_EQ(messages[1].received_at, "2026-01-31T12:00:00.001Z");
  EXPECT_EQ(messages[1].payload, R"({"]}":2})");
}

TEST(Delivered, ReadsAnEmptyAnswer) {
  std::vector<DeliveredMessage> messages(7);
  ASSERT_TRUE(read_messages("[]", 8, messages));
  EXPECT_TRUE(messages.empty());
}

TEST(Delivered, RefusesEveryOtherShape) {
  std::vector<DeliveredMessage> messages;
  EXPECT_FALSE(read_messages(kTwo, 7, messages));
  EXPECT_FALSE(read_messages(kTwo, 9, messages));
  for (std::size_t size = 0; size < kTwo.size(); ++size) {
    EXPECT_FALSE(read_messages(kTwo.substr(0, size), 8, messages)) << size;
  }
  EXPECT_FALSE(read_messages(std::string(kTwo) + " ", 8, messages));
}

TEST(Delivered, ReadsAnEvent) {
  DeliveredBatch batch;
  const std::string params =
      R"({"connectionId":"c","messages":)" + std::string(kTwo) + R"(,"id":""})";
  ASSERT_TRUE(read_event(params, 8, batch));

  EXPECT_EQ(batch.connection_id, "c");
  EXPECT_EQ(batch.messages.size(), 2u);
  for (std::size_t size = 0; size < params.size(); ++size) {
    EXPECT_FALSE(read_event(std::string_view(params).substr(0, size), 8, batch)) << size;
  }
}

TEST(Delivered, ReadsTheIdOfAnAddResult) {
  EXPECT_EQ(read_message_id(R"({"messageId":"m-1","receivedAt":"x"})"), "m-1");
  for (const char* text : {"", "null", "{}", R"({"messageId":""})", R"({"id":"m"})", "\"m-1\""}) {
    EXPECT_EQ(read_message_id(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace mpr::bench
