// What the tests of the directory share: gateways in this process and in processes of their own.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/run_loop.hpp"
#include "tests/contract/live_directory_contract.hpp"
#include "tests/integration/redis_bed.hpp"
#include "tests/support/joined_directory.hpp"

namespace mpr::test {

using namespace std::chrono_literals;
using redis::eventually;

inline Connection phone(std::string id) { return {TenantId(), ConnectionId(std::move(id))}; }

// Short, so that tests are: dead after 1.6 s instead of 12.
inline RedisDirectory::Options quick(std::string gateway) {
  RedisDirectory::Options options;
  options.self = GatewayId(std::move(gateway));
  options.heartbeat_interval = 200ms;
  options.dead_after = 1600ms;
  options.orphan_grace = 1000ms;
  options.beacon_interval = 100ms;
  options.number_patience = 100ms;
  options.gap_interval = 50ms;
  return options;
}

// A gateway in this process: a directory, and a listener that remembers.
struct Gateway {
  Gateway(const redis::ClientOptions& client, const redis::Keys& keys,
          RedisDirectory::Options options)
      : directory(client, keys, std::move(options)) {
    directory.listen(listener);
  }

  Epoch open(const std::string& id) {
    const auto epoch =
        RunLoop().run(directory.open(phone(id), SessionId("s"), Position{}, Deadline::after(20s)));
    EXPECT_TRUE(epoch.has_value()) << epoch.error().context;
    return epoch.value_or(Epoch{});
  }
  std::optional<SessionPlace> find(const std::string& id) {
    const auto place = RunLoop().run(directory.find(phone(id), Deadline::after(20s)));
    EXPECT_TRUE(place.has_value()) << place.error().context;
    return place.value_or(std::nullopt);
  }
  Result<SessionPlace> renew(const std::string& id, Epoch epoch) {
    return RunLoop().run(
        directory.renew(phone(id), SessionId("s"), epoch, Position{}, Deadline::after(20s)));
  }
  Result<void> announce(const std::string& id, const SessionPlace& place, std::uint64_t position,
                        std::chrono::milliseconds timeout = 20000ms) {
    return RunLoop().run(
        directory.announce(phone(id), place, Position{position}, Deadline::after(timeout)));
  }
  bool hears(const std::string& event, std::chrono::milliseconds limit = 10s) {
    return eventually(limit, [&] {
      const auto events = listener.events();
      return std::find(events.begin(), events.end(), event) != events.end();
    });
  }

  RecordingListener listener;
  JoinedDirectory directory;
};

// A gateway in a process of its own (directory_gateway_child.cpp).
class GatewayProcess {
 public:
  GatewayProcess(const redis::ClientOptions& client, const std::string& prefix,
                 const RedisDirectory::Options& options);
  ~GatewayProcess();
  GatewayProcess(const GatewayProcess&) = delete;
  GatewayProcess& operator=(const GatewayProcess&) = delete;

  // Opens a session there; its epoch.
  Epoch open(const std::string& id);
  bool says(const std::string& line, std::size_t times = 1, std::chrono::milliseconds limit = 10s);
  std::size_t count(const std::string& line) const;
  void signal(int number) { ::kill(pid_, number); }
  void kill9();

 private:
  void read_lines();
  std::vector<std::string> lines() const;

  pid_t pid_ = -1;
  int input_ = -1;   // of the child
  int output_ = -1;  // of the child
  std::thread reader_;
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;  // guarded by mutex_
};

}  // namespace mpr::test
