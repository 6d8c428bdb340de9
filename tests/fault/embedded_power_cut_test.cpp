// Power cuts at random moments, on a simulated disk that keeps only what was synced and any part of
// the rest: every answered add is there once and in order, every answered removal stays, an id that
// was answered as stored is known. MPR_POWER_CUTS sets the number of rounds, MPR_SEED repeats a
// run.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <thread>

#include "tests/support/log_capture.hpp"
#include "tests/support/simulated_disk.hpp"
#include "tests/support/store_driver.hpp"

namespace mpr::test {

namespace {

std::uint64_t number_from(const char* variable, std::uint64_t fallback) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : fallback;
}

constexpr int kQueues = 3;

// What the answers so far allow a queue to hold.
struct Expected {
  std::vector<std::string> stored;     // answered, not known to be removed, in order
  std::vector<std::string> uncertain;  // an add or a removal of it was not answered
};

class PowerCut : public testing::Test {
 protected:
  PowerCut()
      : seed_(number_from("MPR_SEED", std::random_device{}())),
        dice_(seed_),
        disk_(seed_),
        driver_("/store", disk_) {}

  static std::string queue(std::size_t i) { return "c" + std::to_string(i); }

  // Works until the disk stops; outcomes go into expected_.
  void work() {
    while (step()) {
    }
  }

  bool step() {
    const std::size_t q = dice_() % kQueues;
    Expected& expected = expected_[q];
    if (dice_() % 5 < 3 || expected.stored.empty()) {
      const std::string id = "m-" + std::to_string(next_id_++);
      NewMessage message = StoreDriver::message(queue(q), id, 50 + dice_() % 1500);
      message.id_origin = dice_() % 2 ? IdOrigin::caller : IdOrigin::server;
      const auto added = driver_.add(std::move(message));
      (added ? expected.stored : expected.uncertain).push_back(id);
      return added.has_value();
    }
    std::vector<std::string> gone;
    for (const std::string& id : expected.stored) {
      if (dice_() % 3 == 0) gone.push_back(id);
    }
    const auto removed = driver_.remove(queue(q), gone);
    std::erase_if(expected.stored, [&](const std::string& id) {
      return std::find(gone.begin(), gone.end(), id) != gone.end();
    });
    if (removed) return removed->removed.size() == gone.size();
    expected.uncertain.insert(expected.uncertain.end(), gone.begin(), gone.end());
    return false;
  }

  // Compares and, since the world is certain again, takes what is there as the new truth.
  void check() {
    for (std::size_t q = 0; q < kQueues; ++q) {
      const auto found = driver_.ids(queue(q));
      const Expected& expected = expected_[q];
      std::vector<std::string> certain = found;
      std::erase_if(certain, [&](const std::string& id) {
        return std::find(expected.uncertain.begin(), expected.uncertain.end(), id) !=
               expected.uncertain.end();
      });
      ASSERT_EQ(certain, expected.stored);
      ASSERT_TRUE(std::is_sorted(found.begin(), found.end(), [](const auto& a, const auto& b) {
        return std::stoi(a.substr(2)) < std::stoi(b.substr(2));
      }));
      ASSERT_EQ(std::adjacent_find(found.begin(), found.end()), found.end());
      expected_[q] = {found, {}};
    }
  }

  const std::uint64_t seed_;
  std::mt19937_64 dice_;
  LogCapture log_;
  SimulatedDisk disk_;
  StoreDriver driver_;
  std::array<Expected, kQueues> expected_;
  int next_id_ = 0;
};

}  // namespace

TEST_F(PowerCut, LosesNothingThatWasAnswered) {
  SCOPED_TRACE("MPR_SEED=" + std::to_string(seed_));
  const std::uint64_t rounds = number_from("MPR_POWER_CUTS", 150);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    driver_.open();
    ASSERT_NE(driver_.store, nullptr);
    check();
    if (HasFatalFailure()) return;
    const auto steps = dice_() % 60;
    for (std::uint64_t i = 0; i < steps; ++i) ASSERT_TRUE(step());
    std::thread power([this, spins = dice_() % 20'000] {
      for (volatile std::uint64_t i = 0; i < spins; i = i + 1) {
      }
      disk_.stop();
    });
    work();
    power.join();
    driver_.close();
    disk_.restart_after_power_cut();
  }
  EXPECT_TRUE(log_.with("is damaged").empty()) << log_.with("is damaged").front();
  EXPECT_TRUE(log_.with("is missing").empty());
}

}  // namespace mpr::test
