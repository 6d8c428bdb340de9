// Push notifications of one node: the thread, the senders, the windows and the dispatcher, put
// together.
//
// For the main thread: open(); bind() and start() once the service stands; drain() while service,
// store and windows still do. sender() may be used from open() on, by any thread.
#pragma once

#include <memory>
#include <vector>

#include "app/push_senders.hpp"
#include "app/settings.hpp"
#include "base/metrics.hpp"
#include "core/ports.hpp"
#include "core/push_windows.hpp"
#include "net/io_thread.hpp"
#include "push/memory_push_windows.hpp"
#include "push/push_dispatcher.hpp"

namespace mpr {

class PickupService;

class Pushing {
 public:
  struct Ports {
    PushWindows* windows = nullptr;  // shared by all gateways; null: this one's own, in memory
    PushFeedback& feedback;
    Clock& clock;
    Metrics& metrics;
  };

  // Fails if a credential file cannot be used, with the reason.
  static Result<std::unique_ptr<Pushing>> open(const Settings& settings, Ports ports);
  ~Pushing();
  Pushing(const Pushing&) = delete;
  Pushing& operator=(const Pushing&) = delete;

  PushSender& sender() noexcept { return dispatcher_; }

  // `service` answers whether a phone still waits; it outlives drain().
  void start(PickupService& service);

  // See PushDispatcher::drain().
  void drain();

 private:
  class Need;
  Pushing(const Settings& settings, Ports ports);

  IoThread thread_{"mpr-push"};
  PushSenders senders_;
  MemoryPushWindows own_windows_;
  std::unique_ptr<Need> need_;
  PushDispatcher dispatcher_;
};

}  // namespace mpr
