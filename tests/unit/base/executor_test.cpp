#include "base/executor.hpp"

#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

#include "base/run_loop.hpp"

namespace mpr {
namespace {

// Remembers what it was given instead of running it.
struct RecordingExecutor final : Executor {
  void post(std::span<const std::coroutine_handle<>> handles) override {
    batches.emplace_back(handles.begin(), handles.end());
  }
  std::vector<std::vector<std::coroutine_handle<>>> batches;
};

std::array<std::coroutine_handle<>, 3> distinct_handles() {
  static std::array<int, 3> places;
  return {std::coroutine_handle<>::from_address(&places[0]),
          std::coroutine_handle<>::from_address(&places[1]),
          std::coroutine_handle<>::from_address(&places[2])};
}

TEST(Executor, IsKnownInsideItsScopeOnly) {
  RecordingExecutor outer;
  RecordingExecutor inner;
  EXPECT_EQ(Executor::current(), nullptr);
  {
    Executor::Scope outer_scope(outer);
    EXPECT_EQ(Executor::current(), &outer);
    {
      Executor::Scope inner_scope(inner);
      EXPECT_EQ(Executor::current(), &inner);
      std::jthread([] { EXPECT_EQ(Executor::current(), nullptr); }).join();
    }
    EXPECT_EQ(Executor::current(), &outer);
  }
  EXPECT_EQ(Executor::current(), nullptr);
}

TEST(Resumptions, PostOncePerExecutorInOrder) {
  RecordingExecutor one;
  RecordingExecutor two;
  const auto [a, b, c] = distinct_handles();
  Resumptions batch;
  batch.add(one, a);
  batch.add(two, b);
  batch.add(one, c);
  batch.flush();
  EXPECT_EQ(one.batches, (std::vector<std::vector<std::coroutine_handle<>>>{{a, c}}));
  EXPECT_EQ(two.batches, (std::vector<std::vector<std::coroutine_handle<>>>{{b}}));
}

TEST(Resumptions, AreEmptyAfterAFlush) {
  RecordingExecutor executor;
  Resumptions batch;
  batch.add(executor, distinct_handles()[0]);
  batch.flush();
  batch.flush();
  EXPECT_EQ(executor.batches.size(), 1U);
}

Task<void> count_wake_ups(int* count, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    std::jthread worker;
    co_await answer_of<int>([&worker](Completion<int>& completion) {
      worker = std::jthread([&completion] { completion.complete(0); });
    });
    ++*count;
  }
}

TEST(RunLoop, TakesAnswersFromOtherThreadsUntilTheTaskEnds) {
  RunLoop loop;
  int count = 0;
  loop.run(count_wake_ups(&count, 100));
  EXPECT_EQ(count, 100);
}

TEST(RunLoop, CanRunASecondTask) {
  RunLoop loop;
  int count = 0;
  loop.run(count_wake_ups(&count, 1));
  loop.run(count_wake_ups(&count, 1));
  EXPECT_EQ(count, 2);
  EXPECT_EQ(loop.poll(), 0U);
}

}  // namespace
}  // namespace mpr
