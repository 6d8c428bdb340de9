#include "core/queue_turns.hpp"

#include "tests/unit/tiers/tier_bed.hpp"

namespace mpr::test {

namespace {

using Kind = QueueTurns::Kind;

// Operations that write down when they take their steps, and end when they are told to.
class QueueTurnsTest : public testing::Test {
 protected:
  struct Operation {
    bool first = false;  // has taken its first step
    bool next = false;
    bool ended = false;
    std::coroutine_handle<> halted;
  };

  Operation& start(Kind kind, std::string_view id = "phone") {
    Operation& operation = *operations_.emplace_back(std::make_unique<Operation>());
    tasks_.spawn(run(turns_, kind, phone(id), operation));
    return operation;
  }
  void end(Operation& operation) {
    ASSERT_TRUE(operation.halted);
    operation.halted.resume();
    while (loop_.poll() > 0) {
    }
  }

 private:
  struct Halt {
    Operation& operation;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const { operation.halted = handle; }
    void await_resume() const noexcept {}
  };
  static Task<void> run(QueueTurns& turns, Kind kind, Connection connection, Operation& operation) {
    QueueTurns::Turn turn(turns, connection, kind);
    co_await turn.first_step();
    operation.first = true;
    co_await turn.next_steps();
    operation.next = true;
    co_await Halt{operation};
    operation.ended = true;
  }

  RunLoop loop_;
  Executor::Scope scope_{loop_};
  QueueTurns turns_;
  std::vector<std::unique_ptr<Operation>> operations_;
  TaskGroup tasks_{[](const std::exception_ptr& e) { std::rethrow_exception(e); }};
};

TEST_F(QueueTurnsTest, ReadsGoTogether) {
  Operation& a = start(Kind::read);
  Operation& b = start(Kind::read);
  EXPECT_TRUE(a.next && b.next);
  end(b);
  end(a);
  EXPECT_TRUE(a.ended && b.ended);
}

TEST_F(QueueTurnsTest, TheNextStepsOfAChangeWaitForEarlierReadsAndLaterReadsForIt) {
  Operation& read = start(Kind::read);
  Operation& change = start(Kind::change);
  Operation& late = start(Kind::read);
  EXPECT_TRUE(change.first && late.first) << "first steps are kept in order by the hot tier";
  EXPECT_FALSE(change.next || late.next);
  end(read);
  EXPECT_TRUE(change.next);
  EXPECT_FALSE(late.next);
  end(change);
  EXPECT_TRUE(late.next);
  end(late);
}

TEST_F(QueueTurnsTest, OneAloneWaitsForAllAndIsWaitedForByAll) {
  Operation& read = start(Kind::read);
  Operation& alone = start(Kind::alone);
  Operation& late = start(Kind::read);
  EXPECT_FALSE(alone.first || late.first);
  end(read);
  EXPECT_TRUE(alone.next);
  EXPECT_FALSE(late.first);
  end(alone);
  EXPECT_TRUE(late.next);
  end(late);
}

TEST_F(QueueTurnsTest, AddsWaitForOneAloneAndForNothingElse) {
  Operation& change = start(Kind::change);
  Operation& add = start(Kind::single);
  Operation& read = start(Kind::read);
  EXPECT_TRUE(add.first);
  EXPECT_FALSE(read.next) << "waits for the change";
  end(change);
  EXPECT_TRUE(read.next) << "but not for the add";
  Operation& alone = start(Kind::alone);
  Operation& late = start(Kind::single);
  EXPECT_FALSE(alone.first || late.first);
  end(add);
  end(read);
  EXPECT_TRUE(alone.next);
  EXPECT_FALSE(late.first);
  end(alone);
  EXPECT_TRUE(late.first);
  end(late);
}

TEST_F(QueueTurnsTest, QueuesDoNotWaitForEachOther) {
  Operation& alone = start(Kind::alone);
  Operation& other = start(Kind::alone, "another");
  EXPECT_TRUE(alone.next && other.next);
  end(alone);
  end(other);
}

}  // namespace

}  // namespace mpr::test
