#include "rpc/json_scanner.hpp"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/unit/rpc/random_json.hpp"

namespace mpr::rpc {
namespace {

// The problem found in `text`; empty: it is JSON.
std::string problem_of(std::string_view text) {
  JsonScanner scanner(text);
  RawJson raw;
  if (scanner.value(raw) && scanner.at_end()) return {};
  return scanner.problem();
}

TEST(JsonScanner, PassesWhatTheGrammarAllows) {
  for (const std::string_view text : {"{}",
                                      "[]",
                                      "null",
                                      "true",
                                      "false",
                                      "0",
                                      "-0",
                                      "10",
                                      "-1.5",
                                      "1e3",
                                      "1E+3",
                                      "1.25e-7",
                                      "123456789012345678901234567890",
                                      "1e400",
                                      R"("")",
                                      R"("a\"\\\/\b\f\n\r\tA\u00e9")",
                                      R"("\ud83d\ude00")",
                                      R"("\ud800")",
                                      "\"\x7f\"",
                                      "\"\xc3\xa9\xf0\x9f\x98\x80\"",
                                      " [ 1 , { \"a\" : [ ] } ]\r\n\t",
                                      R"({"a":1,"a":2})",
                                      R"({"":{}})"}) {
    EXPECT_EQ(problem_of(text), "") << text;
  }
}

TEST(JsonScanner, RefusesWhatTheGrammarDoesNotAllow) {
  for (const std::string_view text : {"",
                                      " ",
                                      "{",
                                      "[",
                                      "]",
                                      "{]",
                                      "[}",
                                      "[1",
                                      "[1,",
                                      "[,1]",
                                      "[1,]",
                                      "[1 2]",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{'a':1}",
                                      "{1:1}",
                                      "{\"a\":1 \"b\":2}",
                                      "01",
                                      "-",
                                      "+1",
                                      ".5",
                                      "1.",
                                      "1.e3",
                                      "1e",
                                      "1e+",
                                      "0x10",
                                      "--1",
                                      "1-",
                                      "NaN",
                                      "Infinity",
                                      "undefined",
                                      "nul",
                                      "nulll",
                                      "True",
                                      "tru",
                                      "\"",
                                      "\"a",
                                      "\"\\",
                                      "\"\\x\"",
                                      "\"\\u12\"",
                                      "\"\\u12g4\"",
                                      "\"\\u123",
                                      "\"\n\"",
                                      "\"\x01\"",
                                      "'a'",
                                      "1 1",
                                      "{} {}",
                                      "null,",
                                      "\xef\xbb\xbf{}",
                                      "/**/{}",
                                      "{}//"}) {
    EXPECT_NE(problem_of(text), "") << text;
  }
  EXPECT_NE(problem_of(std::string_view("\"\\\0\"", 4)), "");
  EXPECT_NE(problem_of(std::string_view("\"a\0b\"", 5)), "");
  EXPECT_NE(problem_of(std::string_view("1\0", 2)), "");
}

TEST(JsonScanner, SaysWhatIsWrongAndWhere) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases = {
      {"", "unexpected end of the text at byte 0"},
      {R"({"a":1)", "unexpected end of the text at byte 6"},
      {"\"abc", "unexpected end of the text at byte 4"},
      {"[1,,2]", "expected a value at byte 3"},
      {"[1 2]", "expected ',' or ']' in an array at byte 3"},
      {R"({"a" 1})", "expected ':' after a member name at byte 5"},
      {"{1:2}", "expected a member name in quotes at byte 1"},
      {R"({"a":1;})", "expected ',' or '}' in an object at byte 6"},
      {"\"a\tb\"", "control character in a string at byte 2"},
      {R"("a\q")", "invalid escape in a string at byte 2"},
      {"[-x]", "expected a digit at byte 2"},
      {"{} x", "expected the end of the text at byte 3"},
  };
  for (const auto& [text, problem] : cases) EXPECT_EQ(problem_of(text), problem) << text;
}

TEST(JsonScanner, BoundsTheDepth) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(problem_of(nested(limits::kJsonDepth)), "");
  EXPECT_EQ(problem_of(nested(limits::kJsonDepth + 1)), "nested deeper than 128");
  EXPECT_EQ(problem_of(std::string(1'000'000, '[')), "nested deeper than 128");
  std::string objects;
  for (int i = 0; i < 129; ++i) objects += R"({"a":)";
  EXPECT_EQ(problem_of(objects), "nested deeper than 128");
  EXPECT_EQ(problem_of("[" + nested(127) + "," + nested(127) + "]"), "");
}

