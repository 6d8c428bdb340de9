// What is particular to the embedded store: cleaning, its directory, its bounds.
#include "store/embedded/embedded_store.hpp"

#include <algorithm>
#include <fstream>
#include <random>
#include <thread>

#include "tests/support/faulty_files.hpp"
#include "tests/support/log_capture.hpp"
#include "tests/support/store_driver.hpp"
#include "tests/support/temporary_directory.hpp"

namespace mpr::test {

namespace {

namespace fs = std::filesystem;

class Embedded : public testing::Test {
 protected:
  Embedded() : driver_(directory_.path() / "store", system_files()) {}

  std::uint64_t bytes_on_disk() const {
    std::uint64_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(driver_.options.directory)) {
      bytes += entry.file_size();
    }
    return bytes;
  }

  LogCapture log_;
  TemporaryDirectory directory_;
  StoreDriver driver_;
};

}  // namespace

TEST_F(Embedded, ASecondStoreOnTheDirectoryIsRefusedByName) {
  driver_.open();
  const auto second = EmbeddedStore::open(driver_.options, driver_.clock, driver_.metrics);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Errc::unavailable);
  EXPECT_NE(second.error().context.find(driver_.options.directory.string()), std::string::npos);
  EXPECT_NE(second.error().context.find("in use by another process"), std::string::npos);
  driver_.open();
}

TEST_F(Embedded, ADirectoryThatIsNotItsOwnIsLeftAlone) {
  fs::create_directories(driver_.options.directory);
  std::ofstream(driver_.options.directory / "FORMAT") << "mpr store, version 2\n";
  const auto opened = EmbeddedStore::open(driver_.options, driver_.clock, driver_.metrics);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Errc::corrupt);
  EXPECT_NE(opened.error().context.find("FORMAT"), std::string::npos);
}

TEST_F(Embedded, ADirectoryThatCannotBeMadeIsAnErrorThatNamesIt) {
  std::ofstream(directory_.path() / "file") << "x";
  driver_.options.directory = directory_.path() / "file" / "store";
  const auto opened = EmbeddedStore::open(driver_.options, driver_.clock, driver_.metrics);
  ASSERT_FALSE(opened.has_value());
  EXPECT_NE(opened.error().context.find(driver_.options.directory.string()), std::string::npos);
}

TEST_F(Embedded, AMissingFormatFileIsNotReplaced) {
  driver_.open();
  driver_.close();
  fs::remove(driver_.options.directory / "FORMAT");
  const auto opened = EmbeddedStore::open(driver_.options, driver_.clock, driver_.metrics);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Errc::corrupt);
}

TEST_F(Embedded, SegmentSizesOutOfBoundsAreRefused) {
  for (const std::uint64_t bytes : {0ULL, 8ULL << 10, (16ULL << 10) + 4, 2ULL << 30}) {
    driver_.options.segment_bytes = bytes;
    EXPECT_FALSE(EmbeddedStore::open(driver_.options, driver_.clock, driver_.metrics).has_value());
  }
}

TEST_F(Embedded, AMessageLargerThanASegmentIsTooLarge) {
  driver_.open();
  const auto added = driver_.add("c", "m-1", 17 << 10);
  ASSERT_FALSE(added.has_value());
  EXPECT_EQ(added.error().code, Errc::too_large);
  EXPECT_TRUE(driver_.add("c", "m-2").has_value());
}

TEST_F(Embedded, DiskUseIsBoundedByWhatIsAlive) {
  driver_.open();
  std::vector<std::string> pending;
  std::uint64_t most = 0;
  for (int i = 0; i < 3000; ++i) {
    pending.push_back("m-" + std::to_string(i));
    ASSERT_TRUE(driver_.add("c" + std::to_string(i % 7), pending.back(), 500));
    if (pending.size() > 60) {
      const std::size_t at = static_cast<std::size_t>(i * 31) % pending.size();
      const int number = std::stoi(pending[at].substr(2));
      ASSERT_TRUE(driver_.remove("c" + std::to_string(number % 7), {pending[at]}));
      pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(at));
    }
    if (i % 100 == 0) most = std::max(most, bytes_on_disk());
  }
  const std::uint64_t live = 60 * 600;
  EXPECT_LT(most, 3 * live + 9 * driver_.options.segment_bytes);
  EXPECT_GT(driver_.metrics.store_relocated_bytes.value(), 0U);
  EXPECT_LT(driver_.metrics.store_relocated_bytes.value(), 3000U * 600U * 2U);
  EXPECT_EQ(static_cast<std::uint64_t>(driver_.metrics.store_disk_bytes.value()) + 63,
            bytes_on_disk());
  driver_.open();
  std::size_t found = 0;
  for (int q = 0; q < 7; ++q) found += driver_.ids("c" + std::to_string(q)).size();
  EXPECT_EQ(found, pending.size());
}

