// The store and the directory that the options ask for, with everything behind them: clients of
// servers, tiers, the archiver. storage.cpp and redis_storage.cpp name the adapters.
//
// For the main thread; store() and directory() are used by any. Opened before the gateway's io
// threads begin, closed after they have ended, except that end_background() may come before.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/settings.hpp"
#include "base/metrics.hpp"
#include "core/ports.hpp"
#include "core/push_windows.hpp"

namespace mpr {

class Storage {
 public:
  struct Ports {
    Clock& clock;
    Metrics& metrics;
  };

  // Connects to what is configured, or fails with a reason that names what cannot be had. `self`
  // names this process to the other gateways.
  static Result<std::unique_ptr<Storage>> open(const Settings& settings, const GatewayId& self,
                                               Ports ports);
  virtual ~Storage() = default;

  virtual MessageStore& store() = 0;
  virtual LiveDirectory& directory() = 0;

  // Push windows that all gateways share; null: there is only this gateway.
  virtual PushWindows* push_windows() { return nullptr; }

  // What is worth a line in the log at the start: versions, modes, and settings that are not as
  // they should be.
  struct Finding {
    enum class Kind { good, warning };
    Kind kind = Kind::good;
    std::string text;
  };
  virtual std::vector<Finding> findings() const { return {}; }

  // Moves messages between tiers from here on. Once, when the listener is set.
  virtual void begin_background() {}
  // Ends that after the step in hand; does not wait.
  virtual void stop_background() {}
  // Waits for that end until the deadline, and tells other gateways that this one is going, for
  // which it takes another second at most. False: something still waits for Redis or the database,
  // so that the storage must not be destroyed yet.
  virtual bool end_background(Deadline) { return true; }
};

}  // namespace mpr
