#include "base/log.hpp"

#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <thread>
#include <vector>

namespace mpr {
namespace {

std::string written;  // by the log, guarded by the log's own lock

class Log : public testing::Test {
 protected:
  void SetUp() override {
    written.clear();
    log::set_sink([](std::string_view line) { written += line; });
  }
  void TearDown() override {
    log::set_sink(nullptr);
    log::configure(log::Level::info, log::Format::text);
  }

  // The written text without the times.
  static std::string timeless() {
    static const std::regex time(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)");
    return std::regex_replace(written, time, "TIME");
  }
};

TEST_F(Log, WritesASentenceAndFieldsAsText) {
  log::configure(log::Level::debug, log::Format::text);
  log::info("socket opened", {{"socket", 7}, {"peer", "10.0.0.1"}, {"resumed", false}});
  log::warn("quoted when needed", {{"reason", "disk is full"}, {"path", "a=b"}});
  log::debug("nothing to add");
  EXPECT_EQ(timeless(),
            "TIME info  socket opened socket=7 peer=10.0.0.1 resumed=false\n"
            "TIME warn  quoted when needed reason=\"disk is full\" path=\"a=b\"\n"
            "TIME debug nothing to add\n");
}

TEST_F(Log, WritesOneJsonObjectPerLine) {
  log::configure(log::Level::info, log::Format::json);
  log::error("it \"broke\"", {{"count", 3}, {"ok", true}, {"reason", "a\nb"}, {"share", 0.5}});
  EXPECT_EQ(timeless(),
            R"({"time":"TIME","level":"error","message":"it \"broke\"","count":3,"ok":true,)"
            R"("reason":"a\nb","share":0.500000})"
            "\n");
}

TEST_F(Log, KeepsALineALineWhateverAFieldHolds) {
  log::info("a line", {{"id", "x\ny"}, {"bell", "a\x07z"}, {"return", "a\rb"}, {"empty", ""}});
  EXPECT_EQ(timeless(),
            "TIME info  a line id=\"x\\ny\" bell=\"a\\u0007z\" return=\"a\\rb\" empty=\"\"\n");
}

TEST_F(Log, LeavesOutWhatIsBelowTheLevel) {
  log::configure(log::Level::warn, log::Format::text);
  log::debug("no");
  log::info("no");
  log::warn("yes");
  EXPECT_EQ(timeless(), "TIME warn  yes\n");
  EXPECT_FALSE(log::enabled(log::Level::info));
  EXPECT_TRUE(log::enabled(log::Level::error));
}

TEST_F(Log, NeverMixesLinesOfDifferentThreads) {
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([] {
        for (int i = 0; i < 250; ++i) log::info("from a thread", {{"text", std::string(50, 'x')}});
      });
    }
  }
  const std::string line = "TIME info  from a thread text=" + std::string(50, 'x') + "\n";
  std::string expected;
  for (int i = 0; i < 1000; ++i) expected += line;
  EXPECT_EQ(timeless(), expected);
}

TEST(LogLevel, KnowsTheNamesOfTheExistingServiceToo) {
  using enum log::Level;
  EXPECT_EQ(log::parse_level("debug"), debug);
  EXPECT_EQ(log::parse_level("verbose"), debug);
  EXPECT_EQ(log::parse_level("info"), info);
  EXPECT_EQ(log::parse_level("log"), info);
  EXPECT_EQ(log::parse_level("warn"), warn);
  EXPECT_EQ(log::parse_level("error"), error);
  EXPECT_EQ(log::parse_level("fatal"), error);
  for (const char* name : {"", "INFO", "warning", "3", " info"}) {
    EXPECT_EQ(log::parse_level(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace mpr
