// What every LiveDirectory promises, as tests. LiveDirectoryContract needs one gateway,
// LiveDirectoryClusterContract several, DurableDirectoryContract a directory that survives a crash.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
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
  void on_announced(Connection connection, Position position) override {
    std::lock_guard lock(mutex_);
    events_.push_back("announced " + connection.id.value + " at " + std::to_string(position.value));
  }
  void on_superseded(Connection connection, Epoch newer) override {
    std::lock_guard lock(mutex_);
    events_.push_back("superseded " + connection.id.value);
    epochs_.push_back(newer);
  }
  void on_orphan_message(Connection connection, Epoch orphan, StoredMessage message) override {
    std::lock_guard lock(mutex_);
    events_.push_back("orphan " + connection.tenant.value + "/" + connection.id.value + " " +
                      message.id.value + " " + *message.payload);
    epochs_.push_back(orphan);
    last_message_ = std::move(message);
  }
  void on_listener_elsewhere(TenantId tenant) override {
    std::lock_guard lock(mutex_);
    events_.push_back("listener of " + tenant.value);
  }
  void on_gap() override {
    std::lock_guard lock(mutex_);
    ++gaps_;
  }

  // Everything but gaps: a directory may report one whenever it is not sure.
  std::vector<std::string> events() const {
    std::lock_guard lock(mutex_);
    return events_;
  }
  // Waits until something was heard; events travel.
  std::vector<std::string> eventually(std::size_t how_many) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (events().size() < how_many && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return events();
  }
  std::size_t gaps() const {
    std::lock_guard lock(mutex_);
    return gaps_;
  }
  StoredMessage last_message() const {
    std::lock_guard lock(mutex_);
    return last_message_;
  }
  std::vector<Epoch> epochs() const {
    std::lock_guard lock(mutex_);
    return epochs_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> events_;  // guarded by mutex_
  std::vector<Epoch> epochs_;        // guarded by mutex_
  std::size_t gaps_ = 0;             // guarded by mutex_
  StoredMessage last_message_;       // guarded by mutex_
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
  bool moved_on(LiveDirectory& directory, const Connection& connection, std::string_view session) {
    return loop_.run(directory.moved_on(connection, SessionId(session), Deadline::never())).value();
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
