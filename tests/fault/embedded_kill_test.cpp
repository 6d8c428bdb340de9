// kill -9 under load, many rounds on one directory: every answered add is there once and in order,
// every answered removal stays. MPR_KILL_ROUNDS sets the number of rounds (30), MPR_SEED repeats
// the choice of moments.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "tests/support/log_capture.hpp"
#include "tests/support/store_driver.hpp"
#include "tests/support/temporary_directory.hpp"

namespace mpr::test {

namespace {

std::uint64_t number_from(const char* variable, std::uint64_t fallback) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : fallback;
}

// What the answers so far allow a queue to hold.
struct Expected {
  std::vector<std::string> stored;  // answered adds that nobody tried to remove
  std::set<std::string> uncertain;  // begun, not answered
};

class Child {
 public:
  Child(const std::filesystem::path& directory, std::uint64_t seed, std::uint64_t first_id) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
    const std::vector<std::string> arguments = {MPR_CRASH_CHILD, directory.string(), "262144",
                                                std::to_string(seed), std::to_string(first_id)};
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::close(ends[0]);
      ::close(ends[1]);
      std::vector<char*> argv;
      for (const auto& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    out_ = ::fdopen(ends[0], "r");
  }
  ~Child() {
    kill();
    ::fclose(out_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // A whole line, without its end; nullopt when there is no more.
  std::optional<std::string> line() {
    char buffer[256];
    if (!::fgets(buffer, sizeof buffer, out_)) return std::nullopt;
    std::string text(buffer);
    if (text.empty() || text.back() != '\n') return std::nullopt;
    text.pop_back();
    return text;
  }

  // The signal that ended it.
  int kill() {
    if (pid_ <= 0) return 0;
    ::kill(pid_, SIGKILL);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }

 private:
  pid_t pid_ = -1;
  FILE* out_ = nullptr;
};

class KillNine : public testing::Test {
 protected:
  KillNine() : driver_(directory_.path() / "store", system_files(), 262'144) {}

  void hear(const std::string& line) {
    std::istringstream words(line);
    char what = 0;
    std::string queue;
    std::string id;
    words >> what >> queue >> id;
    Expected& e = expected_[queue];
    if (what == 'a') e.uncertain.insert(id);
    if (what == 'A') {
      e.uncertain.erase(id);
      e.stored.push_back(id);
      answered_adds_ += 1;
    }
    if (what == 'r' || what == 'R') std::erase(e.stored, id);
    if (what == 'r') e.uncertain.insert(id);
    if (what == 'R') {
      e.uncertain.erase(id);
      answered_removals_ += 1;
      removed_[queue].insert(id);
    }
    if (what == 't') taking_[queue] = true;
    if (what == 'T') taking_[queue] = false;
  }

  void check() {
    driver_.open();
    for (auto& [queue, e] : expected_) {
      if (std::exchange(taking_[queue], false)) {  // any of the first three may be gone
        const std::size_t n = std::min<std::size_t>(3 + e.uncertain.size(), e.stored.size());
        e.uncertain.insert(e.stored.begin(), e.stored.begin() + static_cast<std::ptrdiff_t>(n));
        e.stored.erase(e.stored.begin(), e.stored.begin() + static_cast<std::ptrdiff_t>(n));
      }
      const auto found = driver_.ids(queue);
      std::vector<std::string> certain = found;
      std::erase_if(certain, [&](const std::string& id) { return e.uncertain.contains(id); });
      std::vector<std::string> stored = e.stored;
      const auto by_number = [](const std::string& a, const std::string& b) {
        return std::stol(a.substr(2)) < std::stol(b.substr(2));
      };
      ASSERT_TRUE(std::is_sorted(found.begin(), found.end(), by_number)) << queue;
      ASSERT_EQ(std::adjacent_find(found.begin(), found.end()), found.end())
          << "twice in " << queue;
      std::sort(stored.begin(), stored.end(), by_number);
      ASSERT_EQ(certain, stored) << queue;
      for (const auto& id : found) ASSERT_FALSE(removed_[queue].contains(id)) << id << " came back";
      e = {found, {}};
    }
    driver_.close();
  }

  LogCapture log_;
  TemporaryDirectory directory_;
  StoreDriver driver_;
  std::map<std::string, Expected> expected_;
  std::map<std::string, bool> taking_;
  std::map<std::string, std::set<std::string>> removed_;
  std::uint64_t answered_adds_ = 0;
  std::uint64_t answered_removals_ = 0;
};

}  // namespace

TEST_F(KillNine, LosesNothingThatWasAnswered) {
  const std::uint64_t seed = number_from("MPR_SEED", std::random_device{}());
  SCOPED_TRACE("MPR_SEED=" + std::to_string(seed));
  std::mt19937_64 dice(seed);
  const std::uint64_t rounds = number_from("MPR_KILL_ROUNDS", 30);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    Child child(driver_.options.directory, dice(), round * 1'000'000);
    // Some die while they open the store, most under load.
    std::uint64_t lines = dice() % 8 == 0 ? dice() % 3 : dice() % 3000;
    for (; lines > 0; --lines) {
      const auto line = child.line();
      ASSERT_TRUE(line.has_value()) << "the child ended by itself";
      hear(*line);
    }
    ASSERT_EQ(child.kill(), SIGKILL);
    while (const auto line = child.line()) hear(*line);
    check();
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(answered_adds_, rounds);
  EXPECT_GT(answered_removals_, 0U);
  EXPECT_TRUE(log_.with(" error ").empty());
  RecordProperty("answered_adds", std::to_string(answered_adds_));
  std::printf("%llu rounds, %llu answered adds, %llu answered removals\n",
              static_cast<unsigned long long>(rounds),
              static_cast<unsigned long long>(answered_adds_),
              static_cast<unsigned long long>(answered_removals_));
}

}  // namespace mpr::test
