#include "store/redis/resp_reader.hpp"

#include <gtest/gtest.h>

namespace mpr::redis {
namespace {

using Kind = Value::Kind;
using Next = RespReader::Next;

Value text(std::string t) {
  return {.kind = Kind::text, .integer = 0, .text = std::move(t), .items = {}};
}
Value error(std::string t) {
  return {.kind = Kind::error, .integer = 0, .text = std::move(t), .items = {}};
}
Value integer(std::int64_t n) {
  return {.kind = Kind::integer, .integer = n, .text = {}, .items = {}};
}
Value array(std::vector<Value> items) {
  return {.kind = Kind::array, .integer = 0, .text = {}, .items = std::move(items)};
}

struct Outcome {
  std::vector<Value> values;
  std::string problem;
};

Outcome read(std::string_view bytes, std::size_t piece, RespReader::Limits limits = {}) {
  RespReader reader(limits);
  Outcome outcome;
  while (!bytes.empty()) {
    // A copy, so that reading behind the piece is noticed.
    const std::string part(bytes.substr(0, piece));
    bytes.remove_prefix(part.size());
    reader.feed(part);
    Value value;
    Next next = reader.next(value);
    for (; next == Next::value; next = reader.next(value)) outcome.values.push_back(value);
    if (next == Next::failed) {
      outcome.problem = reader.problem();
      return outcome;
    }
  }
  return outcome;
}

TEST(RespReader, ReadsEveryTypeInPiecesOfAnySize) {
  struct Case {
    std::string_view bytes;
    std::vector<Value> values;
  };
  const std::vector<Case> cases = {
      {"+OK\r\n", {text("OK")}},
      {"-ERR no\r\n", {error("ERR no")}},
      {":-42\r\n:0\r\n", {integer(-42), integer(0)}},
      {"$5\r\na\r\nbc\r\n", {text("a\r\nbc")}},
      {"$0\r\n\r\n", {text("")}},
      {"$-1\r\n*-1\r\n_\r\n", {{}, {}, {}}},
      {"*0\r\n", {array({})}},
      {"*3\r\n:1\r\n*2\r\n+a\r\n$-1\r\n$1\r\nb\r\n",
       {array({integer(1), array({text("a"), {}}), text("b")})}},
      {"*2\r\n*0\r\n*1\r\n*0\r\n", {array({array({}), array({array({})})})}},
      {"%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n", {array({text("a"), integer(1), text("b"), integer(2)})}},
      {"~1\r\n#t\r\n#f\r\n", {array({integer(1)}), integer(0)}},
      {">2\r\n+message\r\n+x\r\n", {array({text("message"), text("x")})}},
      {",3.5\r\n(123456789012345678901234567890\r\n",
       {text("3.5"), text("123456789012345678901234567890")}},
      {"=7\r\ntxt:abc\r\n", {text("abc")}},
      {"!5\r\nERR x\r\n", {error("ERR x")}},
      {"|1\r\n+ttl\r\n:3\r\n+OK\r\n", {text("OK")}},
      {"*2\r\n|1\r\n+a\r\n*1\r\n:1\r\n:5\r\n|0\r\n:6\r\n", {array({integer(5), integer(6)})}},
  };
  for (const Case& c : cases) {
    for (std::size_t piece = 1; piece <= c.bytes.size(); ++piece) {
      const Outcome outcome = read(c.bytes, piece);
      EXPECT_EQ(outcome.problem, "") << c.bytes << piece;
      EXPECT_EQ(outcome.values, c.values) << c.bytes << piece;
    }
  }
}

TEST(RespReader, RefusesWhatIsNoResp) {
  for (const std::string_view bytes :
       {"hello\r\n", "\r\n", "+OK\n", ":x\r\n", ":\r\n", ":1 \r\n", "$x\r\n", "$-2\r\n", "*-2\r\n",
        "$1\r\nabc\r\n", "$1\r\na\rb", "#x\r\n", "=3\r\nabc\r\n", "=5\r\nabcde\r\n", "*1\r\n?\r\n",
        "$?\r\n", "*?\r\n", ":99999999999999999999\r\n"}) {
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
      EXPECT_NE(read(bytes, piece).problem, "") << bytes << piece;
    }
  }
}

TEST(RespReader, StaysFailed) {
  RespReader reader;
  Value value;
  reader.feed("?\r\n");
  EXPECT_EQ(reader.next(value), Next::failed);
  reader.feed("+OK\r\n");
  EXPECT_EQ(reader.next(value), Next::failed);
  reader.reset();
  reader.feed("+OK\r\n");
  EXPECT_EQ(reader.next(value), Next::value);
  EXPECT_EQ(value.text, "OK");
}

TEST(RespReader, KeepsItsLimits) {
  const RespReader::Limits limits{.depth = 3, .items = 10, .bytes = 20, .line_bytes = 30};
  const auto problem = [&](std::string_view bytes) { return read(bytes, 7, limits).problem; };
  EXPECT_EQ(problem("*1\r\n*1\r\n:1\r\n"), "");
  EXPECT_EQ(problem("*1\r\n*1\r\n*1\r\n:1\r\n"), "an answer is nested too deeply");
  EXPECT_EQ(problem("*9\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"), "");
  EXPECT_EQ(problem("*11\r\n"), "an answer has too many items");
  EXPECT_EQ(problem("*2\r\n*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n"),
            "an answer has too many items");
  EXPECT_EQ(problem("$20\r\n01234567890123456789\r\n$20\r\n01234567890123456789\r\n"), "");
  EXPECT_EQ(problem("$21\r\n"), "an answer is too large");
  EXPECT_EQ(problem("*2\r\n$15\r\n012345678901234\r\n$6\r\n"), "an answer is too large");
  EXPECT_EQ(problem("+0123456789012345678901234567890"), "a line is too long");
  EXPECT_EQ(problem("$9223372036854775807\r\n"), "an answer is too large");
  EXPECT_EQ(problem("%9223372036854775807\r\n"), "an answer has too many items");
}

}  // namespace
}  // namespace mpr::redis