TEST(JsonScanner, FindsTheEndOfStringsOfEveryLengthAndOffset) {
  for (std::size_t offset = 0; offset < 10; ++offset) {
    for (std::size_t length = 0; length < 40; ++length) {
      for (const char last : {'a', '\x7f', '\xe9', ' ', '!', '#', '[', ']'}) {
        const std::string text =
            std::string(offset, ' ') + '"' + std::string(length, last) + "\",\"\\";
        JsonScanner scanner(text);
        RawJson raw;
        ASSERT_TRUE(scanner.value(raw)) << offset << ' ' << length;
        ASSERT_EQ(raw, '"' + std::string(length, last) + '"');
      }
    }
  }
}

TEST(JsonScanner, YieldsRawTextAsItCame) {
  const std::string text = R"( { "a" : [ 1.50 , "x\u0041" ] , "b":1e400 } )";
  JsonScanner scanner(text);
  std::vector<std::pair<std::string, std::string>> members;
  ASSERT_TRUE(scanner.object([&](std::string_view name) {
    RawJson raw;
    const bool passed = scanner.value(raw);
    members.emplace_back(name, raw);
    return passed;
  }));
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"a", R"([ 1.50 , "x\u0041" ])"}, {"b", "1e400"}};
  EXPECT_EQ(members, expected);
  EXPECT_TRUE(scanner.at_end());
}

TEST(JsonScanner, UnescapesEverythingButHalfSurrogatePairs) {
  EXPECT_EQ(unescape(R"("plain")"), "plain");
  EXPECT_EQ(unescape(R"("\"\\\/\b\f\n\r\t")"), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(unescape(R"("\u0041\u00E9\u20ac\uD83D\uDE00!")"),
            "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80!");
  EXPECT_EQ(unescape(R"("\u0000")"), std::string(1, '\0'));
  EXPECT_EQ(unescape(R"("\ud800\udc00")"), "\xf0\x90\x80\x80");
  EXPECT_EQ(unescape(R"("\udbff\udfff")"), "\xf4\x8f\xbf\xbf");
  for (const std::string_view half :
       {R"("\ud800")", R"("\udc00")", R"("\ud800x")", R"("\ud800\n")", R"("\ud800\ud800")",
        R"("\ud800\u0041")", R"("\udc00\ud800")"}) {
    EXPECT_EQ(unescape(half), std::nullopt) << half;
  }
}

TEST(JsonScanner, ReadsWholeNumbersHoweverTheyAreWritten) {
  EXPECT_EQ(whole_number("0"), 0u);
  EXPECT_EQ(whole_number("-0"), 0u);
  EXPECT_EQ(whole_number("10"), 10u);
  EXPECT_EQ(whole_number("10.0"), 10u);
  EXPECT_EQ(whole_number("1e3"), 1000u);
  EXPECT_EQ(whole_number("12.5e1"), 125u);
  EXPECT_EQ(whole_number("9007199254740992"), 9007199254740992u);
  for (const std::string_view other :
       {"-1", "0.5", "1e-1", "9007199254740994", "1e400", "-1e400", "18446744073709551616"}) {
    EXPECT_EQ(whole_number(other), std::nullopt) << other;
  }
}

// Refusals that only the grammar explains. simdjson also refuses numbers that no double or 64-bit
// integer holds and halves of surrogate pairs, which are JSON all the same.
bool is_about_grammar(simdjson::error_code code) {
  switch (code) {
    case simdjson::TAPE_ERROR:
    case simdjson::T_ATOM_ERROR:
    case simdjson::F_ATOM_ERROR:
    case simdjson::N_ATOM_ERROR:
    case simdjson::UNESCAPED_CHARS:
    case simdjson::UNCLOSED_STRING:
    case simdjson::EMPTY:
      return true;
    default:
      return false;
  }
}

TEST(JsonScanner, AgreesWithSimdjsonOnRandomAndDamagedText) {
  const auto seed = fresh_seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  RandomJson random(seed);
  simdjson::dom::parser parser;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = random.spaced_value(4);
    if (round % 2 == 1) random.damage(text);
    if (!simdjson::validate_utf8(text)) continue;
    const auto theirs = parser.parse(simdjson::padded_string(text)).error();
    const bool ours = problem_of(text).empty();
    if (theirs == simdjson::SUCCESS) {
      ASSERT_TRUE(ours) << text;
    } else if (is_about_grammar(theirs)) {
      ASSERT_FALSE(ours) << text << "\nsimdjson: " << simdjson::error_message(theirs);
    }
  }
}

}  // namespace
}  // namespace mpr::rpc
