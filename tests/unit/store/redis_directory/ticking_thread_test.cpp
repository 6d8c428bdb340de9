#include "store/redis/ticking_thread.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "base/task.hpp"

namespace mpr::redis {

TEST(TickingThread, TicksUntilItIsStopped) {
  TickingThread thread("test");
  std::promise<void> third;
  std::atomic<int> ticks = 0;
  thread.start(std::chrono::milliseconds(1), [&] {
    if (++ticks == 3) third.set_value();
  });
  third.get_future().wait();
  thread.stop();
  const int at_the_end = ticks;
  thread.run([&] { ticks = -1; });
  EXPECT_EQ(ticks, at_the_end);
}

TEST(TickingThread, RunsWorkInOrderOnItself) {
  TickingThread thread("test");
  thread.start(std::chrono::hours(1), [] {});
  std::vector<int> order;
  std::promise<Executor*> last;
  for (int i = 0; i < 3; ++i) thread.run([&order, i] { order.push_back(i); });
  thread.run([&] { last.set_value(Executor::current()); });
  EXPECT_EQ(last.get_future().get(), &thread);
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

namespace {

Task<void> wait_for_answer(Completion<int>*& asked, std::promise<int>& got,
                           std::promise<void>& waits) {
  const int answer = co_await answer_of<int>([&](Completion<int>& completion) {
    asked = &completion;
    waits.set_value();
  });
  got.set_value(Executor::current() ? answer : -1);
}

}  // namespace

TEST(TickingThread, ResumesWhatWaitsForAnotherThread) {
  TickingThread thread("test");
  thread.start(std::chrono::hours(1), [] {});
  TaskGroup group([](std::exception_ptr) { ADD_FAILURE(); });
  Completion<int>* asked = nullptr;
  std::promise<int> got;
  std::promise<void> waits;
  thread.run([&] { group.spawn(wait_for_answer(asked, got, waits)); });
  waits.get_future().wait();
  asked->complete(7);
  EXPECT_EQ(got.get_future().get(), 7);
  std::promise<void> over;
  thread.run([&] { over.set_value(); });
  over.get_future().wait();
  EXPECT_EQ(group.running(), 0U);
}

}  // namespace mpr::redis
