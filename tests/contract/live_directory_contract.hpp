// What every LiveDirectory promises, as tests. LiveDirectoryContract needs one gateway,
// LiveDirectoryClusterContract several, DurableDirectoryContract a directory that survives a crash.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/run_loop.hpp"
#include "core/ports.hpp"

namespace mpr::test {

// What the gateways of one test share. At most one directory per gateway id is open at a time.
class DirectoryHome {
 public:
  virtual ~DirectoryHome() = default;
  virtual std::unique_ptr<LiveDirectory> join(std::string_view gateway) = 0;
};

struct DirectoryFactory {
  std::string name;
  std::function<std::unique_ptr<DirectoryHome>()> make_home;
};

inline std::ostream& operator<<(std::ostream& out, const DirectoryFactory& f) {
  return out << f.name;
}

// Keeps what a directory tells it.
class RecordingListener final : public LiveDirectoryListener {
 public:
  void on_announced(Connection connection, Epoch epoch, StoredMessage message,
                    Position previous) override {
    std::lock_guard lock(mutex_);
    events_.push_back("announced " + connection.id.value + " " + message.id.value + " behind " +
                      std::to_string(previous.value));
    epochs_.push_back(epoch);
  }
  void on_superseded(Connection connection, Epoch newer) override {
    std::lock_guard lock(mutex_);
    events_.push_back("superseded " + connection.id.value);
    epochs_.push_back(newer);
  }
  void on_gap() override {
    std::lock_guard lock(mutex_);
    events_.push_back("gap");
  }

  std::vector<std::string> events() const {
    std::lock_guard lock(mutex_);
    return events_;
  }
  std::vector<Epoch> epochs() const {
    std::lock_guard lock(mutex_);
    return epochs_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> events_;  // guarded by mutex_
  std::vector<Epoch> epochs_;        // guarded by mutex_
};

class LiveDirectoryContract : public testing::TestWithParam<DirectoryFactory> {
 protected:
  LiveDirectoryContract() : home_(GetParam().make_home()) { here_ = home_->join("gateway-1"); }

  static Connection phone(std::string_view id, std::string_view tenant = "") {
    return {TenantId(tenant), ConnectionId(id)};
  }
  Epoch open(LiveDirectory& directory, const Connection& connection,
             std::string_view session = "session-1", Position opened_at = {}) {
    return loop_.run(directory.open(connection, SessionId(session), opened_at, Deadline::never()))
        .value();
  }
  bool close(LiveDirectory& directory, const Connection& connection, Epoch epoch) {
    return loop_.run(directory.close(connection, epoch, Deadline::never())).value();
  }
  std::optional<SessionPlace> find(LiveDirectory& directory, const Connection& connection) {
    return loop_.run(directory.find(connection, Deadline::never())).value();
  }
  std::vector<RecoveredSession> recover(LiveDirectory& directory) {
    return loop_.run(directory.recover()).value();
  }

  RunLoop loop_;
  std::unique_ptr<DirectoryHome> home_;
  RecordingListener listener_;
  std::unique_ptr<LiveDirectory> here_;
};

class LiveDirectoryClusterContract : public LiveDirectoryContract {};
class DurableDirectoryContract : public LiveDirectoryContract {};

}  // namespace mpr::test
