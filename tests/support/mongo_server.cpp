#include "tests/support/mongo_server.hpp"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace mpr::test {

namespace {

const std::string kProgram = MPR_MONGODB_FOR_TESTS;

void check_program() {
  if (std::filesystem::exists(kProgram)) return;
  throw std::runtime_error(
      "the test databases are not built: they need Go 1.24 or newer on the PATH, and the target "
      "`mongodb_for_tests`");
}

// Unlike that of any other test, and of any other test process on the same server.
std::string fresh_database() {
  static int databases = 0;
  return "mpr_test_" + std::to_string(::getpid()) + "_" + std::to_string(++databases);
}

}  // namespace

std::string with_database(const std::string& uri, const std::string& database) {
  const auto hosts = uri.find("://") + 3;
  const auto slash = uri.find('/', hosts);
  const auto question = uri.find('?', hosts);
  const std::string before = uri.substr(0, std::min(slash, question));
  return before + "/" + database + (question == std::string::npos ? "" : uri.substr(question));
}

ObedientChild::ObedientChild(const std::string& program,
                             const std::vector<std::string>& arguments) {
  int to_child[2];
  int from_child[2];
  if (::pipe2(to_child, O_CLOEXEC) != 0 || ::pipe2(from_child, O_CLOEXEC) != 0) {
    throw std::runtime_error("no pipes");
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to_child[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, from_child[1], STDOUT_FILENO);
  std::vector<char*> words{const_cast<char*>(program.c_str())};
  for (const auto& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  const int failed =
      ::posix_spawn(&pid_, program.c_str(), &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(to_child[0]);
  ::close(from_child[1]);
  input_ = to_child[1];
  output_ = from_child[0];
  if (failed != 0) throw std::runtime_error("cannot start " + program);
}

ObedientChild::~ObedientChild() {
  ::close(input_);
  ::close(output_);
  int status = 0;
  ::waitpid(pid_, &status, 0);
}

std::string ObedientChild::read_line() {
  for (;;) {
    const auto end = buffer_.find('\n');
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    char chunk[4096];
    const auto got = ::read(output_, chunk, sizeof chunk);
    if (got <= 0) return {};
    buffer_.append(chunk, static_cast<std::size_t>(got));
  }
}

std::string ObedientChild::tell(std::string_view command) {
  const std::string line = std::string(command) + "\n";
  if (::write(input_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    throw std::runtime_error("the test server is gone");
  }
  const std::string answer = read_line();
  if (!answer.starts_with("done")) {
    throw std::runtime_error(std::string(command) + ": " + answer);
  }
  return answer.size() > 5 ? answer.substr(5) : "";
}

MongoServer& MongoServer::instance() {
  static MongoServer server;
  return server;
}

MongoServer::MongoServer() {
  if (const char* given = std::getenv("MPR_TEST_MONGODB_URI")) {
    uri_ = given;
    kind_ = "given";
    return;
  }
  check_program();
  child_ = std::make_unique<ObedientChild>(kProgram, std::vector<std::string>{"start"});
  uri_ = child_->read_line();
  for (std::string line = child_->read_line(); line != "ready"; line = child_->read_line()) {
    if (line.empty()) throw std::runtime_error("no database for the tests: see the line above");
    if (line.starts_with("kind ")) kind_ = line.substr(5);
    if (line.starts_with("tls ")) tls_uri_ = line.substr(4);
  }
}

std::string MongoServer::fresh_uri() { return with_database(uri_, fresh_database()); }

std::string MongoServer::fresh_tls_uri() {
  return tls_uri_.empty() ? "" : with_database(tls_uri_, fresh_database());
}

void MongoServer::kill9() { child_->tell("kill"); }
void MongoServer::start_again() { child_->tell("start"); }
void MongoServer::pause() { child_->tell("pause"); }
void MongoServer::resume() { child_->tell("resume"); }

MongoProxy::MongoProxy() {
  const std::string& uri = MongoServer::instance().uri();
  check_program();
  const auto hosts = uri.find("://") + 3;
  const std::string upstream = uri.substr(hosts, uri.find_first_of("/?,", hosts) - hosts);
  child_ = std::make_unique<ObedientChild>(
      kProgram, std::vector<std::string>{"proxy", "-upstream", upstream});
  uri_ = child_->read_line();
  if (child_->read_line() != "ready") throw std::runtime_error("the proxy does not start");
}

std::string MongoProxy::fresh_uri() { return with_database(uri_, fresh_database()); }

}  // namespace mpr::test
