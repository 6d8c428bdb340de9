// Real Redis servers for tests: started on free loopback ports in a temporary directory, gone with
// the object, or with the test if it dies. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/temporary_directory.hpp"

namespace mpr::test {

// A TCP port of the loopback interface that nobody uses; `also`: neither is port + `also`.
std::uint16_t free_port(int also = 0);

// Runs a program to its end and yields what it wrote on both streams.
struct CommandOutcome {
  int status = -1;
  std::string output;
};
CommandOutcome run_command(const std::vector<std::string>& words);

class RedisServer {
 public:
  // Starts redis-server with further lines of configuration and waits until it answers. Throws
  // std::runtime_error with a plain line when it does not; so that the test fails.
  explicit RedisServer(std::vector<std::string> config = {}, int also = 0);
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  std::uint16_t port() const noexcept { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  const std::filesystem::path& directory() const { return directory_.path(); }

  void kill9();
  // On the same port, with the same directory and configuration, after kill9() or stop().
  void start();
  void stop();  // SIGTERM, and waits
  bool is_running() const noexcept { return pid_ > 0; }
  void pause();
  void resume();

  // redis-cli against this server; `words` as on its command line. Yields its output, trimmed.
  std::string cli(std::vector<std::string> words) const;
  // Options that every redis-cli call needs, for example {"-a", "secret"}.
  void cli_options(std::vector<std::string> options) { cli_options_ = std::move(options); }

 private:
  void wait_until_up();

  TemporaryDirectory directory_;
  std::uint16_t port_;
  std::vector<std::string> config_;
  std::vector<std::string> cli_options_;
  pid_t pid_ = -1;
};

// Three primaries with one replica each. A node that is silent for `node_timeout` is replaced:
// quickly unless said otherwise.
class RedisCluster {
 public:
  explicit RedisCluster(std::vector<std::string> config = {},
                        std::chrono::milliseconds node_timeout = std::chrono::milliseconds(1500));

  static constexpr std::size_t kNodes = 6;
  RedisServer& node(std::size_t index) { return *nodes_[index]; }
  std::vector<std::string> addresses() const;

  // The node that serves the slot at present, asked of a running node.
  std::size_t owner_of(unsigned slot);
  // Some node that is a primary with slots but not `other`.
  std::size_t another_primary(std::size_t other);
  std::string id_of(std::size_t index);

  // Waits until all running nodes see all slots served; throws when that takes too long.
  void wait_until_ok();

  // Moves one slot with its keys, step by step, so that a test can look in between.
  void begin_move(unsigned slot, std::size_t from, std::size_t to);
  // Moves up to `most` keys; yields how many are left.
  std::size_t move_keys(unsigned slot, std::size_t from, std::size_t to, std::size_t most);
  void end_move(unsigned slot, std::size_t from, std::size_t to);
  void move_slot(unsigned slot, std::size_t to);

 private:
  std::vector<std::unique_ptr<RedisServer>> nodes_;
};

}  // namespace mpr::test
