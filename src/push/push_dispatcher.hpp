// Sends push notifications on a thread of its own: at most one at a time for a token, collapsed
// into windows, tried again as the providers ask, given up after a while.
//
// enqueue() is for any thread, from construction to destruction. Everything else is for the owner:
// construct; add_sender(); start(); drain(). Ports and senders outlive the dispatcher's thread,
// that is, until drain() returned; they live on thread() and are made before start(). What is put
// into the log never contains a token, a key or a payload.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/metrics.hpp"
#include "base/task.hpp"
#include "core/ports.hpp"
#include "core/push_windows.hpp"
#include "net/io_thread.hpp"
#include "push/dead_tokens.hpp"
#include "push/memory_push_windows.hpp"
#include "push/notification_sender.hpp"
#include "push/sleepers.hpp"

namespace mpr {

class PushDispatcher final : public PushSender {
 public:
  struct Options {
    PushPolicy policy;
    std::size_t queue = 100'000;  // tokens with a push due or under way; more are dropped
    std::chrono::milliseconds max_age{600'000};      // from due to the last attempt
    std::chrono::milliseconds first_backoff{1'000};  // doubled by each attempt, spread by jitter
    std::chrono::milliseconds longest_backoff{60'000};
    std::chrono::milliseconds drain{3'000};
    std::size_t dead_tokens = 100'000;
    std::chrono::milliseconds dead_remembered = std::chrono::hours(24);
  };

  struct Ports {
    PushWindows& windows;
    PushNeed& need;
    PushFeedback& feedback;
    Clock& clock;
    Metrics& metrics;
  };

  // `thread` has not been started yet.
  PushDispatcher(IoThread& thread, Ports ports, Options options);
  ~PushDispatcher() override;

  // Whose tokens go to which sender. Tokens without one are counted as unsendable.
  void add_sender(PushProvider provider, NotificationSender& sender);

  void start();

  // Takes no more; sends at once what was planned for later; gives up what waits for another
  // attempt; waits for what is under way. Bounded by the drain time. Ends the thread.
  void drain();

  void enqueue(PushRequest request) override;

 private:
  using SteadyPoint = std::chrono::steady_clock::time_point;

  // A token of which a push is due or under way: exists as long as its coroutine runs.
  struct Track {
    std::string key;
    Notification latest;  // of the newest message
    // Whose messages wait; when they are too many to ask about, all are taken to wait.
    std::vector<Connection> connections;
    bool too_many = false;
    // Something came since the last attempt began, which that attempt may not cover.
    bool uncovered = false;
    // Not acknowledged by a session that seems live: it does not count then.
    PushUnless unless = PushUnless::phone_is_live;
    std::optional<TimePoint> token_given;  // by the newest message that carried it
  };
  void take_inbox();
  void admit(PushRequest request);
  void note(Track& track, PushRequest request);
  // The tracks are stable in memory; `track` lives until the coroutine erases it.
  Task<void> look_after(Track* track);
  Task<void> settle(Track* track);
  enum class Moment { message, window_end };
  Task<WindowAnswer> ask_windows(std::string key, Moment moment);
  Task<bool> still_waiting(Track* track);
  Task<void> deliver(Track* track);
  void conclude(Track& track, const PushVerdict& verdict, SteadyPoint due);
  void bury(Track& track, const PushVerdict& verdict);
  std::chrono::milliseconds pause_before(int attempt, const PushVerdict& verdict);
  void count(PushProvider provider, PushResult result);
  void complain(const Track& track, const PushVerdict& verdict);
  NotificationSender* sender_of(const PushToken& token) const;
  bool idle_within(std::chrono::milliseconds time);

  IoThread& thread_;
  const Ports ports_;
  const Options options_;

  // constant after start()
  std::array<NotificationSender*, kPushProviders> senders_{};
  std::vector<NotificationSender*> all_senders_;

  // the thread only
  MemoryPushWindows own_windows_;  // when the shared ones cannot be asked
  Sleepers sleepers_;
  DeadTokens dead_;
  std::unordered_map<std::string, Track> tracks_;
  std::minstd_rand random_;
  std::array<SteadyPoint, kPushProviders> complained_{};  // when last
  SteadyPoint complained_of_windows_{};
  bool draining_ = false;

  TaskGroup tasks_;
  bool running_ = false;  // the owner's

  std::mutex mutex_;
  std::deque<PushRequest> inbox_;  // guarded by mutex_
  bool closed_ = false;            // guarded by mutex_
  bool idle_ = false;              // guarded by mutex_: draining, and nothing is left
  std::condition_variable became_idle_;
};

}  // namespace mpr
