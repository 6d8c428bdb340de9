#include "base/text.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace mpr {
namespace {

using std::chrono::milliseconds;

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(JsonString, EscapesWhatJsonForbidsAndNothingElse) {
  EXPECT_EQ(json_string(""), R"("")");
  EXPECT_EQ(json_string("plain / text"), R"("plain / text")");
  EXPECT_EQ(json_string("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(json_string("\n\r\t\b\f"), R"("\n\r\t\u0008\u000c")");
  EXPECT_EQ(json_string(std::string_view("\0\x1f\x7f", 3)), "\"\\u0000\\u001f\x7f\"");
  EXPECT_EQ(json_string("grüße 😀"), "\"grüße 😀\"");
}

TEST(JsonString, AppendsBehindWhatIsThere) {
  std::string out = "{";
  append_json_string(out, "k");
  EXPECT_EQ(out, "{\"k\"");
}

TEST(Iso8601, WritesThreeDigitsOfMilliseconds) {
  EXPECT_EQ(to_iso8601(TimePoint(milliseconds(0))), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(to_iso8601(TimePoint(milliseconds(1'769'860'800'007))), "2026-01-31T12:00:00.007Z");
  EXPECT_EQ(to_iso8601(TimePoint(milliseconds(951'827'696'789))), "2000-02-29T12:34:56.789Z");
  EXPECT_EQ(to_iso8601(TimePoint(milliseconds(-1))), "1969-12-31T23:59:59.999Z");
}

TEST(Iso8601, ReadsEveryFormThatRfc3339Allows) {
  const TimePoint noon(milliseconds(1'769'860'800'000));
  for (const char* text :
       {"2026-01-31T12:00:00Z", "2026-01-31t12:00:00z", "2026-01-31 12:00:00Z",
        "2026-01-31T12:00:00.0Z", "2026-01-31T12:00:00.000999999Z", "2026-01-31T13:30:00+01:30",
        "2026-01-30T23:00:00-13:00", "2026-01-31T12:00:00-00:00"}) {
    EXPECT_EQ(parse_iso8601(text), noon) << text;
  }
  EXPECT_EQ(parse_iso8601("2026-01-31T12:00:00.5Z"), noon + milliseconds(500));
  EXPECT_EQ(parse_iso8601("2026-01-31T12:00:00.12Z"), noon + milliseconds(120));
  EXPECT_EQ(parse_iso8601("2026-01-31T12:00:00.1239Z"), noon + milliseconds(123));
}

TEST(Iso8601, RefusesEverythingElse) {
  for (const char* text : {"",
                           "2026",
                           "2026-01-31",
                           "2026-01-31T12:00:00",
                           "2026-01-31T12:00Z",
                           "2026-01-31T12:00:00.Z",
                           "2026-01-31T12:00:00.1234567890Z",
                           "2026-01-31T12:00:00,5Z",
                           "2026-02-29T12:00:00Z",
                           "2026-13-01T12:00:00Z",
                           "2026-00-01T12:00:00Z",
                           "2026-01-00T12:00:00Z",
                           "2026-04-31T12:00:00Z",
                           "2026-01-31T24:00:00Z",
                           "2026-01-31T12:60:00Z",
                           "2026-01-31T12:00:60Z",
                           "2026-01-31T12:00:00+24:00",
                           "2026-01-31T12:00:00+01:60",
                           "2026-01-31T12:00:00+0100",
                           "2026-01-31T12:00:00Z ",
                           " 2026-01-31T12:00:00Z",
                           "2026-01-31T12:00:00ZZ",
                           "+026-01-31T12:00:00Z",
                           "2026-1-31T12:00:00Z",
                           "2026-01-31T12:00:00.5",
                           "20260131T120000Z",
                           "now"}) {
    EXPECT_FALSE(parse_iso8601(text)) << text;
  }
}

TEST(Iso8601, ReadsWhatItWrites) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  // Year 0000 to 9999: what four digits can say.
  std::uniform_int_distribution<std::int64_t> any(-62'167'219'200'000, 253'402'300'799'999);
  for (int i = 0; i < 10'000; ++i) {
    const TimePoint time(milliseconds(any(random)));
    ASSERT_EQ(parse_iso8601(to_iso8601(time)), time) << to_iso8601(time);
  }
}

TEST(Number, IsDecimal) {
  std::string out = "n=";
  append_number(out, 0);
  out += ' ';
  append_number(out, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(out, "n=0 18446744073709551615");
}

}  // namespace
}  // namespace mpr
