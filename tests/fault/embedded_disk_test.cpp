// A disk that is full, broken or read-only: errors, nothing half done, and service comes back by
// itself.
#include <chrono>
#include <thread>

#include "tests/support/faulty_files.hpp"
#include "tests/support/log_capture.hpp"
#include "tests/support/store_driver.hpp"
#include "tests/support/temporary_directory.hpp"

namespace mpr::test {

namespace {

using Ids = std::vector<std::string>;

class EmbeddedDisk : public testing::Test {
 protected:
  EmbeddedDisk() : driver_(directory_.path() / "store", files_) { driver_.open(); }

  // Adds until the disk refuses; the ids that were accepted.
  Ids fill(std::string_view queue, std::size_t size = 1000) {
    Ids accepted;
    for (int i = 0; i < 1000; ++i) {
      const std::string id = "fill-" + std::to_string(i);
      const auto added = driver_.add(queue, id, size);
      if (!added) {
        EXPECT_EQ(added.error().code, Errc::unavailable);
        EXPECT_FALSE(driver_.store->ready().has_value());
        return accepted;
      }
      accepted.push_back(id);
    }
    ADD_FAILURE() << "the disk never became full";
    return accepted;
  }

  // The store retries by itself; gives it ten seconds.
  bool accepts_again(std::string_view queue, std::string_view id) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < until) {
      if (driver_.add(queue, id)) return driver_.store->ready().has_value();
      std::this_thread::yield();
    }
    return false;
  }

  LogCapture log_;
  FaultyFiles files_;
  TemporaryDirectory directory_;
  StoreDriver driver_;
};

}  // namespace

TEST_F(EmbeddedDisk, AFailedWriteIsAnErrorAndLeavesNothing) {
  ASSERT_TRUE(driver_.add("c", "before"));
  for (std::atomic<bool>* fault : {&files_.faults.writes, &files_.faults.short_writes}) {
    *fault = true;
    const auto added = driver_.add("c", "lost");
    ASSERT_FALSE(added.has_value());
    EXPECT_EQ(added.error().code, Errc::unavailable);
    EXPECT_NE(added.error().context.find("fault injected"), std::string::npos);
    EXPECT_FALSE(driver_.remove("c", {"before"}).has_value());
    EXPECT_FALSE(driver_.take("c", TakeMode::remove).has_value());
    EXPECT_FALSE(driver_.store->ready().has_value());
    EXPECT_EQ(driver_.ids("c"), Ids{"before"}) << "reads go on";
    *fault = false;
  }
  EXPECT_TRUE(driver_.add("c", "after").has_value());
  EXPECT_TRUE(driver_.store->ready().has_value());
  EXPECT_EQ(driver_.ids("c"), (Ids{"before", "after"}));
  driver_.open();
  EXPECT_EQ(driver_.ids("c"), (Ids{"before", "after"}));
}

TEST_F(EmbeddedDisk, AFailedSyncIsNeverFollowedByTrustInTheSameBytes) {
  ASSERT_TRUE(driver_.add("c", "before"));
  files_.faults.syncs = true;
  EXPECT_FALSE(driver_.add("c", "lost").has_value());
  EXPECT_FALSE(driver_.remove("c", {"before"}).has_value());
  files_.faults.syncs = false;
  ASSERT_TRUE(driver_.add("c", "after").has_value());
  EXPECT_EQ(driver_.ids("c"), (Ids{"before", "after"}));
  driver_.open();
  EXPECT_EQ(driver_.ids("c"), (Ids{"before", "after"}))
      << "what was answered with an error is not there after a restart either";
}

TEST_F(EmbeddedDisk, WhatFailedIsNotFoundEvenWhenNothingCouldBeCutOff) {
  ASSERT_TRUE(driver_.add("c", "before"));
  files_.faults.syncs = true;
  files_.faults.truncations = true;
  EXPECT_FALSE(driver_.add("c", "lost").has_value());
  files_.faults.syncs = false;
  ASSERT_TRUE(driver_.add("c", "after").has_value());
  driver_.open();
  EXPECT_EQ(driver_.ids("c"), (Ids{"before", "after"}));
}

