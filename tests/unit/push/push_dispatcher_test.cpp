#include "push/push_dispatcher.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/log_capture.hpp"

namespace mpr {
namespace {

using namespace std::chrono_literals;

PushVerdict verdict(PushOutcome outcome, std::chrono::milliseconds wait = 0ms) {
  PushVerdict made;
  made.outcome = outcome;
  made.reason = "503 WORD";
  made.wait = wait;
  return made;
}

// A sender whose answers a test decides; with `hold`, answers wait for let_go().
class FakeSender final : public NotificationSender {
 public:
  Task<PushVerdict> send(Notification notification) override {
    int attempt = 0;
    bool held = false;
    {
      std::lock_guard lock(mutex_);
      sent_.push_back(notification);
      attempt = ++attempts_[notification.token.token];
      held = hold_ && !stopped_;
      changed_.notify_all();
    }
    if (held) {
      const auto wait = [&](Completion<int>& completion) {
        std::lock_guard lock(mutex_);
        held_.push_back(&completion);
        changed_.notify_all();
      };
      co_await answer_of<int>(wait);
    }
    std::lock_guard lock(mutex_);
    co_return stopped_ ? verdict(PushOutcome::retry) : answers_(notification, attempt);
  }

  void stop() override {
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    let_go();
  }

  void answer(std::function<PushVerdict(const Notification&, int attempt)> answers) {
    std::lock_guard lock(mutex_);
    answers_ = std::move(answers);
  }
  void hold() {
    std::lock_guard lock(mutex_);
    hold_ = true;
  }
  void let_go() {
    std::lock_guard lock(mutex_);
    hold_ = false;
    for (Completion<int>* completion : std::exchange(held_, {})) completion->complete(0);
  }

  // Waits until `count` notifications were handed over in all.
  bool reached(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] { return sent_.size() >= count; });
  }
  std::vector<Notification> sent() {
    std::lock_guard lock(mutex_);
    return sent_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Notification> sent_;
  std::map<std::string, int> attempts_;
  std::vector<Completion<int>*> held_;
  bool hold_ = false;
  bool stopped_ = false;
  std::function<PushVerdict(const Notification&, int)> answers_ = [](const Notification&, int) {
    return verdict(PushOutcome::accepted);
  };
};

class FakeNeed final : public PushNeed {
 public:
  Task<Result<bool>> is_waiting(Connection, PushUnless unless, Deadline) override {
    asked_with = unless;
    ++asked;
    if (fails) co_return fail(Errc::unavailable, "no store");
    co_return waiting.load();
  }
  std::atomic<bool> waiting = true;
  std::atomic<bool> fails = false;
  std::atomic<int> asked = 0;
  std::atomic<PushUnless> asked_with = PushUnless::phone_is_live;
};

class FakeFeedback final : public PushFeedback {
 public:
  void push_token_invalid(const InvalidPushToken& token) override {
    std::lock_guard lock(mutex);
    heard.push_back(token);
  }
  std::mutex mutex;
  std::vector<InvalidPushToken> heard;
};

class BrokenWindows final : public PushWindows {
 public:
  Task<Result<WindowAnswer>> on_message(std::string, Deadline) override {
    co_return fail(Errc::unavailable, "no Redis");
  }
  Task<Result<WindowAnswer>> on_window_end(std::string, Deadline) override {
    co_return fail(Errc::unavailable, "no Redis");
  }
};

class RealClock final : public Clock {
 public:
  TimePoint now() const override {
    return std::chrono::time_point_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now());
  }
  std::chrono::steady_clock::time_point steady_now() const override {
    return std::chrono::steady_clock::now();
  }
};

class PushDispatcherTest : public testing::Test {
 protected:
  static constexpr std::chrono::milliseconds kWindow{200};

  PushDispatcherTest() {
    options.policy.window = kWindow;
    options.first_backoff = 10ms;
    options.drain = 200ms;
  }
  ~PushDispatcherTest() override {
    sender.let_go();
    if (dispatcher) dispatcher->drain();
  }

  void start(PushWindows* windows = nullptr) {
    dispatcher = std::make_unique<PushDispatcher>(
        thread,
        PushDispatcher::Ports{windows != nullptr ? *windows : memory, need, feedback, clock,
                              metrics},
        options);
    dispatcher->add_sender(PushProvider::fcm, sender);
    dispatcher->start();
  }

  void enqueue(const std::string& token, const std::string& message = "m",
               PushReason reason = PushReason::message_added, const std::string& connection = "c") {
    PushRequest request;
    request.connection.id = ConnectionId(connection);
    request.message_id = MessageId(message);
    request.token.token = token;
    request.reason = reason;
    dispatcher->enqueue(std::move(request));
  }

