// Torn, flipped, truncated and foreign bytes in the log: what can be read is kept, what cannot is
// reported, nothing is made up.
#include <algorithm>
#include <fstream>
#include <random>

#include "tests/support/log_capture.hpp"
#include "tests/support/store_driver.hpp"
#include "tests/support/temporary_directory.hpp"

namespace mpr::test {

namespace {

using Ids = std::vector<std::string>;
namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

class EmbeddedDamage : public testing::Test {
 protected:
  EmbeddedDamage() : driver_(directory_.path() / "store", system_files()) {}

  std::vector<fs::path> segments() const {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(driver_.options.directory)) {
      if (entry.path().filename().string().starts_with("log-")) paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  }
  fs::path newest() const { return segments().back(); }

  // A store with messages m-0 ... that was killed rather than closed: no mark of its end. Returns
  // the directory's files for reuse.
  void make_store(int messages, std::size_t size = 100) {
    driver_.open();
    for (int i = 0; i < messages; ++i) {
      ASSERT_TRUE(driver_.add("c", "m-" + std::to_string(i), size));
    }
    const fs::path copy = directory_.path() / "copy";
    fs::remove_all(copy);
    fs::copy(driver_.options.directory, copy);  // as the dying process leaves it
    driver_.close();
    fs::remove_all(driver_.options.directory);
    fs::rename(copy, driver_.options.directory);
  }

  static Ids first(int count) {
    Ids ids;
    for (int i = 0; i < count; ++i) ids.push_back("m-" + std::to_string(i));
    return ids;
  }

  // The end of the last record in a segment that is followed by its end mark.
  static std::size_t end_of(const std::string& bytes) {
    return (bytes.find_last_not_of('\0') / 8 + 1) * 8;
  }

  LogCapture log_;
  TemporaryDirectory directory_;
  StoreDriver driver_;
};

}  // namespace

TEST_F(EmbeddedDamage, AKilledStoreIsReadWithoutAWord) {
  make_store(5);
  driver_.open();
  EXPECT_EQ(driver_.ids("c"), first(5));
  EXPECT_TRUE(log_.with(" warn ").empty());
  EXPECT_TRUE(log_.with(" error ").empty());
}

TEST_F(EmbeddedDamage, ATailTruncatedAtAnyByteLosesOnlyTheLastRecord) {
  make_store(3, 60);
  const std::string whole = read_file(newest());
  const std::size_t end = end_of(whole);
  const fs::path name = newest();
  const std::size_t last_record = end - (end - 64) / 3;
  for (std::size_t size = last_record; size <= end; ++size) {
    driver_.close();
    fs::remove_all(driver_.options.directory / "damaged");
    for (const auto& path : segments()) fs::remove(path);
    write_file(name, whole.substr(0, size));
    const LogCapture log;
    driver_.open();
    ASSERT_EQ(driver_.ids("c"), first(size == end ? 3 : 2)) << "cut at " << size;
    const auto warnings = log.with("dropped the end of the log");
    ASSERT_EQ(warnings.size(), size == end || size == last_record ? 0U : 1U) << "cut at " << size;
    if (warnings.empty()) continue;
    EXPECT_NE(warnings[0].find(name.filename().string()), std::string::npos) << warnings[0];
    EXPECT_NE(warnings[0].find("offset=" + std::to_string(last_record)), std::string::npos);
    EXPECT_NE(warnings[0].find("dropped_bytes="), std::string::npos);
  }
}

TEST_F(EmbeddedDamage, AFlippedBitInTheLastRecordDropsItWithAWarning) {
  make_store(3, 60);
  const std::string whole = read_file(newest());
  const std::size_t end = end_of(whole);
  const std::size_t last_record = end - (end - 64) / 3;
  const fs::path name = newest();
  for (std::size_t bit = last_record * 8; bit < end * 8; bit += 5) {
    driver_.close();
    for (const auto& path : segments()) fs::remove(path);
    std::string bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    write_file(name, bytes);
    const LogCapture log;
    driver_.open();
    ASSERT_EQ(driver_.ids("c"), first(2)) << "bit " << bit;
    ASSERT_EQ(log.with("dropped the end of the log").size(), 1U) << "bit " << bit;
    ASSERT_TRUE(log.with(" error ").empty());
    ASSERT_TRUE(driver_.add("c", "after").has_value());
    ASSERT_EQ(driver_.ids("c"), (Ids{"m-0", "m-1", "after"}));
  }
}

TEST_F(EmbeddedDamage, WhatFollowsDamageInTheMiddleIsKeptAndTheLossIsAnError) {
  make_store(5, 200);
  std::string bytes = read_file(newest());
  const std::size_t record = (end_of(bytes) - 64) / 5;
  bytes[64 + record + 100] ^= 1;  // in the second of five
  write_file(newest(), bytes);
  const std::string name = newest().filename().string();
  driver_.open();
  EXPECT_EQ(driver_.ids("c"), (Ids{"m-0", "m-2", "m-3", "m-4"}));
  const auto errors = log_.with("a part of the log is damaged");
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_NE(errors[0].find(name), std::string::npos) << errors[0];
  EXPECT_NE(errors[0].find("offset=" + std::to_string(64 + record)), std::string::npos);
  EXPECT_NE(errors[0].find("lost_bytes=" + std::to_string(record)), std::string::npos);
}

TEST_F(EmbeddedDamage, AHoleOfZerosInTheMiddleIsNotTakenForTheEnd) {
  make_store(5, 200);
  std::string bytes = read_file(newest());
  const std::size_t record = (end_of(bytes) - 64) / 5;
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(64 + record), record, '\0');
  write_file(newest(), bytes);
  driver_.open();
  EXPECT_EQ(driver_.ids("c"), (Ids{"m-0", "m-2", "m-3", "m-4"}));
  EXPECT_EQ(log_.with("a part of the log is damaged").size(), 1U);
}