TEST_F(EmbeddedDisk, AFullDiskRefusesAddsAndTakesThemAgainWhenThereIsRoom) {
  files_.faults.full = true;
  const Ids accepted = fill("c");
  ASSERT_GE(accepted.size(), 10U) << "the reserve is not used up at once";
  EXPECT_EQ(driver_.ids("c"), accepted);
  EXPECT_EQ(log_.with("the store cannot take messages").size(), 1U);

  files_.faults.full = false;
  EXPECT_TRUE(accepts_again("c", "after"));
  EXPECT_EQ(log_.with("the store takes messages again").size(), 1U);
  Ids expected = accepted;
  expected.push_back("after");
  EXPECT_EQ(driver_.ids("c"), expected);
  driver_.open();
  EXPECT_EQ(driver_.ids("c"), expected);
}

TEST_F(EmbeddedDisk, AFullDiskIsDrainedByItsReaders) {
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(driver_.add("old", "m-" + std::to_string(i), 1000));
  files_.faults.full = true;
  const Ids accepted = fill("c");
  // Acknowledging goes on, and what it frees is used again although the disk stays full.
  for (int i = 0; i < 200; ++i) {
    const auto removed = driver_.remove("old", {"m-" + std::to_string(i)});
    ASSERT_TRUE(removed.has_value()) << removed.error().context;
    ASSERT_EQ(removed->removed.size(), 1U);
  }
  EXPECT_TRUE(accepts_again("c", "after"));
  Ids expected = accepted;
  expected.push_back("after");
  EXPECT_EQ(driver_.ids("c"), expected);
  EXPECT_EQ(driver_.count("old").value(), 0U);
  driver_.open();
  EXPECT_EQ(driver_.ids("c"), expected);
  EXPECT_EQ(driver_.count("old").value(), 0U);
}

TEST_F(EmbeddedDisk, AStoreOpensOnAFullDiskAndGivesOutWhatItHas) {
  files_.faults.full = true;
  const Ids accepted = fill("c");
  driver_.open();
  EXPECT_EQ(driver_.ids("c"), accepted);
  EXPECT_EQ(driver_.take("c", TakeMode::remove)->size(), accepted.size());
  files_.faults.full = false;
  EXPECT_TRUE(accepts_again("c", "after"));
  EXPECT_EQ(driver_.ids("c"), Ids{"after"});
}

TEST_F(EmbeddedDisk, FaultsWhileSegmentsComeAndGoLoseNothing) {
  Ids expected;
  int number = 0;
  const auto work = [&](int rounds) {
    for (int i = 0; i < rounds; ++i) {
      const std::string id = "m-" + std::to_string(number++);
      if (driver_.add("c", id, 900)) expected.push_back(id);
      if (expected.size() > 20 && driver_.remove("c", {expected.front()})) {
        expected.erase(expected.begin());
      }
    }
  };
  for (std::atomic<bool>* fault :
       {&files_.faults.renames, &files_.faults.removals, &files_.faults.full, &files_.faults.syncs,
        &files_.faults.truncations, &files_.faults.short_writes, &files_.faults.reads}) {
    work(60);
    *fault = true;
    work(60);
    *fault = false;
    work(20);
    EXPECT_TRUE(accepts_again("other", "m-" + std::to_string(number)));
    ASSERT_EQ(driver_.ids("c"), expected);
    driver_.open();
    ASSERT_EQ(driver_.ids("c"), expected);
  }
}

TEST_F(EmbeddedDisk, AFailedReadIsAnErrorNotAnEmptyAnswer) {
  ASSERT_TRUE(driver_.add("c", "m-1"));
  files_.faults.reads = true;
  EXPECT_EQ(driver_.take("c").error().code, Errc::unavailable);
  EXPECT_EQ(driver_.take("c", TakeMode::remove).error().code, Errc::unavailable);
  EXPECT_EQ(driver_.count("c").value(), 1U);
  files_.faults.reads = false;
  EXPECT_EQ(driver_.ids("c"), Ids{"m-1"});
}

TEST_F(EmbeddedDisk, ColdMessagesAreReadByAnotherThread) {
  Ids expected;
  for (int i = 0; i < 50; ++i) {
    expected.push_back("m-" + std::to_string(i));
    ASSERT_TRUE(driver_.add("c", expected.back()));
  }
  files_.faults.cold = true;
  EXPECT_EQ(driver_.ids("c"), expected);
  EXPECT_EQ(driver_.take("c", TakeMode::remove)->size(), 50U);
  EXPECT_EQ(driver_.count("c").value(), 0U);
}

}  // namespace mpr::test