  std::uint64_t count(PushResult result, PushProvider provider = PushProvider::fcm) const {
    return metrics.pushes[static_cast<std::size_t>(provider)][static_cast<std::size_t>(result)]
        .value();
  }
  template <class Condition>
  bool becomes(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }
  bool counted(PushResult result, std::uint64_t times) {
    return becomes([&] { return count(result) == times; });
  }
  bool idle() {
    return becomes([&] { return metrics.pushes_waiting.value() == 0; });
  }

  PushDispatcher::Options options;
  RealClock clock;
  Metrics metrics;
  FakeNeed need;
  FakeFeedback feedback;
  IoThread thread{"push-test"};
  FakeSender sender;
  MemoryPushWindows memory{PushPolicy{kWindow}, clock};
  std::unique_ptr<PushDispatcher> dispatcher;
};

TEST_F(PushDispatcherTest, TurnsABurstIntoTwoPushes) {
  start();
  for (int i = 0; i < 100; ++i) enqueue("t", "m" + std::to_string(i));
  ASSERT_TRUE(sender.reached(2));
  ASSERT_TRUE(counted(PushResult::accepted, 2));
  ASSERT_TRUE(idle());
  EXPECT_EQ(sender.sent().size(), 2U);
  EXPECT_EQ(sender.sent().back().message_id, MessageId("m99"));
}

TEST_F(PushDispatcherTest, SendsNothingAtTheEndWhenNothingWaits) {
  start();
  enqueue("t");
  ASSERT_TRUE(counted(PushResult::accepted, 1));
  enqueue("t");
  need.waiting = false;
  EXPECT_TRUE(counted(PushResult::unneeded, 1));
  EXPECT_EQ(sender.sent().size(), 1U);
}

TEST_F(PushDispatcherTest, SendsAtTheEndWhenTheQuestionCannotBeAnswered) {
  need.fails = true;
  start();
  enqueue("t");
  ASSERT_TRUE(counted(PushResult::accepted, 1));
  enqueue("t");
  EXPECT_TRUE(counted(PushResult::accepted, 2));
}

TEST_F(PushDispatcherTest, AsksAboutLiveSessionsUnlessOneDidNotAcknowledge) {
  start();
  enqueue("t");
  ASSERT_TRUE(counted(PushResult::accepted, 1));
  enqueue("t", "m", PushReason::acknowledgement_overdue);
  ASSERT_TRUE(counted(PushResult::accepted, 2));
  EXPECT_EQ(need.asked_with, PushUnless::nothing_visible);
  enqueue("u");
  ASSERT_TRUE(counted(PushResult::accepted, 3));
  enqueue("u");
  ASSERT_TRUE(counted(PushResult::accepted, 4));
  EXPECT_EQ(need.asked_with, PushUnless::phone_is_live);
}

TEST_F(PushDispatcherTest, SendsOnceMoreForWhatCameDuringAnAttempt) {
  sender.hold();
  start();
  enqueue("t", "first");
  ASSERT_TRUE(sender.reached(1));
  enqueue("t", "second");
  ASSERT_TRUE(becomes([&] { return metrics.pushes_collapsed.value() == 1; }));
  sender.let_go();
  ASSERT_TRUE(counted(PushResult::accepted, 2));
  EXPECT_EQ(sender.sent().back().message_id, MessageId("second"));
}

TEST_F(PushDispatcherTest, TriesAgainAndNotBeforeTheProviderSays) {
  sender.answer([](const Notification&, int attempt) {
    return attempt < 3 ? verdict(PushOutcome::retry, 50ms) : verdict(PushOutcome::accepted);
  });
  start();
  const auto begun = std::chrono::steady_clock::now();
  enqueue("t");
  ASSERT_TRUE(counted(PushResult::accepted, 1));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 100ms);
  EXPECT_EQ(metrics.push_retries.value(), 2U);
}

TEST_F(PushDispatcherTest, TriesNoMoreWhenThePhoneCameBack) {
  sender.answer([](const Notification&, int) { return verdict(PushOutcome::retry, 50ms); });
  need.waiting = false;
  start();
  enqueue("t");
  EXPECT_TRUE(counted(PushResult::unneeded, 1));
  EXPECT_EQ(sender.sent().size(), 1U);
}

TEST_F(PushDispatcherTest, GivesUpAfterTheBoundedAge) {
  options.max_age = 100ms;
  sender.answer([](const Notification&, int) { return verdict(PushOutcome::retry, 40ms); });
  start();
  enqueue("t");
  EXPECT_TRUE(counted(PushResult::given_up, 1));
  EXPECT_LE(sender.sent().size(), 3U);
}

