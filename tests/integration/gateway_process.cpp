#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "tests/integration/directory_bed.hpp"

namespace mpr::test {

GatewayProcess::GatewayProcess(const redis::ClientOptions& client, const std::string& prefix,
                               const RedisDirectory::Options& options) {
  std::string ports;
  for (const auto& server : client.servers) {
    ports += (ports.empty() ? "" : ",") + std::to_string(server.port);
  }
  const bool cluster = client.mode == redis::ClientOptions::Mode::cluster;
  std::vector<std::string> words = {MPR_DIRECTORY_GATEWAY,
                                    cluster ? "cluster" : "single",
                                    ports,
                                    prefix,
                                    options.self.value,
                                    std::to_string(options.heartbeat_interval.count()),
                                    std::to_string(options.dead_after.count())};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  std::array<int, 2> in{};
  std::array<int, 2> out{};
  if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0) {
    throw std::runtime_error("no pipe");
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  const int failed =
      ::posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]);
  ::close(out[1]);
  input_ = in[1];
  output_ = out[0];
  if (failed != 0) throw std::runtime_error("could not start " + words[0]);
  reader_ = std::thread([this] { read_lines(); });
  if (!says("joined", 1, 30s)) throw std::runtime_error("the gateway process did not join");
}

GatewayProcess::~GatewayProcess() {
  kill9();
  if (reader_.joinable()) reader_.join();
  ::close(input_);
  ::close(output_);
}

void GatewayProcess::kill9() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void GatewayProcess::read_lines() {
  std::string pending;
  std::array<char, 4096> buffer{};
  while (true) {
    const auto count = ::read(output_, buffer.data(), buffer.size());
    if (count <= 0) return;
    pending.append(buffer.data(), static_cast<std::size_t>(count));
    std::lock_guard lock(mutex_);
    for (std::size_t end = 0; (end = pending.find('\n')) != std::string::npos;) {
      lines_.push_back(pending.substr(0, end));
      pending.erase(0, end + 1);
    }
  }
}

std::vector<std::string> GatewayProcess::lines() const {
  std::lock_guard lock(mutex_);
  return lines_;
}

std::size_t GatewayProcess::count(const std::string& line) const {
  const auto all = lines();
  return static_cast<std::size_t>(std::count(all.begin(), all.end(), line));
}

bool GatewayProcess::says(const std::string& line, std::size_t times,
                          std::chrono::milliseconds limit) {
  return eventually(limit, [&] { return count(line) >= times; });
}

Epoch GatewayProcess::open(const std::string& id) {
  const auto opened = [this] {
    auto all = lines();
    std::erase_if(all, [](const std::string& line) { return !line.starts_with("opened "); });
    return all;
  };
  const std::size_t before = opened().size();
  const std::string line = "open " + id + "\n";
  if (::write(input_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return {};
  EXPECT_TRUE(eventually(10s, [&] { return opened().size() > before; }));
  const auto all = opened();
  return Epoch{all.empty() ? 0 : std::stoull(all.back().substr(7))};
}

}  // namespace mpr::test
