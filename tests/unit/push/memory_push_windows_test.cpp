#include "push/memory_push_windows.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "base/run_loop.hpp"
#include "tests/support/fake_clock.hpp"

namespace mpr {
namespace {

using namespace std::chrono_literals;
using enum PushDecision;

class MemoryPushWindowsTest : public testing::Test {
 protected:
  WindowAnswer message(std::string key = "token") {
    return *RunLoop().run(windows.on_message(std::move(key), Deadline::never()));
  }
  WindowAnswer window_end(std::string key = "token") {
    return *RunLoop().run(windows.on_window_end(std::move(key), Deadline::never()));
  }

  test::FakeClock clock;
  MemoryPushWindows windows{PushPolicy{5s}, clock};
};

TEST_F(MemoryPushWindowsTest, PushNowThenOnceAtTheEnd) {
  EXPECT_EQ(message(), (WindowAnswer{now, 0ms}));
  clock.advance(2s);
  EXPECT_EQ(message(), (WindowAnswer{at_window_end, 3s}));
  EXPECT_EQ(message(), (WindowAnswer{none, 0ms}));
  clock.advance(3s);
  EXPECT_EQ(window_end(), (WindowAnswer{now, 0ms}));
}

TEST_F(MemoryPushWindowsTest, BeginAWindowWithThePushAtTheEnd) {
  message();
  message();
  clock.advance(5s);
  window_end();
  clock.advance(1s);
  EXPECT_EQ(message(), (WindowAnswer{at_window_end, 4s}));
}

TEST_F(MemoryPushWindowsTest, SayNoAtTheEndWhenAnotherWindowBeganSince) {
  message();
  message();
  clock.advance(6s);
  EXPECT_EQ(message(), (WindowAnswer{now, 0ms}));
  EXPECT_EQ(window_end(), (WindowAnswer{none, 0ms}));
}

TEST_F(MemoryPushWindowsTest, KeepTokensApart) {
  message("a");
  EXPECT_EQ(message("b"), (WindowAnswer{now, 0ms}));
}

TEST_F(MemoryPushWindowsTest, ForgetWhatIsOver) {
  for (int i = 0; i < 1'000; ++i) {
    message(std::to_string(i));
    clock.advance(10ms);
  }
  clock.advance(10s);
  message("last");
  EXPECT_EQ(windows.size(), 1U);
}

}  // namespace
}  // namespace mpr
