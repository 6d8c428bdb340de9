#include "tools/bench/server_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "client/call_and_wait.hpp"
#include "tools/bench/process_usage.hpp"
#include "tools/bench/request_text.hpp"

namespace mpr::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kStartPatience{10};
constexpr seconds kStopPatience{15};
constexpr timespec kPause{0, 500'000};  // between two looks at the child

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The environment of this process, with some variables set.
std::vector<std::string> environment_with(const std::vector<std::string>& changes) {
  std::vector<std::string> variables = changes;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable = *entry;
    const std::string_view name = variable.substr(0, variable.find('=') + 1);
    bool changed = false;
    for (const std::string& change : changes) changed = changed || change.starts_with(name);
    if (!changed) variables.emplace_back(variable);
  }
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// In the child: its log goes to a file, and it ends when its parent does.
[[noreturn]] void become_server(int log, char* const* arguments, char* const* environment) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execve("/proc/self/exe", arguments, environment);
  _exit(127);
}

// The number behind "name": in the small JSON object that the server writes.
std::optional<std::uint64_t> port_in(std::string_view json, std::string_view name) {
  const std::size_t at = json.find("\"" + std::string(name) + "\"");
  if (at == std::string_view::npos) return std::nullopt;
  const std::size_t first = json.find_first_of("0123456789", at + name.size() + 2);
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t last = std::min(json.find_first_not_of("0123456789", first), json.size());
  return parse_digits(json.substr(first, last - first));
}

}  // namespace

Result<std::unique_ptr<ServerProcess>> ServerProcess::start(Backend backend,
                                                            const std::string& token) {
  std::string name = (std::filesystem::temp_directory_path() / "mpr-bench-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    return fail(Errc::unavailable, "cannot make a directory " + name + ": " + strerror(errno));
  }
  const std::filesystem::path directory = name;
  const int log = open((directory / "server.log").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  std::vector<std::string> arguments = {"mpr", "serve"};
  std::vector<std::string> environment = environment_with(
      {"WS_PORT=0", "APP_PORT=0", "MPR_BIND=127.0.0.1", "MPR_DATA_DIR=" + name + "/data",
       "MPR_PORTS_FILE=" + name + "/ports.json", "MPR_BACKEND=" + std::string(to_string(backend))});
  const std::vector<char*> argument_pointers = pointers(arguments);
  const std::vector<char*> environment_pointers = pointers(environment);
  const Clock::time_point started = Clock::now();
  const pid_t pid = fork();
  if (pid == 0) become_server(log, argument_pointers.data(), environment_pointers.data());
  ::close(log);
  std::unique_ptr<ServerProcess> server(new ServerProcess(directory, std::max(pid, 0)));
  if (pid < 0) return fail(Errc::unavailable, "cannot make a process");
  const Result<void> ready = server->wait_until_ready(started, token);
  if (!ready) return std::unexpected(ready.error());
  return server;
}

ServerProcess::~ServerProcess() {
  if (pid_ != 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, &exit_status_, 0);
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

Result<void> ServerProcess::wait_until_ready(Clock::time_point started, const std::string& token) {
  const std::filesystem::path ports_file = directory_ / "ports.json";
  std::optional<std::uint64_t> port;
  while (!port) {
    if (ended()) return fail(Errc::unavailable, "the server ended at once:\n" + log_tail());
    if (Clock::now() - started > kStartPatience) {
      return fail(Errc::deadline_exceeded, "the server is not ready after 10 s:\n" + log_tail());
    }
    nanosleep(&kPause, nullptr);
    port = port_in(read_text(ports_file), "ws");
  }
  url_ = "ws://127.0.0.1:" + std::to_string(*port);
  boost::asio::io_context io(1);
  client::RpcClient client(io, {.bearer_token = token});
  const auto url = client::parse_url(url_);
  if (!url) return std::unexpected(url.error());
  const Result<void> connected = client::connect_and_wait(io, client, *url, kStartPatience);
  if (!connected) return connected;
  const auto pong = client::call_and_wait(io, client, "ping", {}, kStartPatience);
  if (!pong) return std::unexpected(pong.error());
  start_to_ready_ = Clock::now() - started;
  const auto usage = usage_of(pid_);
  if (!usage) return std::unexpected(usage.error());
  resident_bytes_at_start_ = usage->resident_bytes;
  return {};
}

bool ServerProcess::ended() {
  if (pid_ != 0 && waitpid(pid_, &exit_status_, WNOHANG) == pid_) pid_ = 0;
  return pid_ == 0;
}

Result<void> ServerProcess::stop() {
  if (ended()) return fail(Errc::unavailable, "the server ended by itself:\n" + log_tail());
  kill(pid_, SIGTERM);
  const Clock::time_point until = Clock::now() + kStopPatience;
  while (!ended()) {
    if (Clock::now() > until) {
      return fail(Errc::deadline_exceeded, "the server does not end after SIGTERM");
    }
    nanosleep(&kPause, nullptr);
  }
  if (!WIFEXITED(exit_status_) || WEXITSTATUS(exit_status_) != 0) {
    return fail(Errc::unavailable, "the server did not end cleanly:\n" + log_tail());
  }
  return {};
}

std::string ServerProcess::log_tail() const {
  constexpr std::size_t kBytes = 2000;
  std::string log = read_text(directory_ / "server.log");
  return log.size() > kBytes ? log.substr(log.size() - kBytes) : log;
}

}  // namespace mpr::bench
