// What is particular to the embedded directory: its journal.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/run_loop.hpp"
#include "store/embedded/embedded_directory.hpp"
#include "tests/support/faulty_files.hpp"
#include "tests/support/log_capture.hpp"
#include "tests/support/temporary_directory.hpp"

namespace mpr::test {

namespace {

namespace fs = std::filesystem;

class Sessions : public testing::Test {
 protected:
  Sessions() { open(); }

  void open(std::uint64_t compact_above = 4 << 20) {
    live_.reset();
    auto opened =
        EmbeddedDirectory::open({path(), GatewayId("here"), compact_above}, metrics_, files_);
    ASSERT_TRUE(opened.has_value()) << opened.error().context;
    live_ = std::move(*opened);
  }
  fs::path path() const { return directory_.path() / "sessions"; }

  static Connection phone(int number) {
    return {TenantId("t"), ConnectionId("phone-" + std::to_string(number))};
  }
  Result<Epoch> begin(int number) {
    return loop_.run(live_->open(phone(number), SessionId("s-" + std::to_string(number)),
                                 Position{1}, Deadline::never()));
  }
  std::size_t recovered() { return loop_.run(live_->recover()).value().size(); }

  std::uint64_t journal_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(path())) {
      if (entry.path().extension() == ".log") bytes += entry.file_size();
    }
    return bytes;
  }
  fs::path newest_file() const {
    fs::path newest;
    for (const auto& entry : fs::directory_iterator(path())) {
      if (entry.path().extension() == ".log") newest = std::max(newest, entry.path());
    }
    return newest;
  }

  LogCapture log_;
  FaultyFiles files_;
  TemporaryDirectory directory_;
  Metrics metrics_;
  RunLoop loop_;
  std::unique_ptr<EmbeddedDirectory> live_;
};

}  // namespace

TEST_F(Sessions, ASecondDirectoryOnTheSameFilesIsRefused) {
  const auto second = EmbeddedDirectory::open({path(), GatewayId("x")}, metrics_, files_);
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().context.find(path().string()), std::string::npos);
}

TEST_F(Sessions, ATornEndIsDroppedWithAWarning) {
  ASSERT_TRUE(begin(1));
  ASSERT_TRUE(begin(2));
  const fs::path file = newest_file();
  live_.reset();
  fs::resize_file(file, fs::file_size(file) - 3);
  open();
  EXPECT_EQ(recovered(), 1U);
  EXPECT_EQ(log_.with("dropped the end of a session journal").size(), 1U);
}

TEST_F(Sessions, AFlippedByteDropsWhatFollowsInItsFileOnly) {
  ASSERT_TRUE(begin(1));
  const fs::path file = newest_file();
  open();
  ASSERT_TRUE(begin(2));
  live_.reset();
  std::fstream(file, std::ios::binary | std::ios::in | std::ios::out).seekp(30).put('!');
  open();
  EXPECT_EQ(recovered(), 1U);
}

TEST_F(Sessions, ADiskThatRefusesDoesNotStopSessions) {
  files_.faults.writes = true;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(begin(i).has_value());
  EXPECT_EQ(metrics_.store_errors.value(), 10U);
  EXPECT_EQ(log_.with("live sessions are not journaled").size(), 1U) << "said once";
  EXPECT_TRUE(live_->ready().has_value());
  const auto place = loop_.run(live_->find(phone(3), Deadline::never()));
  EXPECT_TRUE(place.value().has_value());
}

TEST_F(Sessions, ADiskThatRefusesAtTheStartDoesNotStopItAndIsUsedAgain) {
  const auto before = begin(1);
  files_.faults.writes = true;
  open();
  const auto unwritten = begin(2);
  EXPECT_GT(*unwritten, *before);
  files_.faults.writes = false;
  EXPECT_EQ(recovered(), 1U);
  // Appends try a new file once a second.
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (log_.with("the session journal is written again").empty()) {
    ASSERT_LT(std::chrono::steady_clock::now(), until);
    ASSERT_TRUE(begin(3).has_value());
  }
  open();
  EXPECT_EQ(recovered(), 2U);
}

TEST_F(Sessions, TheJournalStaysSmallHoweverManyComeAndGo) {
  open(64 << 10);
  for (int i = 0; i < 20'000; ++i) {
    const auto epoch = begin(i % 50);
    ASSERT_TRUE(epoch.has_value());
    if (i % 2 == 0) {
      ASSERT_TRUE(loop_.run(live_->close(phone(i % 50), *epoch, Deadline::never())).value());
    }
  }
  open(64 << 10);
  EXPECT_EQ(recovered(), 25U);
  live_.reset();  // waits for a compaction that runs
  open(64 << 10);
  EXPECT_EQ(recovered(), 25U);
  EXPECT_LT(journal_bytes(), 600U << 10) << "20,000 sessions would be 1.5 MB";
}

TEST_F(Sessions, ManyStartsDoNotPileUpFiles) {
  ASSERT_TRUE(begin(1));
  for (int i = 0; i < 30; ++i) open();
  EXPECT_EQ(recovered(), 1U);
  live_.reset();
  EXPECT_LE(std::distance(fs::directory_iterator(path()), fs::directory_iterator()), 20);
}

}  // namespace mpr::test
