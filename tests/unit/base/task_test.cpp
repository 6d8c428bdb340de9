#include "base/task.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "base/run_loop.hpp"

namespace mpr {
namespace {

Task<int> seven() { co_return 7; }
Task<std::string> fails() {
  throw std::runtime_error("broken");
  co_return "never";
}
Task<std::unique_ptr<int>> owned(int value) { co_return std::make_unique<int>(value); }
Task<int> sum(int left, int right) {
  const int a = co_await [](int v) -> Task<int> { co_return v; }(left);
  const int b = co_await [](int v) -> Task<int> { co_return v; }(right);
  co_return a + b;
}

// Counts its living copies, to see when a coroutine's frame goes.
struct Alive {
  explicit Alive(int* count) : count_(count) { ++*count_; }
  Alive(Alive&& other) noexcept : count_(other.count_) { ++*count_; }
  Alive(const Alive& other) : count_(other.count_) { ++*count_; }
  Alive& operator=(const Alive&) = delete;
  ~Alive() { --*count_; }
  int* count_;
};

// Holds a completion until the test gives the answer, as a store's worker would.
template <class T>
struct Pending {
  Completion<T>* completion = nullptr;
  Task<T> answer() {
    co_return co_await answer_of<T>([this](Completion<T>& c) { completion = &c; });
  }
};

TEST(Task, YieldsWhatItReturns) {
  RunLoop loop;
  EXPECT_EQ(loop.run(seven()), 7);
  EXPECT_EQ(loop.run(sum(3, 4)), 7);
  EXPECT_EQ(*loop.run(owned(5)), 5);
}

TEST(Task, DoesNotStartBeforeItIsAwaited) {
  bool started = false;
  {
    auto task = [](bool* flag) -> Task<void> {
      *flag = true;
      co_return;
    }(&started);
    EXPECT_FALSE(started);
  }
  EXPECT_FALSE(started);
}

TEST(Task, FreesItsFrameWhenItIsDroppedUnstarted) {
  int alive = 0;
  {
    auto task = [](Alive) -> Task<void> { co_return; }(Alive(&alive));
    EXPECT_EQ(alive, 1);
  }
  EXPECT_EQ(alive, 0);
}

TEST(Task, FreesTheOldFrameOnAssignment) {
  int alive = 0;
  const auto make = [](Alive) -> Task<void> { co_return; };
  auto task = make(Alive(&alive));
  task = make(Alive(&alive));
  EXPECT_EQ(alive, 1);
}

TEST(Task, RethrowsToItsAwaiter) {
  RunLoop loop;
  EXPECT_THROW(loop.run(fails()), std::runtime_error);
  const auto outer = []() -> Task<std::string> {
    try {
      co_return co_await fails();
    } catch (const std::runtime_error& e) {
      co_return e.what();
    }
  };
  EXPECT_EQ(loop.run(outer()), "broken");
}

TEST(Task, DoesNotGrowTheStackOverAMillionAwaits) {
  constexpr int kRounds = 1'000'000;
  RunLoop loop;
  const auto many = []() -> Task<int> {
    int total = 0;
    for (int i = 0; i < kRounds; ++i) total += co_await seven();
    co_return total;
  };
  EXPECT_EQ(loop.run(many()), 7 * kRounds);
}

TEST(Completion, ResumesOnTheExecutorOfTheWaiter) {
  RunLoop loop;
  std::thread::id resumed_on;
  std::jthread worker;
  const auto wait = [&]() -> Task<int> {
    const int answer = co_await answer_of<int>([&](Completion<int>& completion) {
      worker = std::jthread([&completion] { completion.complete(42); });
    });
    resumed_on = std::this_thread::get_id();
    co_return answer;
  };
  EXPECT_EQ(loop.run(wait()), 42);
  EXPECT_EQ(resumed_on, std::this_thread::get_id());
}

TEST(Completion, MayBeSetBeforeTheWaiterReturnsToItsLoop) {
  RunLoop loop;
  const auto wait = []() -> Task<int> {
    co_return co_await answer_of<int>([](Completion<int>& completion) { completion.complete(1); });
  };
  EXPECT_EQ(loop.run(wait()), 1);
}

TEST(Completion, SetInABatchWaitsForTheFlush) {
  RunLoop loop;
  Executor::Scope scope(loop);
  TaskGroup group([](std::exception_ptr) { FAIL(); });
  Pending<int> first;
  Pending<int> second;
  int total = 0;
  const auto add = [](Pending<int>* pending, int* sum_of) -> Task<void> {
    *sum_of += co_await pending->answer();
  };
  group.spawn(add(&first, &total));
  group.spawn(add(&second, &total));
  Resumptions batch;
  first.completion->set(1, batch);
  second.completion->set(2, batch);
  EXPECT_EQ(loop.poll(), 0U);
  batch.flush();
  EXPECT_EQ(loop.poll(), 2U);
  EXPECT_EQ(total, 3);
  EXPECT_EQ(group.running(), 0U);
}

TEST(TaskGroup, CountsWhatRuns) {
  RunLoop loop;
  Executor::Scope scope(loop);
  TaskGroup group([](std::exception_ptr) { FAIL(); });
  Pending<int> pending;
  group.spawn([](Pending<int>* p) -> Task<void> { co_await p->answer(); }(&pending));
  EXPECT_EQ(group.running(), 1U);
  pending.completion->complete(0);
  loop.poll();
  EXPECT_EQ(group.running(), 0U);
}

TEST(TaskGroup, HearsOfExceptionsAndGoesOn) {
  RunLoop loop;
  Executor::Scope scope(loop);
  int heard = 0;
  TaskGroup group([&](std::exception_ptr) { ++heard; });
  group.spawn([]() -> Task<void> { co_await fails(); }());
  group.spawn([]() -> Task<void> { co_return; }());
  EXPECT_EQ(heard, 1);
  EXPECT_EQ(group.running(), 0U);
}

TEST(TaskGroup, CountsATaskAsEndedOnlyWhenItsFrameIsGone) {
  RunLoop loop;
  Executor::Scope scope(loop);
  TaskGroup group([](std::exception_ptr) { FAIL(); });
  int alive = 0;
  Pending<int> pending;
  group.spawn(
      [](Alive, Pending<int>* p) -> Task<void> { co_await p->answer(); }(Alive(&alive), &pending));
  EXPECT_EQ(alive, 1);
  pending.completion->complete(0);
  loop.poll();
  EXPECT_EQ(group.running(), 0U);
  EXPECT_EQ(alive, 0);
}

TEST(WhenAll, YieldsOutcomesInTheOrderOfTheTasks) {
  RunLoop loop;
  Executor::Scope scope(loop);
  std::vector<Pending<int>> pending(3);
  std::vector<int> outcomes;
  TaskGroup group([](std::exception_ptr) { FAIL(); });
  group.spawn([](std::vector<Pending<int>>* all, std::vector<int>* out) -> Task<void> {
    std::vector<Task<int>> tasks;
    for (auto& one : *all) tasks.push_back(one.answer());
    *out = co_await when_all(std::move(tasks));
  }(&pending, &outcomes));
  for (const std::size_t i : {2U, 0U, 1U}) {
    EXPECT_TRUE(outcomes.empty());
    pending[i].completion->complete(static_cast<int>(i) * 10);
    loop.poll();
  }
  EXPECT_EQ(outcomes, (std::vector{0, 10, 20}));
}

TEST(WhenAll, OfNothingIsNothing) {
  RunLoop loop;
  EXPECT_TRUE(loop.run(when_all(std::vector<Task<int>>())).empty());
}

TEST(WhenAll, FinishesTheOthersBeforeItRethrows) {
  RunLoop loop;
  int finished = 0;
  const auto counted = [](int* count) -> Task<std::string> {
    ++*count;
    co_return "";
  };
  const auto both = [&]() -> Task<void> {
    std::vector<Task<std::string>> tasks;
    tasks.push_back(fails());
    tasks.push_back(counted(&finished));
    co_await when_all(std::move(tasks));
  };
  EXPECT_THROW(loop.run(both()), std::runtime_error);
  EXPECT_EQ(finished, 1);
}

TEST(Deadline, NeverIsNeverAndAfterIsLater) {
  const auto now = std::chrono::steady_clock::now();
  EXPECT_FALSE(Deadline::never().passed());
  EXPECT_FALSE(Deadline::after(std::chrono::hours(1)).passed());
  EXPECT_TRUE(Deadline{now}.passed(now));
  EXPECT_FALSE(Deadline{now + std::chrono::nanoseconds(1)}.passed(now));
}

}  // namespace
}  // namespace mpr
