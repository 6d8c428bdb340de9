// A gateway of the directory's tests as a process of its own, so that it can be killed and paused.
// Arguments: "single" or "cluster", ports divided by commas, prefix, gateway id, heartbeat interval
// and TTL in milliseconds. Reads lines "open <connection>" and answers "opened <epoch>"; says
// "joined" at the start, and "gap", "superseded ..." and "announced ..." when it hears them.
#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <sstream>
#include <string>

#include "base/run_loop.hpp"
#include "tests/support/joined_directory.hpp"

namespace {

using namespace mpr;

std::mutex output_mutex;

void say(const std::string& line) {
  std::lock_guard lock(output_mutex);
  std::cout << line << std::endl;
}

class SpeakingListener final : public LiveDirectoryListener {
 public:
  void on_announced(Connection connection, Position position) override {
    say("announced " + connection.id.value + " " + std::to_string(position.value));
  }
  void on_superseded(Connection connection, Epoch newer) override {
    say("superseded " + connection.id.value + " " + std::to_string(newer.value));
  }
  void on_orphan_message(Connection, Epoch, StoredMessage) override {}
  void on_listener_elsewhere(TenantId) override {}
  void on_gap() override { say("gap"); }
};

redis::ClientOptions client_options(const std::string& mode, const std::string& ports) {
  redis::ClientOptions options;
  if (mode == "cluster") options.mode = redis::ClientOptions::Mode::cluster;
  std::istringstream list(ports);
  for (std::string port; std::getline(list, port, ',');) {
    options.servers.push_back({"127.0.0.1", static_cast<std::uint16_t>(std::stoi(port))});
  }
  return options;
}

}  // namespace

int main(int, char** arguments) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  RedisDirectory::Options options;
  options.self = GatewayId(arguments[4]);
  options.heartbeat_interval = std::chrono::milliseconds(std::stoi(arguments[5]));
  options.dead_after = std::chrono::milliseconds(std::stoi(arguments[6]));
  SpeakingListener listener;
  test::JoinedDirectory directory(client_options(arguments[1], arguments[2]),
                                  redis::Keys(arguments[3], 16), options);
  directory.listen(listener);
  say("joined");
  for (std::string line; std::getline(std::cin, line);) {
    if (!line.starts_with("open ")) continue;
    const Connection connection{TenantId(), ConnectionId(line.substr(5))};
    const auto epoch = RunLoop().run(directory.open(connection, SessionId("child"), Position{},
                                                    Deadline::after(std::chrono::seconds(10))));
    say("opened " + (epoch ? std::to_string(epoch->value) : epoch.error().context));
  }
  return 0;
}
