// `mpr check` and the start on real Redis servers: both refuse what does not fit, and say why.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "app/commands.hpp"
#include "app/redis_storage.hpp"
#include "app/system_clock.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/temporary_directory.hpp"

namespace mpr {
namespace {

struct Checked {
  int code = 0;
  std::string text;

  // The finding of this kind that contains `text`.
  bool has(const std::string& kind, const std::string& part) const {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      const std::size_t begin = line.find_first_not_of(' ');
      if (begin != std::string::npos && line.compare(begin, kind.size() + 2, kind + "  ") == 0 &&
          line.find(part) != std::string::npos) {
        return true;
      }
    }
    return false;
  }
};

Checked check(std::vector<std::string> flags) {
  for (const char* const word : {"--ws-port=0", "--app-port=0"}) flags.emplace_back(word);
  testing::internal::CaptureStdout();
  Checked checked;
  checked.code = check_command(flags);
  checked.text = testing::internal::GetCapturedStdout();
  return checked;
}

Checked check(const test::RedisServer& server, std::vector<std::string> flags = {}) {
  flags.push_back("--redis-url=redis://" + server.address());
  return check(std::move(flags));
}

// What a start answers, empty if it goes on.
std::string refusal_of_start(const std::string& url, std::uint32_t partitions = 1024) {
  SystemClock clock;
  Metrics metrics;
  Settings settings;
  settings.redis_url = Secret(url);
  settings.redis_type = RedisType::single;
  settings.redis_prefix = "mpr";
  settings.redis_partitions = partitions;
  const auto opened =
      MigrationTarget::open(settings, MigrationTarget::Purpose::fill, clock, metrics);
  return opened ? "" : opened.error().context;
}

TEST(Check, ANodeOfAClusterNeedsItsType) {
  test::RedisServer server({"cluster-enabled yes"});
  server.cli({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"});
  const Checked single = check(server);
  EXPECT_EQ(single.code, 1) << single.text;
  EXPECT_TRUE(single.has("FAILED", "set REDIS_TYPE=cluster")) << single.text;
  EXPECT_NE(refusal_of_start("redis://" + server.address()).find("REDIS_TYPE=cluster"),
            std::string::npos);
}

TEST(Check, ASingleServerIsNoCluster) {
  const test::RedisServer server;
  const Checked checked = check(server, {"--redis-type=cluster"});
  EXPECT_EQ(checked.code, 1) << checked.text;
  EXPECT_TRUE(checked.has("FAILED", "set REDIS_TYPE=single")) << checked.text;
}

TEST(Check, AReplicaIsRefusedWithTheNameOfItsPrimary) {
  const test::RedisServer primary;
  const test::RedisServer replica({"replicaof 127.0.0.1 " + std::to_string(primary.port())});
  const Checked checked = check(replica);
  EXPECT_EQ(checked.code, 1) << checked.text;
  EXPECT_TRUE(checked.has("FAILED", "it is a replica of 127.0.0.1:")) << checked.text;
  EXPECT_NE(refusal_of_start("redis://" + replica.address()).find("it is a replica of"),
            std::string::npos);
}

TEST(Check, AnotherNumberOfPartitionsThanTheStoredOneIsRefusedAndNothingIsWritten) {
  const test::RedisServer server;
  const Checked fresh = check(server);
  EXPECT_EQ(fresh.code, 0) << fresh.text;
  EXPECT_EQ(server.cli({"DBSIZE"}), "0");
  ASSERT_EQ(refusal_of_start("redis://" + server.address(), 16), "");
  const Checked other = check(server);
  EXPECT_EQ(other.code, 1) << other.text;
  EXPECT_TRUE(other.has("FAILED", "16 partitions")) << other.text;
  EXPECT_EQ(check(server, {"--redis-partitions=16"}).code, 0);
}

TEST(Check, AUserWithoutTheNeededRightsIsRefused) {
  const test::RedisServer server;
  const std::string url = "redis://app:secret@" + server.address();
  server.cli({"ACL", "SETUSER", "app", "on", ">secret", "~mpr:*", "&mpr:*", "+@all"});
  const Checked keys = check({"--redis-url=" + url});
  EXPECT_EQ(keys.code, 1) << keys.text;
  EXPECT_TRUE(keys.has("FAILED", "~{mpr:* ~mpr:*")) << keys.text;
  EXPECT_NE(refusal_of_start(url).find("~{mpr:* ~mpr:*"), std::string::npos);
  server.cli({"ACL", "SETUSER", "app", "~{mpr:*", "resetchannels"});
  EXPECT_TRUE(check({"--redis-url=" + url}).has("FAILED", "may not run SUBSCRIBE, PUBLISH:"));
  server.cli({"ACL", "SETUSER", "app", "&mpr:*", "-@scripting"});
  EXPECT_TRUE(check({"--redis-url=" + url}).has("FAILED", "may not run EVAL:"));
  server.cli({"ACL", "SETUSER", "app", "+@scripting"});
  const Checked enough = check({"--redis-url=" + url});
  EXPECT_EQ(enough.code, 0) << enough.text;
  EXPECT_EQ(enough.text.find("secret"), std::string::npos);
  EXPECT_NE(enough.text.find("REDIS_URL=redis://***@" + server.address()), std::string::npos);
}

TEST(Check, ADatabaseThatDoesNotAnswerIsAWarningAsTheStartGoesOn) {
  const test::RedisServer server;
  const std::string nobody = "127.0.0.1:" + std::to_string(test::free_port());
  const Checked away = check(server, {"--mongodb-uri=mongodb://" + nobody +
                                      "/pickup?serverSelectionTimeoutMS=200&w=1"
                                      "&readPreference=secondary"});
  EXPECT_EQ(away.code, 0) << away.text;
  EXPECT_TRUE(away.has("warning", "the start goes on without it")) << away.text;
  EXPECT_TRUE(away.has("warning", "w=1")) << away.text;
  EXPECT_TRUE(away.has("warning", "readPreference")) << away.text;
  const Checked careless = check(server, {"--mongodb-uri=mongodb://" + nobody + "/?w=0"});
  EXPECT_EQ(careless.code, 1) << careless.text;
  EXPECT_TRUE(careless.has("FAILED", "w=0")) << careless.text;
}

TEST(Check, SaysWhichPushIsOnAndRefusesFilesThatCannotBeUsed) {
  const test::TemporaryDirectory directory;
  const std::string data = "--data-dir=" + (directory.path() / "data").string();
  const std::string account = (directory.path() / "account.json").string();
  const Checked none = check({data});
  EXPECT_EQ(none.code, 0) << none.text;
  EXPECT_TRUE(none.has("ok", "push by fcm is off")) << none.text;
  const Checked missing = check({data, "--firebase-cfg-file=" + account});
  EXPECT_EQ(missing.code, 0) << missing.text;
  EXPECT_TRUE(missing.has("warning", account)) << missing.text;
  std::ofstream(account) << "{";
  const Checked broken = check({data, "--firebase-cfg-file=" + account});
  EXPECT_EQ(broken.code, 1) << broken.text;
  EXPECT_TRUE(broken.has("FAILED", account)) << broken.text;
}

}  // namespace
}  // namespace mpr
