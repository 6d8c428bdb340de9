// Thousands of random histories of readers, removers, adders and archivers (history.hpp). MPR_SEED
// repeats a run, MPR_ROUNDS sets the number of histories.
#include <cstdlib>
#include <iostream>

#include "tests/support/log_capture.hpp"
#include "tests/unit/tiers/history.hpp"

namespace mpr::test {

namespace {

std::uint64_t number_from(const char* variable, std::uint64_t fallback) {
  const char* const text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : fallback;
}

void run_histories(History::Kinds kinds) {
  const std::uint64_t seed = number_from("MPR_SEED", std::random_device{}());
  const std::uint64_t rounds = number_from("MPR_ROUNDS", 1500);
  const LogCapture quiet;
  std::uint64_t archived = 0;
  std::uint64_t polls = 0;
  std::uint64_t reads = 0;
  std::uint64_t leases_lost = 0;
  for (std::uint64_t i = 0; i < rounds; ++i) {
    History history(seed + i, kinds);
    const auto wrong = history.run(600);
    archived += history.archived();
    polls += history.polls();
    reads += history.reads();
    leases_lost += history.leases_lost();
    ASSERT_TRUE(wrong.empty()) << "MPR_SEED=" << seed + i << ": " << wrong.front();
  }
  std::cout << "MPR_SEED=" << seed << ": " << rounds << " histories, " << archived
            << " messages archived, " << reads << " reads, " << polls << " polls, " << leases_lost
            << " leases lost\n";
  EXPECT_GT(archived, rounds) << "the archivers had work";
}

}  // namespace

TEST(Interleaving, EveryMessageIsSeenOnceAtEveryMomentOfItsMove) { run_histories({}); }

TEST(Interleaving, FailuresOfAnArchiversStepsLoseAndShowNothing) {
  run_histories({.faults = true, .poison = false});
}

TEST(Interleaving, MessagesThatTheColdTierRefusesStayWhereTheyAre) {
  run_histories({.faults = true, .poison = true});
}

}  // namespace mpr::test
