// How long a gateway takes to end when a server that it needs is away. It runs as a process of its
// own: what matters is when that is gone.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "tests/support/redis_server.hpp"
#include "tests/support/temporary_directory.hpp"

namespace mpr::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kDrain = 1s;
constexpr auto kSlowMachine = 6s;

class Gateway {
 public:
  Gateway(const RedisServer& redis, const std::string& mongodb_uri) {
    const char* named = std::getenv("MPR_BIN");
    const std::string binary = named ? named : MPR_BINARY;
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setenv("MPR_BACKEND", "redis", 1);
    ::setenv("REDIS_URL", ("redis://" + redis.address()).c_str(), 1);
    ::setenv("MONGODB_URI", mongodb_uri.c_str(), 1);
    ::setenv("MPR_BIND", "127.0.0.1", 1);
    ::setenv("WS_PORT", "0", 1);
    ::setenv("APP_PORT", "0", 1);
    ::setenv("MPR_DRAIN_TIMEOUT_MS", "1000", 1);
    const int log = ::open(log_path().c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    ::execl(binary.c_str(), "mpr", "serve", static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ~Gateway() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  std::string log() const {
    std::ifstream file(log_path());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  bool says(std::string_view line) const {
    const auto limit = Clock::now() + 60s;
    while (log().find(line) == std::string::npos) {
      if (Clock::now() > limit) return false;
      std::this_thread::sleep_for(10ms);
    }
    return true;
  }

  struct End {
    int status = -1;
    Clock::duration took{};
  };
  End end() {
    const auto begin = Clock::now();
    End end;
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, &end.status, 0);
    pid_ = -1;
    end.took = Clock::now() - begin;
    return end;
  }

 private:
  std::string log_path() const { return (directory_.path() / "log").string(); }

  TemporaryDirectory directory_;
  pid_t pid_ = -1;
};

// Something that listens and never answers, as a server does that is stopped.
class SilentServer {
 public:
  SilentServer() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_, any, size) != 0 || ::listen(socket_, 64) != 0 ||
        ::getsockname(socket_, any, &size) != 0) {
      throw std::runtime_error("cannot listen");
    }
    port_ = ::ntohs(address.sin_port);
  }
  ~SilentServer() { ::close(socket_); }
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;

  std::string mongodb_uri() const {
    return "mongodb://127.0.0.1:" + std::to_string(port_) + "/mpr";
  }

 private:
  int socket_;
  std::uint16_t port_ = 0;
};

void expect_prompt(const Gateway::End& end, const Gateway& gateway) {
  EXPECT_EQ(end.status, 0) << gateway.log();
  EXPECT_LT(end.took, kDrain + kSlowMachine) << gateway.log();
}

TEST(GatewayEnd, IsPromptWhenRedisIsStopped) {
  RedisServer redis;
  Gateway gateway(redis, "");
  ASSERT_TRUE(gateway.says("ready")) << gateway.log();
  redis.pause();
  ASSERT_TRUE(gateway.says("Redis cannot be reached")) << gateway.log();
  expect_prompt(gateway.end(), gateway);
}

TEST(GatewayEnd, IsPromptWhenRedisIsKilled) {
  RedisServer redis;
  Gateway gateway(redis, "");
  ASSERT_TRUE(gateway.says("ready")) << gateway.log();
  redis.kill9();
  ASSERT_TRUE(gateway.says("Redis cannot be reached")) << gateway.log();
  expect_prompt(gateway.end(), gateway);
}

// And other gateways are told.
TEST(GatewayEnd, IsPromptWhenTheDatabaseIsStopped) {
  RedisServer redis;
  const SilentServer database;
  Gateway gateway(redis, database.mongodb_uri());
  ASSERT_TRUE(gateway.says("ready")) << gateway.log();
  ASSERT_TRUE(gateway.says("archiving fails")) << gateway.log();
  expect_prompt(gateway.end(), gateway);
  EXPECT_EQ(gateway.log().find("could not tell other gateways"), std::string::npos)
      << gateway.log();
}

}  // namespace
}  // namespace mpr::test
