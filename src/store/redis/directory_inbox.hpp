// Where a gateway hears what other gateways say: decodes the messages of its two channels, counts
// what is missing, and tells the listener. It is shared with the client's subscriptions, which live
// longer than the directory: after close() it hears nothing more.
//
// Any thread may call. Listener and clock are used before close() only. on_gap() is never called
// here: the directory does that, on its own thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>

#include "core/ports.hpp"
#include "store/redis/announcement_numbers.hpp"
#include "store/redis/channel_message.hpp"

namespace mpr::redis {

class DirectoryInbox {
 public:
  // Called on the thread that received what they tell of.
  struct Handlers {
    std::function<void(const GatewayId&)> left;  // a gateway says that it leaves
    std::function<void()> overlooked;  // one announced nothing to this gateway for a while
  };
  DirectoryInbox(Speaker self, std::chrono::milliseconds patience, Clock& clock, Handlers handlers);

  void listen(LiveDirectoryListener& listener);
  // When it returns, nobody is called any more.
  void close();

  // What a gateway listens to: its own channel, and the one that is common to all.
  enum class Channel { own, common };

  // --- from the subscriptions ----------------------------------------------------------------
  void on_message(std::string_view payload);
  void on_connected(Channel channel);

  // --- from the directory --------------------------------------------------------------------
  // Waits until both subscriptions stand or have stood.
  bool wait_connected(std::chrono::steady_clock::time_point until);
  // True: messages may have gone unheard since the last call.
  bool lost();
  void forget(const GatewayId& gateway);

  // Calls `what` with the listener, if there is one.
  template <class Call>
  void tell(const Call& what) {
    std::shared_lock lock(lifetime_mutex_);
    if (listener_) what(*listener_);
  }

 private:
  // lifetime_mutex_ is held, shared.
  void hear(const Speaker& speaker, Announced& content);
  void hear(const Speaker& speaker, Superseded& content);
  void hear(const Speaker& speaker, const Overlooked& content);
  void hear(const Speaker& speaker, const Beacon& content);
  void hear(const Speaker& speaker, OrphanMessage& content);
  void hear(const Speaker& speaker, ListenerCame& content);
  void hear(const Speaker& speaker, const Left& content);
  void count(const Speaker& speaker, std::uint64_t number);

  const Speaker self_;
  const Handlers handlers_;
  Clock& clock_;

  // Held, shared, while the listener is called, so that close() can wait for that.
  std::shared_mutex lifetime_mutex_;
  bool closed_ = false;                        // guarded by lifetime_mutex_
  LiveDirectoryListener* listener_ = nullptr;  // guarded by lifetime_mutex_

  std::mutex mutex_;
  std::condition_variable connected_;
  bool own_connected_ = false;     // guarded by mutex_
  bool common_connected_ = false;  // guarded by mutex_
  bool resubscribed_ = false;      // guarded by mutex_
  HeardNumbers numbers_;           // guarded by mutex_
};

}  // namespace mpr::redis