TEST_F(EmbeddedDamage, DamageInAnOlderSegmentIsAnErrorToo) {
  make_store(40, 1000);
  ASSERT_GE(segments().size(), 3U);
  const fs::path oldest = segments().front();
  std::string bytes = read_file(oldest);
  bytes[64 + 500] ^= 1;             // the first record
  bytes[end_of(bytes) - 500] ^= 1;  // the last
  write_file(oldest, bytes);
  driver_.open();
  const auto ids = driver_.ids("c");
  EXPECT_EQ(ids.size(), 38U);
  EXPECT_EQ(ids.front(), "m-1");
  EXPECT_EQ(ids.back(), "m-39");
  EXPECT_EQ(log_.with("a part of the log is damaged").size(), 2U);
}

TEST_F(EmbeddedDamage, GarbageBehindTheEndIsNeverTakenForRecords) {
  make_store(3, 60);
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 dice(seed);
  std::string bytes = read_file(newest());
  const std::size_t end = end_of(bytes);
  for (std::size_t i = end; i < bytes.size(); ++i) bytes[i] = static_cast<char>(dice());
  bytes.replace(end + 400, end - 64, bytes.substr(64, end - 64));  // even whole old records
  write_file(newest(), bytes);
  driver_.open();
  EXPECT_EQ(driver_.ids("c"), first(3));
}

TEST_F(EmbeddedDamage, RecordsOfAnEarlierLifeOfTheFileStayDead) {
  driver_.open();
  for (int i = 0; i < 400; ++i) {  // every file is reused several times
    const std::string id = "m-" + std::to_string(i);
    ASSERT_TRUE(driver_.add("c", id, 700));
    ASSERT_TRUE(driver_.remove("c", {id}));
  }
  ASSERT_TRUE(driver_.add("c", "last"));
  const fs::path copy = directory_.path() / "copy";
  fs::copy(driver_.options.directory, copy);
  driver_.close();
  fs::remove_all(driver_.options.directory);
  fs::rename(copy, driver_.options.directory);
  const LogCapture log;
  driver_.open();
  EXPECT_EQ(driver_.ids("c"), Ids{"last"});
  EXPECT_TRUE(log.with(" warn ").empty());
  EXPECT_TRUE(log.with(" error ").empty());
}

