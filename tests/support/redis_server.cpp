#include "tests/support/redis_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace mpr::test {

namespace {

using namespace std::chrono_literals;

std::vector<char*> c_words(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

// In the child: run the program, with its output at `output`.
[[noreturn]] void become(const std::vector<char*>& words, int output) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execvp(words.front(), words.data());
  ::_exit(127);
}

[[noreturn]] void missing(const std::string& program) {
  throw std::runtime_error("the program " + program +
                           " is missing: install the Debian packages redis-server and redis-tools");
}

void poll_until(std::chrono::seconds limit, const std::string& what,
                const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("in vain: " + what);
    std::this_thread::sleep_for(20ms);
  }
}

bool can_bind(int port, std::uint16_t* chosen) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  socklen_t length = sizeof address;
  if (bound) ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  if (bound && chosen != nullptr) *chosen = ntohs(address.sin_port);
  ::close(fd);
  return bound;
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

}  // namespace

std::uint16_t free_port(int also) {
  // What was given out before is left alone: its user may only be about to bind it.
  static std::set<int> given;
  for (int attempt = 0; attempt < 1000; ++attempt) {
    std::uint16_t port = 0;
    if (!can_bind(0, &port) || given.contains(port)) continue;
    if (also != 0 && (port + also > 65'535 || !can_bind(port + also, nullptr))) continue;
    given.insert(port);
    return port;
  }
  throw std::runtime_error("no free port");
}

CommandOutcome run_command(const std::vector<std::string>& words) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  const std::vector<char*> arguments = c_words(words);
  const pid_t child = ::fork();
  if (child == 0) become(arguments, pipe[1]);
  ::close(pipe[1]);
  CommandOutcome outcome;
  std::array<char, 4096> buffer;
  for (ssize_t count = 1; count > 0;) {
    count = ::read(pipe[0], buffer.data(), buffer.size());
    if (count > 0) outcome.output.append(buffer.data(), static_cast<std::size_t>(count));
    if (count < 0 && errno == EINTR) count = 1;
  }
  ::close(pipe[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (outcome.status == 127) missing(words.front());
  return outcome;
}

// --- one server ------------------------------------------------------------------------------

RedisServer::RedisServer(std::vector<std::string> config, int also)
    : port_(free_port(also)), config_(std::move(config)) {
  start();
}

RedisServer::~RedisServer() { kill9(); }

void RedisServer::start() {
  const std::filesystem::path file = directory() / "redis.conf";
  std::ofstream out(file);
  out << "port " << port_ << "\nbind 127.0.0.1\ndir " << directory().string()
      << "\nsave \"\"\ndaemonize no\nlogfile redis.log\n";
  for (const std::string& line : config_) out << line << '\n';
  out.close();
  const std::vector<std::string> words = {"redis-server", file.string()};
  const std::vector<char*> arguments = c_words(words);
  const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  pid_ = ::fork();
  if (pid_ == 0) become(arguments, null);
  ::close(null);
  wait_until_up();
}

void RedisServer::wait_until_up() {
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (true) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      if (WIFEXITED(status) && WEXITSTATUS(status) == 127) missing("redis-server");
      std::ifstream log(directory() / "redis.log");
      std::stringstream text;
      text << log.rdbuf();
      throw std::runtime_error("redis-server does not start: " + text.str());
    }
    const std::string answer = cli({"PING"});
    if (answer == "PONG" || answer.starts_with("NOAUTH") || answer.starts_with("LOADING")) return;
    if (std::chrono::steady_clock::now() > end) {
      throw std::runtime_error("redis-server does not answer: " + answer);
    }
    std::this_thread::sleep_for(10ms);
  }
}

void RedisServer::kill9() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RedisServer::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RedisServer::pause() { ::kill(pid_, SIGSTOP); }
void RedisServer::resume() { ::kill(pid_, SIGCONT); }

std::string RedisServer::cli(std::vector<std::string> words) const {
  std::vector<std::string> all = {"redis-cli", "--no-auth-warning",  "-h", "127.0.0.1",
                                  "-p",        std::to_string(port_)};
  all.insert(all.end(), cli_options_.begin(), cli_options_.end());
  all.insert(all.end(), words.begin(), words.end());
  return trimmed(run_command(all).output);
}

// --- a cluster -------------------------------------------------------------------------------

RedisCluster::RedisCluster(std::vector<std::string> config,
                           std::chrono::milliseconds node_timeout) {
  // The bus uses port + 10000.
  config.insert(config.end(), {"cluster-enabled yes", "cluster-config-file nodes.conf",
                               "cluster-node-timeout " + std::to_string(node_timeout.count()),
                               "repl-diskless-sync-delay 0", "cluster-replica-validity-factor 0",
                               "repl-ping-replica-period 1"});
  std::vector<std::string> create = {"redis-cli", "--cluster", "create"};
  for (std::size_t i = 0; i < kNodes; ++i) {
    nodes_.push_back(std::make_unique<RedisServer>(config, 10'000));
    create.push_back(nodes_.back()->address());
  }
  create.insert(create.end(), {"--cluster-replicas", "1", "--cluster-yes"});
  const CommandOutcome created = run_command(create);
  if (created.status != 0) throw std::runtime_error("no cluster: " + created.output);
  wait_until_ok();
}

std::vector<std::string> RedisCluster::addresses() const {
  std::vector<std::string> out;
  for (const auto& node : nodes_) out.push_back(node->address());
  return out;
}

void RedisCluster::wait_until_ok() {
  poll_until(60s, "the cluster is ok", [&] {
    for (const auto& node : nodes_) {
      if (!node->is_running()) continue;
      if (!node->cli({"CLUSTER", "INFO"}).contains("cluster_state:ok")) return false;
      if (node->cli({"INFO", "replication"}).contains("master_link_status:down")) return false;
    }
    return true;
  });
}

std::string RedisCluster::id_of(std::size_t index) {
  return nodes_[index]->cli({"CLUSTER", "MYID"});
}

std::size_t RedisCluster::owner_of(unsigned slot) {
  for (std::size_t i = 0; i < kNodes; ++i) {
    if (!nodes_[i]->is_running()) continue;
    std::istringstream lines(nodes_[i]->cli({"CLUSTER", "NODES"}));
    for (std::string line; std::getline(lines, line);) {
      if (!line.contains("myself,master")) continue;
      std::istringstream fields(line);
      std::string field;
      for (int skip = 0; skip < 8; ++skip) fields >> field;
      while (fields >> field) {
        unsigned first = 0;
        unsigned last = 0;
        const int read = std::sscanf(field.c_str(), "%u-%u", &first, &last);
        if ((read == 1 && first == slot) || (read == 2 && first <= slot && slot <= last)) return i;
      }
    }
  }
  throw std::runtime_error("nobody serves slot " + std::to_string(slot));
}

std::size_t RedisCluster::another_primary(std::size_t other) {
  for (const unsigned slot : {0U, 8'000U, 16'000U}) {
    const std::size_t owner = owner_of(slot);
    if (owner != other) return owner;
  }
  throw std::runtime_error("there is no other primary");
}

void RedisCluster::begin_move(unsigned slot, std::size_t from, std::size_t to) {
  const std::string number = std::to_string(slot);
  nodes_[to]->cli({"CLUSTER", "SETSLOT", number, "IMPORTING", id_of(from)});
  nodes_[from]->cli({"CLUSTER", "SETSLOT", number, "MIGRATING", id_of(to)});
}

std::size_t RedisCluster::move_keys(unsigned slot, std::size_t from, std::size_t to,
                                    std::size_t most) {
  const std::string number = std::to_string(slot);
  std::istringstream keys(
      nodes_[from]->cli({"CLUSTER", "GETKEYSINSLOT", number, std::to_string(most)}));
  for (std::string key; std::getline(keys, key);) {
    if (key.empty()) continue;
    nodes_[from]->cli(
        {"MIGRATE", "127.0.0.1", std::to_string(nodes_[to]->port()), key, "0", "5000"});
  }
  return std::stoul(nodes_[from]->cli({"CLUSTER", "COUNTKEYSINSLOT", number}));
}

void RedisCluster::end_move(unsigned slot, std::size_t from, std::size_t to) {
  const std::string number = std::to_string(slot);
  const std::string id = id_of(to);
  nodes_[to]->cli({"CLUSTER", "SETSLOT", number, "NODE", id});
  nodes_[from]->cli({"CLUSTER", "SETSLOT", number, "NODE", id});
}

void RedisCluster::move_slot(unsigned slot, std::size_t to) {
  const std::size_t from = owner_of(slot);
  begin_move(slot, from, to);
  while (move_keys(slot, from, to, 100) > 0) {
  }
  end_move(slot, from, to);
}

}  // namespace mpr::test