TEST_F(Embedded, OldMessagesOutliveManyRoundsOfCleaningInOrder) {
  driver_.open();
  std::vector<std::string> expected;
  for (int i = 0; i < 30; ++i) {
    expected.push_back("old-" + std::to_string(i));
    NewMessage m = StoreDriver::message("c", expected.back(), 300);
    m.recipient_dids = {RecipientDid("did:a"), RecipientDid("did:b")};
    m.push_token = PushToken{PushProvider::fcm, "token", ""};
    ASSERT_TRUE(driver_.add(m));
  }
  for (int i = 0; i < 1000; ++i) {
    const std::string id = "n-" + std::to_string(i);
    ASSERT_TRUE(driver_.add("other", id, 700));
    ASSERT_TRUE(driver_.remove("other", {id}));
  }
  EXPECT_EQ(driver_.ids("c"), expected);
  driver_.open();
  EXPECT_EQ(driver_.ids("c"), expected);
  QueueQuery query;
  query.connection.id = ConnectionId("c");
  query.recipient_did = RecipientDid("did:b");
  EXPECT_EQ(driver_.loop.run(driver_.store->count(query, Deadline::never())).value(), 30U);
}

TEST_F(Embedded, RememberedIdsSurviveTheCleaningOfTheirSegment) {
  driver_.open();
  for (int i = 0; i < 20; ++i) {
    NewMessage m = StoreDriver::message("c", "caller-" + std::to_string(i));
    m.id_origin = IdOrigin::caller;
    ASSERT_TRUE(driver_.add(m));
  }
  ASSERT_EQ(driver_.take("c", TakeMode::remove)->size(), 20U);
  for (int i = 0; i < 500; ++i) {
    const std::string id = "n-" + std::to_string(i);
    ASSERT_TRUE(driver_.add("other", id, 1000));
    ASSERT_TRUE(driver_.remove("other", {id}));
  }
  driver_.open();
  for (int i = 0; i < 20; ++i) {
    NewMessage m = StoreDriver::message("c", "caller-" + std::to_string(i));
    m.id_origin = IdOrigin::caller;
    EXPECT_TRUE(driver_.add(m)->duplicate) << i;
  }
}

TEST_F(Embedded, ARemovalLargerThanASegmentGoesOverSeveralGroups) {
  driver_.open();
  std::vector<Task<Result<AddOutcome>>> adds;
  for (int i = 0; i < 1500; ++i) {
    NewMessage m = StoreDriver::message("c", "m-" + std::to_string(i), 20);
    m.id_origin = IdOrigin::caller;
    adds.push_back(driver_.store->add(std::move(m), Deadline::never()));
  }
  driver_.loop.run(when_all(std::move(adds)));
  const auto removed = driver_.loop.run(
      driver_.store->remove_all({TenantId(), ConnectionId("c")}, std::nullopt, Deadline::never()));
  ASSERT_TRUE(removed.has_value());
  EXPECT_EQ(removed->removed.size(), 1500U);
  EXPECT_EQ(removed->remaining, 0U);
  driver_.open();
  EXPECT_EQ(driver_.count("c").value(), 0U);
}

