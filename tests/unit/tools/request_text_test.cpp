#include "tools/bench/request_text.hpp"

#include <gtest/gtest.h>

namespace mpr::bench {
namespace {

TEST(PatchedText, ReplacesOnlyTheDigitsOfTheField) {
  PatchedText text;
  text.append("a-");
  const auto first = text.append_field(4);
  text.append("-b-");
  const auto second = text.append_field(2);
  text.append("-c");

  text.set(first, 42);
  text.set(second, 123);
  EXPECT_EQ(text.text(), "a-0042-b-23-c");
  text.set(first, 9999);
  EXPECT_EQ(text.text(), "a-9999-b-23-c");
}

TEST(ParseDigits, ReadsDigitsAndNothingElse) {
  EXPECT_EQ(parse_digits("0"), 0u);
  EXPECT_EQ(parse_digits("00042"), 42u);
  EXPECT_EQ(parse_digits("9999999999999999999"), 9999999999999999999u);
  for (const char* text : {"", "-1", "1 ", "1.0", "0x1", "18446744073709551616"}) {
    EXPECT_EQ(parse_digits(text), std::nullopt) << text;
  }
}

TEST(ConnectionNames, AreReadBack) {
  const ConnectionNames names("tag");

  EXPECT_EQ(names.name(17), "bench-tag-00000017");
  EXPECT_EQ(names.number_of("bench-tag-00000017"), 17u);
  for (const char* name : {"bench-tag-17", "bench-gat-00000017", "bench-tag-0000001x", ""}) {
    EXPECT_EQ(names.number_of(name), std::nullopt) << name;
  }
}

TEST(PayloadText, HasTheSizeAskedForAndCarriesItsSequence) {
  for (const std::size_t bytes : {PayloadText::kLeastBytes, std::size_t{100}, std::size_t{1100}}) {
    PayloadText payload(bytes);
    payload.set_sequence(1234567890123456);

    EXPECT_EQ(payload.text().size(), bytes);
    EXPECT_TRUE(payload.text().starts_with('{'));
    EXPECT_TRUE(payload.text().ends_with("\"}"));
    EXPECT_EQ(PayloadText(bytes).sequence_of(payload.text()), 1234567890123456u);
  }
}

TEST(PayloadText, NoticesAnyChangedByte) {
  const PayloadText original(150);
  for (std::size_t i = 0; i < original.text().size(); ++i) {
    std::string changed(original.text());
    changed[i] = '!';
    EXPECT_EQ(original.sequence_of(changed), std::nullopt) << i;
  }
  EXPECT_EQ(original.sequence_of(original.text().substr(1)), std::nullopt);
}

TEST(AddParams, NamesTheConnectionAndNumbersThePayload) {
  const ConnectionNames names("t");
  AddParams params(names, 100);
  PayloadText payload(100);
  payload.set_sequence(8);

  EXPECT_EQ(params.patch(5, 8),
            R"({"connectionId":"bench-t-00000005","recipientDids":[)"
            R"("did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH"],"payload":)" +
                std::string(payload.text()) + "}");
}

TEST(ConnectionParams, PutTheTailBehindTheConnection) {
  const ConnectionNames names("t");

  EXPECT_EQ(ConnectionParams(names).patch(3), R"({"connectionId":"bench-t-00000003"})");
  EXPECT_EQ(ConnectionParams(names, R"(,"sessionId":"s")").patch(4),
            R"({"connectionId":"bench-t-00000004","sessionId":"s"})");
}

}  // namespace
}  // namespace mpr::bench