TEST_F(EmbeddedDamage, APayloadThatLooksLikeRecordsIsNotReadAsRecords) {
  make_store(2, 200);
  const std::string image = read_file(newest());
  driver_.open();
  NewMessage hostile = StoreDriver::message("c", "hostile");
  hostile.payload = make_payload(image.substr(0, 1024));
  ASSERT_TRUE(driver_.add(hostile));
  ASSERT_TRUE(driver_.add("c", "after", 100));
  driver_.close();
  std::string bytes = read_file(newest());
  bytes[bytes.find("hostile")] ^= 1;
  write_file(newest(), bytes);
  driver_.open();
  EXPECT_EQ(driver_.ids("c"), (Ids{"m-0", "m-1", "after"}));
}

TEST_F(EmbeddedDamage, ADamagedSegmentHeaderIsReportedAndTheFileIsKept) {
  make_store(40, 1000);
  const fs::path second = segments().at(1);
  std::string bytes = read_file(second);
  bytes[20] ^= 1;
  write_file(second, bytes);
  driver_.open();
  EXPECT_EQ(log_.with("the header of a log segment is damaged").size(), 1U);
  EXPECT_EQ(log_.with("a log segment is missing").size(), 1U);
  EXPECT_TRUE(fs::exists(driver_.options.directory / ("damaged-" + second.filename().string())));
  const auto ids = driver_.ids("c");
  EXPECT_LT(ids.size(), 40U);
  EXPECT_EQ(ids.front(), "m-0");
  EXPECT_EQ(ids.back(), "m-39");
  EXPECT_TRUE(driver_.add("c", "after"));
}

TEST_F(EmbeddedDamage, AMissingSegmentIsReported) {
  make_store(40, 1000);
  fs::remove(segments().at(1));
  driver_.open();
  EXPECT_EQ(log_.with("a log segment is missing").size(), 1U);
  EXPECT_EQ(driver_.ids("c").front(), "m-0");
}

TEST_F(EmbeddedDamage, ARecordThatRotsWhileTheStoreRunsIsAnError) {
  driver_.open();
  ASSERT_TRUE(driver_.add("c", "m-0"));
  ASSERT_TRUE(driver_.add("c", "m-1"));
  {
    std::fstream file(newest(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(64 + 60);
    file.put('!');
  }
  for (const TakeMode mode : {TakeMode::keep, TakeMode::remove}) {
    const auto taken = driver_.take("c", mode);
    ASSERT_FALSE(taken.has_value());
    EXPECT_EQ(taken.error().code, Errc::corrupt);
    EXPECT_NE(taken.error().context.find(newest().filename().string()), std::string::npos);
  }
  EXPECT_EQ(driver_.count("c").value(), 2U);
  EXPECT_EQ(driver_.remove("c", {"m-0"})->removed.size(), 1U) << "removing does not need to read";
  EXPECT_EQ(driver_.ids("c"), Ids{"m-1"});
}

TEST_F(EmbeddedDamage, CleaningKeepsASegmentThatItCannotRead) {
  driver_.open();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(driver_.add("c", "m-" + std::to_string(i), 1000));
  const std::string rotten = segments().front().filename().string();
  {
    std::fstream file(segments().front(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(64 + 500);
    file.put('!');
  }
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(driver_.add("other", "n-" + std::to_string(i), 1000));
    ASSERT_TRUE(driver_.remove("other", {"n-" + std::to_string(i)}));
  }
  EXPECT_EQ(log_.with("cannot be read any more").size(), 1U);
  EXPECT_TRUE(fs::exists(driver_.options.directory / ("damaged-" + rotten)));
  EXPECT_EQ(driver_.take("c").error().code, Errc::corrupt);
  EXPECT_EQ(driver_.remove("c", {"m-0"})->removed.size(), 1U);
  EXPECT_EQ(driver_.ids("c").size(), 9U);
}

}  // namespace mpr::test