TEST_F(Embedded, SmallerSegmentsThanBeforeStillTakeOldMessages) {
  driver_.options.segment_bytes = 64 << 10;
  driver_.open();
  ASSERT_TRUE(driver_.add("c", "large", 60'000));
  driver_.options.segment_bytes = 16 << 10;
  driver_.open();
  for (int i = 0; i < 600; ++i) {  // the large one is copied by cleaning
    ASSERT_TRUE(driver_.add("other", "n-" + std::to_string(i), 1000));
    ASSERT_TRUE(driver_.remove("other", {"n-" + std::to_string(i)}));
  }
  EXPECT_GT(driver_.metrics.store_relocated_bytes.value(), 60'000U);
  EXPECT_EQ(driver_.ids("c"), std::vector<std::string>{"large"});
}

TEST_F(Embedded, AFullWaitingRoomIsAnErrorAtOnce) {
  driver_.options.max_waiting_operations = 8;
  driver_.open();
  std::vector<Task<Result<AddOutcome>>> adds;
  for (int i = 0; i < 200; ++i) {
    adds.push_back(
        driver_.store->add(StoreDriver::message("c", "m-" + std::to_string(i)), Deadline::never()));
  }
  std::size_t accepted = 0;
  for (const auto& outcome : driver_.loop.run(when_all(std::move(adds)))) {
    accepted += outcome.has_value();
    if (outcome) continue;
    EXPECT_EQ(outcome.error().code, Errc::unavailable);
    EXPECT_NE(outcome.error().context.find("queue is full"), std::string::npos);
  }
  EXPECT_GE(accepted, 8U);
  EXPECT_EQ(driver_.count("c").value(), accepted);
}

TEST_F(Embedded, RestartsWithoutWorkLeaveNoFilesBehind) {
  driver_.open();
  ASSERT_TRUE(driver_.add("c", "m-1"));
  for (int i = 0; i < 20; ++i) driver_.open();
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(driver_.options.directory)) {
    ++files;
  }
  EXPECT_LE(files, 8U);
  EXPECT_EQ(driver_.ids("c"), std::vector<std::string>{"m-1"});
}

TEST_F(Embedded, WaitingCallersAreAnsweredWhenTheStoreCloses) {
  driver_.open();
  std::vector<Task<bool>> tasks;
  const auto add_then_tell = [](StoreDriver& driver, std::string id) -> Task<bool> {
    NewMessage m = StoreDriver::message("c", id);
    const auto added = co_await driver.store->add(std::move(m), Deadline::never());
    co_return added.has_value();
  };
  for (int i = 0; i < 10; ++i) {
    tasks.push_back(add_then_tell(driver_, "m-" + std::to_string(i)));
  }
  const auto close = [](StoreDriver& driver) -> Task<bool> {
    driver.close();  // while the adds above wait
    co_return true;
  };
  tasks.push_back(close(driver_));
  for (const bool added : driver_.loop.run(when_all(std::move(tasks)))) EXPECT_TRUE(added);
  driver_.open();
  EXPECT_EQ(driver_.ids("c").size(), 10U);
}

namespace {

Task<bool> until_stalled(FaultyFiles& files) {
  while (!files.faults.stalled) std::this_thread::yield();
  co_return true;
}

Task<bool> release_after(FaultyFiles& files, Deadline deadline) {
  while (!deadline.passed()) std::this_thread::yield();
  files.faults.stall = false;
  co_return true;
}

Task<bool> add_until(MessageStore& store, std::string id, Deadline deadline,
                     std::optional<Errc>& failure) {
  const auto added = co_await store.add(StoreDriver::message("c", id), deadline);
  if (!added) failure = added.error().code;
  co_return added.has_value();
}

}  // namespace

TEST_F(Embedded, WhatWaitsBeyondItsDeadlineIsRefusedAndNotApplied) {
  FaultyFiles files;
  StoreDriver driver(directory_.path() / "other", files);
  driver.open();
  files.faults.stall = true;
  std::optional<Errc> failure;
  const Deadline soon = Deadline::after(std::chrono::milliseconds(5));
  std::vector<Task<bool>> tasks;
  tasks.push_back(add_until(*driver.store, "m-1", Deadline::never(), failure));
  tasks.push_back(until_stalled(files));
  tasks.push_back(add_until(*driver.store, "m-2", soon, failure));
  tasks.push_back(release_after(files, soon));
  EXPECT_EQ(driver.loop.run(when_all(std::move(tasks))),
            (std::vector<bool>{true, true, false, true}));
  EXPECT_EQ(failure, Errc::deadline_exceeded);
  EXPECT_EQ(driver.ids("c"), std::vector<std::string>{"m-1"});
}

TEST_F(Embedded, CommitsAndSizesAreMeasured) {
  driver_.open();
  ASSERT_TRUE(driver_.add("c", "m-1", 500));
  EXPECT_EQ(driver_.metrics.store_commits.value(), 1U);
  EXPECT_GT(driver_.metrics.store_live_bytes.value(), 500);
  EXPECT_GE(driver_.metrics.store_disk_bytes.value(), 3 * (16 << 10));
  ASSERT_TRUE(driver_.remove("c", {"nobody"}));
  EXPECT_EQ(driver_.metrics.store_commits.value(), 1U) << "nothing to write, nothing synced";
}

}  // namespace mpr::test
