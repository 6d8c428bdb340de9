#include "tools/bench/options.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mpr::bench {
namespace {

Result<Options> parse(const std::vector<std::string>& args) { return parse_options(args); }

TEST(BenchOptions, ReadBothSpellingsInAnyOrder) {
  const auto options = parse({"--seconds", "7", "cycle", "--bytes=2048", "--start", "--backend",
                              "memory", "--json=-", "--server-pid=12"});

  ASSERT_TRUE(options) << options.error().context;
  EXPECT_EQ(options->scenario, "cycle");
  EXPECT_EQ(options->seconds, 7u);
  EXPECT_EQ(options->bytes, 2048u);
  EXPECT_TRUE(options->start);
  EXPECT_EQ(options->backend, Backend::memory);
  EXPECT_EQ(options->json_file, "-");
  EXPECT_EQ(options->server_pid, 12u);
  EXPECT_EQ(options->url, "ws://127.0.0.1:3100");
}

TEST(BenchOptions, SayWhatIsWrong) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--seconds", "0"}, "--seconds: must be a whole number from 1 to 3600, not \"0\""},
      {{"--seconds=1.5"}, "--seconds: must be a whole number from 1 to 3600, not \"1.5\""},
      {{"--seconds"}, "--seconds: the value is missing"},
      {{"--start=yes"}, "--start takes no value"},
      {{"--backend", "redis"}, "--backend: must be embedded or memory, not \"redis\""},
      {{"--server-pid", "me"}, "--server-pid: must be a process id"},
      {{"--wat"}, "unknown option --wat"},
      {{"add", "idle"}, "more than one scenario: idle"},
  };
  for (const auto& [args, problem] : cases) {
    const auto options = parse(args);
    ASSERT_FALSE(options) << problem;
    EXPECT_EQ(options.error().context, problem);
  }
}

TEST(BenchOptions, ReportAllProblemsAtOnce) {
  const auto options = parse({"--wat", "--rate", "0"});

  ASSERT_FALSE(options);
  EXPECT_EQ(options.error().context,
            "unknown option --wat\n--rate: must be a whole number from 1 to 100000, not \"0\"");
}

TEST(BenchOptions, AreAllInTheHelp) {
  const std::string help = options_help();
  for (const char* name : {"url", "seconds", "warmup", "sockets", "in-flight", "bytes", "rate",
                           "connections", "json", "start", "backend", "server-pid", "runs"}) {
    EXPECT_NE(help.find("--" + std::string(name) + " "), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace mpr::bench