TEST_F(PushDispatcherTest, RemembersAndAnnouncesADeadTokenOnce) {
  sender.answer([](const Notification&, int) { return verdict(PushOutcome::token_dead); });
  start();
  enqueue("t");
  ASSERT_TRUE(counted(PushResult::token_dead, 1));
  enqueue("t");
  ASSERT_TRUE(counted(PushResult::known_dead, 1));
  EXPECT_EQ(sender.sent().size(), 1U);
  std::lock_guard lock(feedback.mutex);
  ASSERT_EQ(feedback.heard.size(), 1U);
  EXPECT_EQ(feedback.heard[0].token_sha256,
            "e3b98a4da31a127d4bde6e43033f66ba274cab0eb7eb1c70ec41402bf6273dd8");
}

TEST_F(PushDispatcherTest, DoubtsADeathOlderThanTheTokenUntilItIsSaidAgain) {
  sender.answer([](const Notification&, int) {
    PushVerdict dead = verdict(PushOutcome::token_dead);
    dead.dead_since = TimePoint(1'000s);
    return dead;
  });
  start();
  enqueue("t");
  ASSERT_TRUE(counted(PushResult::doubted, 1));
  EXPECT_EQ(count(PushResult::token_dead), 0U);
  enqueue("t");
  EXPECT_TRUE(counted(PushResult::token_dead, 1));
}

TEST_F(PushDispatcherTest, BoundsItsQueueAndCountsWhatItDrops) {
  options.queue = 5;
  sender.hold();
  start();
  for (int i = 0; i < 50; ++i) enqueue("t" + std::to_string(i));
  EXPECT_TRUE(becomes([&] { return count(PushResult::dropped) == 45; }));
  EXPECT_TRUE(becomes([&] { return metrics.pushes_waiting.value() == 5; }));
}

TEST_F(PushDispatcherTest, CountsTokensThatNobodySends) {
  start();
  PushRequest request;
  request.token = {PushProvider::apns, "t", ""};
  dispatcher->enqueue(std::move(request));
  EXPECT_TRUE(becomes([&] { return count(PushResult::no_sender, PushProvider::apns) == 1; }));
}

TEST_F(PushDispatcherTest, CollapsesByItselfWhenTheSharedWindowsCannotBeAsked) {
  test::LogCapture log;
  BrokenWindows broken;
  start(&broken);
  for (int i = 0; i < 100; ++i) enqueue("t");
  ASSERT_TRUE(counted(PushResult::accepted, 2));
  ASSERT_TRUE(idle());
  EXPECT_EQ(sender.sent().size(), 2U);
  EXPECT_EQ(log.with("could not ask for push windows").size(), 1U);
  dispatcher->drain();
}

TEST_F(PushDispatcherTest, SendsWhatWasPlannedForLaterWhenItIsDrained) {
  options.policy.window = 1h;
  MemoryPushWindows long_windows{PushPolicy{1h}, clock};
  start(&long_windows);
  enqueue("t");
  ASSERT_TRUE(counted(PushResult::accepted, 1));
  enqueue("t", "last");
  ASSERT_TRUE(becomes([&] { return metrics.pushes_waiting.value() == 1; }));
  dispatcher->drain();
  EXPECT_EQ(count(PushResult::accepted), 2U);
  enqueue("t");
  EXPECT_EQ(count(PushResult::dropped), 1U);
}

TEST_F(PushDispatcherTest, IsDrainedInTimeAlthoughASenderHangs) {
  sender.hold();
  start();
  enqueue("t");
  ASSERT_TRUE(sender.reached(1));
  const auto begun = std::chrono::steady_clock::now();
  dispatcher->drain();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 2s);
  EXPECT_EQ(count(PushResult::given_up), 1U);
}

TEST_F(PushDispatcherTest, LogsAnOutageOnceAndNoToken) {
  test::LogCapture log;
  sender.answer([](const Notification&, int) { return verdict(PushOutcome::rejected); });
  start();
  for (int i = 0; i < 20; ++i) enqueue("secret-token-" + std::to_string(i));
  ASSERT_TRUE(counted(PushResult::rejected, 20));
  EXPECT_EQ(log.with("could not send a push notification").size(), 1U);
  EXPECT_TRUE(log.with("secret").empty());
  dispatcher->drain();
}

TEST_F(PushDispatcherTest, KeepsNothingOfTokensThatPassedThrough) {
  start();
  for (int i = 0; i < 5'000; ++i) enqueue("t" + std::to_string(i));
  ASSERT_TRUE(counted(PushResult::accepted, 5'000));
  ASSERT_TRUE(idle());
  ASSERT_TRUE(becomes([&] {
    enqueue("one-more");
    return memory.size() <= 2;
  }));
}

}  // namespace
}  // namespace mpr
