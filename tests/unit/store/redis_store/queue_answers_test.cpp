#include "store/redis/queue_answers.hpp"

#include <gtest/gtest.h>

#include "store/redis/message_ids.hpp"

namespace mpr::redis {

namespace {

const Connection kPhone{TenantId(), ConnectionId("c")};

Value list(std::initializer_list<std::string_view> texts) {
  Value out;
  out.kind = Value::Kind::array;
  for (const auto t : texts) {
    Value item;
    item.kind = Value::Kind::text;
    item.text = t;
    out.items.push_back(std::move(item));
  }
  return out;
}

}  // namespace

TEST(QueueAnswers, TheTierStateNamesEachWithdrawnMessageOnce) {
  const TierState state =
      parse_tier_state(kPhone, list({"mark", "17.5", "moved", "3-0", "w:4-0", "rs100", "g:4-0",
                                     "99:s100", "g:5-0", "99:cmy:id", "w:6-0", "ncother"}));
  EXPECT_EQ(state.mark, "17.5");
  EXPECT_EQ(state.moved, position_of("3-0"));
  std::vector<MessageId> expected = {encode_message_id(kPhone, {*position_of("4-0"), 100}),
                                     MessageId("my:id"), MessageId("other")};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(state.withdrawn, expected);
}

TEST(QueueAnswers, AViewSaysWhetherTheColdTierHasToBeAsked) {
  const HotView unknown = make_view(parse_tier_state(kPhone, list({})), "");
  EXPECT_TRUE(unknown.cold_possible);
  EXPECT_EQ(unknown.cold_mark, "");
  EXPECT_EQ(unknown.first, std::nullopt);
  const HotView empty = make_view(parse_tier_state(kPhone, list({"mark", "0"})), "7-1");
  EXPECT_FALSE(empty.cold_possible);
  EXPECT_EQ(empty.first, position_of("7-1"));
  EXPECT_TRUE(make_view(parse_tier_state(kPhone, list({"mark", "1.2"})), "").cold_possible);
}

TEST(QueueAnswers, ATagWithoutSenseNamesNothing) {
  EXPECT_EQ(id_of_tag(kPhone, "1-1", ""), std::nullopt);
  EXPECT_EQ(id_of_tag(kPhone, "1-1", "sx"), std::nullopt);
  EXPECT_EQ(id_of_tag(kPhone, "x", "s5"), std::nullopt);
  EXPECT_EQ(id_of_tag(kPhone, "x", "cid"), MessageId("id"));
}

}  // namespace mpr::redis
