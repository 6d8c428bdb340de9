// What redirections and broken connections mean for requests of several commands.
#include "store/redis/operation.hpp"

#include <gtest/gtest.h>

namespace mpr::redis {
namespace {

using Next = Verdict::Next;

const ServerAddress kTarget{"b", 7001};

Value ok() { return {.kind = Value::Kind::text, .integer = 0, .text = "OK", .items = {}}; }
Value error(std::string text) {
  return {.kind = Value::Kind::error, .integer = 0, .text = std::move(text), .items = {}};
}
Value moved() { return error("MOVED 5 b:7001"); }
Value ask() { return error("ASK 5 b:7001"); }

// Two writes and two reads.
Operation two_and_two() {
  Request request("k");
  request.add({"W1"}).add({"W2"}).add({"R1"}, Repeat::safe).add({"R2"}, Repeat::safe);
  return Operation(std::move(request));
}

std::string attempt(Operation& operation) {
  std::string out;
  operation.begin_attempt(out);
  std::string commands;  // only the words, which have two letters or are ASKING
  for (std::size_t at = 0; (at = out.find("\r\n$", at)) != std::string::npos;) {
    at = out.find("\r\n", at + 2) + 2;
    commands += (commands.empty() ? "" : " ") + out.substr(at, out.find("\r\n", at) - at);
  }
  return commands;
}

bool answer(Operation& operation, std::vector<Value> values) {
  bool done = false;
  for (Value& value : values) {
    EXPECT_FALSE(done);
    done = operation.take(std::move(value));
  }
  return done;
}

TEST(Operation, IsCompleteWhenEveryCommandIsAnswered) {
  Operation operation = two_and_two();
  EXPECT_EQ(attempt(operation), "W1 W2 R1 R2");
  EXPECT_TRUE(answer(operation, {ok(), error("WRONGTYPE x"), ok(), ok()}));
  EXPECT_EQ(operation.judge().next, Next::complete);
  EXPECT_EQ(operation.values[1].text, "WRONGTYPE x");
}

TEST(Operation, IsSentAnewAsAWholeWhenItsSlotMoved) {
  Operation operation = two_and_two();
  attempt(operation);
  answer(operation, {moved(), moved(), moved(), moved()});
  const Verdict verdict = operation.judge();
  EXPECT_EQ(verdict.next, Next::resend);
  EXPECT_FALSE(verdict.wait);
  ASSERT_TRUE(verdict.moved.has_value());
  EXPECT_EQ(verdict.moved->address, kTarget);
  EXPECT_FALSE(operation.touched);
  EXPECT_TRUE(operation.covers_all());
  EXPECT_EQ(operation.route(), std::nullopt);
  EXPECT_EQ(attempt(operation), "W1 W2 R1 R2");
}

TEST(Operation, RepeatsTheReadsBehindARedirectedWrite) {
  Operation operation = two_and_two();
  attempt(operation);
  answer(operation, {ok(), ask(), ok(), ok()});
  EXPECT_EQ(operation.judge().next, Next::resend);
  EXPECT_TRUE(operation.touched);
  EXPECT_EQ(operation.route(), kTarget);
  EXPECT_FALSE(operation.covers_all());
  EXPECT_EQ(attempt(operation), "ASKING W2");
  EXPECT_TRUE(answer(operation, {ok(), ok()}));
  EXPECT_EQ(operation.judge().next, Next::resend);
  EXPECT_EQ(operation.route(), std::nullopt);
  EXPECT_EQ(attempt(operation), "R1 R2");
  EXPECT_TRUE(answer(operation, {ok(), ask()}));
  EXPECT_EQ(operation.judge().next, Next::resend);
  EXPECT_EQ(attempt(operation), "ASKING R2");
  EXPECT_TRUE(answer(operation, {ok(), error("ERR last")}));
  EXPECT_EQ(operation.judge().next, Next::complete);
  EXPECT_EQ(operation.values[3].text, "ERR last");
}

TEST(Operation, NeverRepeatsAWriteBehindARedirectedOne) {
  Operation operation = two_and_two();
  attempt(operation);
  answer(operation, {moved(), ok(), ok(), ok()});
  EXPECT_EQ(operation.judge().next, Next::resend);
  EXPECT_EQ(attempt(operation), "W1 R1 R2");
}

TEST(Operation, WaitsWhenTheServerCannotAtPresent) {
  for (const std::string code : {"TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY"}) {
    Operation operation = two_and_two();
    attempt(operation);
    answer(operation, {error(code + " x"), error(code + " x"), error(code + " x"), ok()});
    const Verdict verdict = operation.judge();
    EXPECT_EQ(verdict.next, Next::resend) << code;
    EXPECT_TRUE(verdict.wait) << code;
    EXPECT_EQ(verdict.read_only, code == "READONLY") << code;
    EXPECT_EQ(attempt(operation), "W1 W2 R1 R2") << code;
  }
}

TEST(Operation, SendsTheTextOfAnUnknownScriptOnce) {
  const Script script("s", "return 1");
  Request request("k");
  request.eval(script, {}, {});
  Operation operation(std::move(request));
  attempt(operation);
  answer(operation, {error("NOSCRIPT x")});
  EXPECT_EQ(operation.judge().next, Next::resend);
  EXPECT_EQ(attempt(operation), "EVAL return 1 0");
  answer(operation, {error("NOSCRIPT from inside")});
  EXPECT_EQ(operation.judge().next, Next::complete);
}

TEST(Operation, RepeatsATransactionAsAWhole) {
  Request request("k");
  request.add({"MULTI"}).add({"W1"}).add({"R1"}).add({"EXEC"});
  Operation operation(std::move(request));
  attempt(operation);
  answer(operation, {ok(), ok(), ask(), error("EXECABORT x")});
  EXPECT_EQ(operation.judge().next, Next::resend);
  EXPECT_FALSE(operation.touched);
  EXPECT_EQ(operation.route(), kTarget);
  EXPECT_EQ(attempt(operation), "ASKING MULTI W1 R1 EXEC");
  EXPECT_TRUE(answer(operation, {ok(), ok(), ok(), ok(), ok()}));
  EXPECT_EQ(operation.judge().next, Next::complete);
}

TEST(Operation, LeavesATransactionWithAMistakeToItsCaller) {
  Request request("k");
  request.add({"MULTI"}).add({"W1"}).add({"EXEC"});
  Operation operation(std::move(request));
  attempt(operation);
  answer(operation, {ok(), error("ERR unknown command"), error("EXECABORT x")});
  EXPECT_EQ(operation.judge().next, Next::complete);
}

// Where the connection broke: bytes that had left, answers that had come.
TEST(Operation, DecidesWhatABrokenConnectionMeans) {
  const auto end_of = [](const Operation& operation, std::size_t commands) {
    std::uint64_t end = 0;
    for (std::size_t i = 0; i < commands; ++i) end += operation.request.bytes_of(i).size();
    return end;
  };
  struct Case {
    std::size_t written;  // whole commands
    std::uint64_t more;   // and bytes
    std::size_t answered;
    Next next;
    bool touched;
    std::string_view left;
  };
  for (const Case& c : {
           Case{0, 0, 0, Next::resend, false, "W1 W2 R1 R2"},
           Case{0, 5, 0, Next::resend, false, "W1 W2 R1 R2"},  // half a command
           Case{1, 0, 0, Next::give_up, true, ""},
           Case{4, 0, 0, Next::give_up, true, ""},
           Case{4, 0, 1, Next::give_up, true, ""},
           Case{4, 0, 2, Next::resend, true, "R1 R2"},
           Case{4, 0, 3, Next::resend, true, "R2"},
           Case{1, 0, 1, Next::resend, true, "W2 R1 R2"},
       }) {
    Operation operation = two_and_two();
    attempt(operation);
    answer(operation, std::vector<Value>(c.answered, ok()));
    const Verdict verdict = operation.judge_broken(end_of(operation, c.written) + c.more);
    EXPECT_EQ(verdict.next, c.next) << c.written << c.answered;
    EXPECT_EQ(operation.touched, c.touched) << c.written << c.answered;
    if (verdict.next == Next::resend) {
      EXPECT_TRUE(verdict.wait);
      EXPECT_EQ(attempt(operation), c.left);
    }
  }
}

TEST(Operation, DecidesWhatABrokenConnectionMeansForATransaction) {
  const auto broken = [](Repeat repeat, bool exec_written) {
    Request request("k");
    request.add({"MULTI"}, repeat).add({"W1"}, repeat).add({"EXEC"}, repeat);
    Operation operation(std::move(request));
    attempt(operation);
    answer(operation, {ok()});
    const auto all = operation.request.bytes().size();
    const Next next = operation.judge_broken(exec_written ? all : all - 1).next;
    if (next == Next::resend) {
      EXPECT_EQ(attempt(operation), "MULTI W1 EXEC");
    }
    return next;
  };
  EXPECT_EQ(broken(Repeat::never, true), Next::give_up);
  EXPECT_EQ(broken(Repeat::never, false), Next::resend);
  EXPECT_EQ(broken(Repeat::safe, true), Next::resend);
}

}  // namespace
}  // namespace mpr::redis
