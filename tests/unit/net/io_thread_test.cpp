#include "net/io_thread.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "base/task.hpp"

namespace mpr {
namespace {

using namespace std::chrono_literals;

// A connected pair of non-blocking sockets.
struct SocketPair {
  SocketPair() {
    std::array<int, 2> fds;
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()), 0);
    here = fds[0];
    there = fds[1];
  }
  ~SocketPair() {
    ::close(here);
    ::close(there);
  }
  int here = -1;
  int there = -1;
};

// Calls a function when its descriptor is ready.
struct Probe final : IoThread::Source {
  explicit Probe(std::function<void(IoThread::Ready)> f) : function(std::move(f)) {}
  void on_ready(IoThread::Ready ready) override { function(ready); }
  std::function<void(IoThread::Ready)> function;
};

TEST(IoThread, RunsWorkOfOtherThreadsInOrder) {
  IoThread thread("test");
  thread.start();
  std::vector<int> order;
  std::promise<void> done;
  for (int i = 0; i < 1000; ++i) thread.run([&order, i] { order.push_back(i); });
  thread.run([&] {
    EXPECT_TRUE(thread.is_current());
    done.set_value();
  });
  done.get_future().get();
  ASSERT_EQ(order.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_FALSE(thread.is_current());
}

TEST(IoThread, TakesWorkFromManyThreadsAtOnce) {
  IoThread thread("test");
  thread.start();
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  int count = 0;  // of the io thread
  std::promise<void> done;
  std::vector<std::thread> senders;
  for (int t = 0; t < kThreads; ++t) {
    senders.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        thread.run([&] {
          if (++count == kThreads * kEach) done.set_value();
        });
      }
    });
  }
  done.get_future().get();
  for (std::thread& sender : senders) sender.join();
}

Task<void> wait_for(Completion<int>*& handed_out, std::promise<int>& answer, IoThread& thread) {
  const int value = co_await answer_of<int>([&](Completion<int>& c) { handed_out = &c; });
  EXPECT_TRUE(thread.is_current());
  answer.set_value(value);
}

TEST(IoThread, ResumesCoroutinesThatWaitedOnIt) {
  IoThread thread("test");
  thread.start();
  Completion<int>* completion = nullptr;
  std::promise<int> answer;
  std::promise<void> waiting;
  TaskGroup group([](std::exception_ptr) { FAIL(); });
  thread.run([&] {
    group.spawn(wait_for(completion, answer, thread));
    waiting.set_value();
  });
  waiting.get_future().get();
  completion->complete(42);
  EXPECT_EQ(answer.get_future().get(), 42);
  thread.stop();
  thread.join();
  EXPECT_EQ(group.running(), 0u);
}

TEST(IoThread, TellsASourceThatItsDescriptorIsReadable) {
  IoThread thread("test");
  SocketPair pair;
  std::promise<std::string> heard;
  Probe probe([&](IoThread::Ready ready) {
    EXPECT_TRUE(ready.readable);
    std::array<char, 16> bytes;
    const auto count = ::read(pair.here, bytes.data(), bytes.size());
    heard.set_value(std::string(bytes.data(), static_cast<std::size_t>(count)));
  });
  thread.watch(pair.here, probe, IoThread::Interest::read);
  thread.start();
  ASSERT_EQ(::write(pair.there, "hello", 5), 5);
  EXPECT_EQ(heard.get_future().get(), "hello");
}

// Two sources are ready in one turn; whichever comes first silences the other.
TEST(IoThread, TellsNothingToASourceThatIsNoLongerWatched) {
  IoThread thread("test");
  SocketPair first;
  SocketPair second;
  int told = 0;
  Probe* probes[2] = {};
  Probe a([&](IoThread::Ready) {
    ++told;
    thread.unwatch(first.here, *probes[0]);
    thread.unwatch(second.here, *probes[1]);
  });
  Probe b(a.function);
  probes[0] = &a;
  probes[1] = &b;
  thread.watch(first.here, a, IoThread::Interest::read);
  thread.watch(second.here, b, IoThread::Interest::read);
  ASSERT_EQ(::write(first.there, "x", 1), 1);
  ASSERT_EQ(::write(second.there, "x", 1), 1);
  thread.start();
  std::promise<void> done;
  thread.run([&] { thread.run([&] { done.set_value(); }); });  // a turn later
  done.get_future().get();
  thread.stop();
  thread.join();
  EXPECT_EQ(told, 1);
}

TEST(IoThread, CallsPeriodicFunctionsAndTurnEnds) {
  IoThread thread("test");
  int ticks = 0;
  int ends = 0;
  std::promise<void> done;
  thread.every(1ms, [&] {
    if (++ticks == 3) done.set_value();
  });
  thread.at_turn_end([&] { ++ends; });
  thread.start();
  done.get_future().get();
  thread.stop();
  thread.join();
  EXPECT_GE(ends, 3);
  EXPECT_LT(std::chrono::steady_clock::now() - thread.last_turn(), 60s);
}

TEST(IoThread, DropsWorkThatComesAfterItsEnd) {
  auto used = std::make_shared<int>(0);
  {
    IoThread thread("test");
    thread.start();
    thread.stop();
    thread.join();
    thread.run([used] { ++*used; });
    EXPECT_EQ(used.use_count(), 2);
  }
  EXPECT_EQ(*used, 0);
  EXPECT_EQ(used.use_count(), 1);
}

}  // namespace
}  // namespace mpr
