#include "app/configuration.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace mpr {
namespace {

using Words = std::vector<std::string>;

class ConfigurationTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "mpr-config-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string file(const std::string& name, const std::string& text) {
    const std::filesystem::path path = directory_ / name;
    std::ofstream(path) << text;
    return path.string();
  }

  std::filesystem::path directory_;
};

TEST_F(ConfigurationTest, OfNothingIsTheDefaults) {
  const Configuration c = configure({}, {});
  EXPECT_EQ(c.problems, Words{});
  EXPECT_EQ(c.warnings, Words{});
  EXPECT_EQ(c.settings.ws_port, 3100);
  EXPECT_EQ(c.settings.app_port, 3500);
  EXPECT_EQ(c.settings.bind, "127.0.0.1");
  EXPECT_EQ(c.settings.backend, Backend::embedded);
  EXPECT_EQ(c.settings.data_dir, "./mpr-data");
  EXPECT_EQ(c.settings.segment_bytes, 32ULL << 20);
  EXPECT_EQ(c.settings.threshold_timestamp, std::chrono::milliseconds(60'000));
  EXPECT_EQ(c.settings.ack_deadline, std::chrono::milliseconds(15'000));
  EXPECT_EQ(c.settings.log_level, log::Level::info);
  EXPECT_EQ(c.settings.log_format, log::Format::text);
  EXPECT_TRUE(c.settings.auth_token.empty());
  EXPECT_EQ(c.chosen.size(), options().size());
  EXPECT_EQ(c["WS_PORT"].where, "default");
  EXPECT_EQ(summary_of_changes(c), "");
}

TEST_F(ConfigurationTest, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  const std::string path = file("mpr.conf", "WS_PORT=1\nAPP_PORT=1\nMPR_MAX_IN_FLIGHT=1\n");
  const Configuration c = configure(
      Words{"--ws-port", "3"}, {{"WS_PORT", "2"}, {"APP_PORT", "2"}, {"MPR_CONFIG_FILE", path}});
  EXPECT_EQ(c.problems, Words{});
  EXPECT_EQ(c.settings.ws_port, 3);
  EXPECT_EQ(c.settings.app_port, 2);
  EXPECT_EQ(c.settings.max_in_flight, 1U);
  EXPECT_EQ(c.settings.max_connections, 0U);
  EXPECT_EQ(c["WS_PORT"].where, "flag --ws-port");
  EXPECT_EQ(c["APP_PORT"].where, "environment");
  EXPECT_EQ(c["MPR_MAX_IN_FLIGHT"].where, path + " line 3");
  EXPECT_EQ(c["MPR_MAX_CONNECTIONS"].where, "default");
}

TEST_F(ConfigurationTest, TakesFlagsInBothForms) {
  const Configuration c =
      configure(Words{"--data-dir=/tmp/a b", "--backend", "memory", "--log-level=debug"}, {});
  EXPECT_EQ(c.problems, Words{});
  EXPECT_EQ(c.settings.data_dir, "/tmp/a b");
  EXPECT_EQ(c.settings.backend, Backend::memory);
  EXPECT_EQ(c.settings.log_level, log::Level::debug);
}

TEST_F(ConfigurationTest, TheLastOfTwoEqualFlagsOrLinesWins) {
  EXPECT_EQ(configure(Words{"--ws-port=1", "--ws-port=2"}, {}).settings.ws_port, 2);
  const std::string path = file("mpr.conf", "WS_PORT=1\nWS_PORT=2\n");
  EXPECT_EQ(configure(Words{"--config-file", path}, {}).settings.ws_port, 2);
}

TEST_F(ConfigurationTest, AnEmptyVariableCountsAsNotSet) {
  const std::string path = file("mpr.conf", "APP_PORT=\nWS_PORT=7\n");
  const Configuration c =
      configure({}, {{"WS_PORT", ""}, {"MPR_CONFIG_FILE", path}, {"REDIS_URL", ""}});
  EXPECT_EQ(c.problems, Words{});
  EXPECT_EQ(c.settings.ws_port, 7);
  EXPECT_EQ(c.settings.app_port, 3500);
}

TEST_F(ConfigurationTest, ReportsEverythingWrongAtOnceWithItsSource) {
  const std::string path = file("mpr.conf", "MPR_SEGMENT_BYTES=1KiB\nnonsense\n");
  const Configuration c = configure(
      Words{"--ws-port=99999", "--prot", "3", "stray", "--config-file", path, "--backend"},
      {{"MPR_ACK_DEADLINE_MS", "soon"}, {"MPR_BIND", "everywhere"}});
  EXPECT_EQ(c.problems,
            (Words{"unknown flag --prot", "\"stray\" is not expected here: options begin with --",
                   "flag --backend needs a value: auto, embedded, memory or redis",
                   path + " line 2 is neither KEY=VALUE nor a # comment",
                   "WS_PORT (flag --ws-port): \"99999\" is not a port number from 0 to 65535",
                   "MPR_BIND (environment): \"everywhere\" is not an IPv4 or IPv6 address such as "
                   "127.0.0.1 or 0.0.0.0",
                   "MPR_SEGMENT_BYTES (" + path +
                       " line 1): \"1KiB\" is not a size from 1 MiB to 1 GiB, such as 16MiB",
                   "MPR_ACK_DEADLINE_MS (environment): \"soon\" is not a whole number of "
                   "milliseconds from 100 to 86400000"}));
}

TEST_F(ConfigurationTest, SuggestsTheNearestName) {
  const std::string path = file("mpr.conf", "MPR_DATADIR=x\nWS_PROT=1\n");
  const Configuration c =
      configure(Words{"--ws-prot=1"}, {{"MPR_BAKEND", "memory"},
                                       {"MPR_TOTALLY_DIFFERENT_THING_ALTOGETHER", "1"},
                                       {"UNRELATED", "1"},
                                       {"MPR_CONFIG_FILE", path}});
  EXPECT_EQ(c.problems, Words{"unknown flag --ws-prot; did you mean --ws-port?"});
  EXPECT_EQ(c.warnings,
            (Words{"unknown variable MPR_BAKEND (environment); did you mean MPR_BACKEND?",
                   "unknown variable MPR_TOTALLY_DIFFERENT_THING_ALTOGETHER (environment)",
                   "unknown name MPR_DATADIR (" + path + " line 1); did you mean MPR_DATA_DIR?",
                   "unknown name WS_PROT (" + path + " line 2); did you mean WS_PORT?"}));
}

TEST_F(ConfigurationTest, ChoosesTheBackendThatTheOptionsAskFor) {
  const auto backend = [](const Environment& environment) {
    const Configuration c = configure({}, environment);
    EXPECT_EQ(c.problems, Words{});
    return c.settings.backend;
  };
  EXPECT_EQ(backend({}), Backend::embedded);
  EXPECT_EQ(backend({{"REDIS_URL", "redis://127.0.0.1"}}), Backend::redis);
  EXPECT_EQ(backend({{"REDIS_NODES", "127.0.0.1:7000"}}), Backend::redis);
  EXPECT_EQ(backend({{"MONGODB_URI", "mongodb://127.0.0.1/mpr"}, {"REDIS_URL", "redis://h"}}),
            Backend::redis);
  EXPECT_EQ(backend({{"MPR_BACKEND", "memory"}}), Backend::memory);
}

TEST_F(ConfigurationTest, TakesAListOfNodesForACluster) {
  EXPECT_EQ(configure({}, {{"REDIS_NODES", "h:1"}}).settings.redis_type, RedisType::cluster);
  EXPECT_EQ(configure({}, {{"REDIS_URL", "redis://h"}}).settings.redis_type, RedisType::single);
  EXPECT_EQ(
      configure({}, {{"REDIS_URL", "redis://h"}, {"REDIS_TYPE", "cluster"}}).settings.redis_type,
      RedisType::cluster);
}

TEST_F(ConfigurationTest, ABackendThatWasChosenWinsWithAWarning) {
  const Configuration c = configure({}, {{"REDIS_URL", "redis://h"}, {"MPR_BACKEND", "embedded"}});
  EXPECT_EQ(c.problems, Words{});
  EXPECT_EQ(c.settings.backend, Backend::embedded);
  EXPECT_EQ(c.warnings, Words{"MPR_BACKEND (environment) is embedded: the options of Redis and "
                              "MongoDB have no effect"});
}

TEST_F(ConfigurationTest, NamesWhatARedisBackendLacks) {
  const Words redis_is_needed = {
      "REDIS_URL or REDIS_NODES is needed: live sessions are kept in Redis whichever database the "
      "messages go to"};
  EXPECT_EQ(configure({}, {{"MONGODB_URI", "mongodb://h/d"}}).problems, redis_is_needed);
  EXPECT_EQ(configure(Words{"--backend=redis"}, {}).problems, redis_is_needed);
  EXPECT_EQ(configure({}, {{"REDIS_NODES", "h:1"}, {"REDIS_TYPE", "single"}}).problems,
            Words{"REDIS_TYPE (environment) is single: REDIS_URL is needed"});
  EXPECT_EQ(configure({}, {{"REDIS_URL", "redis://h"}, {"MPR_DURABILITY", "durable"}}).problems,
            Words{"MPR_DURABILITY (environment) is durable: MONGODB_URI is needed"});
}

TEST_F(ConfigurationTest, TakesPushNamesOfTheExistingService) {
  const Configuration c =
      configure({}, {{"APNS_TOPIC", "app"}, {"NOTIFICATION_DATA_ONLY", "true"}});
  EXPECT_EQ(c.problems, Words{});
  EXPECT_EQ(c.warnings, Words{});
  EXPECT_EQ(c.settings.apns_topic, "app");
  EXPECT_TRUE(c.settings.notification_data_only);
}

TEST_F(ConfigurationTest, SaysWhatTakesThePlaceOfTheOldAddressOfFcm) {
  const Configuration c = configure({}, {{"FCM_SERVICE_BASE_URL", "https://fcm"}});
  EXPECT_EQ(c.problems, Words{});
  EXPECT_EQ(c.warnings, Words{"FCM_SERVICE_BASE_URL (environment) has no effect: MPR_FCM_URL says "
                              "where FCM is"});
}

TEST_F(ConfigurationTest, SendsPushesOnlyToUrls) {
  const Configuration c = configure({}, {{"MPR_FCM_URL", "fcm.googleapis.com"},
                                         {"MPR_APNS_URL", "http://127.0.0.1:1"},
                                         {"MPR_WEBHOOK_URL", "ftp://h/secret"}});
  EXPECT_EQ(c.problems,
            (Words{"MPR_FCM_URL (environment) has to begin with https:// or http://",
                   "MPR_APNS_URL (environment) has to begin with https://",
                   "MPR_WEBHOOK_URL (environment) has to begin with https:// or http://"}));
}

TEST_F(ConfigurationTest, RefusesAPrefixThatBreaksHashTags) {
  for (const std::string prefix : {"}x", "a{b}"}) {
    const Configuration c = configure({}, {{"MPR_REDIS_PREFIX", prefix}});
    EXPECT_EQ(c.problems, Words{"MPR_REDIS_PREFIX (environment) is \"" + prefix +
                                "\": it must not hold { or }, which tell a Redis Cluster what "
                                "belongs together"});
  }
}

TEST_F(ConfigurationTest, WarnsOfADurabilityThatHasNoEffect) {
  const Configuration c = configure({}, {{"MPR_DURABILITY", "durable"}});
  EXPECT_EQ(c.problems, Words{});
  EXPECT_EQ(c.warnings, Words{"MPR_DURABILITY (environment) is durable, which has no effect: "
                              "MPR_BACKEND is embedded, without Redis and MongoDB"});
}

TEST_F(ConfigurationTest, ShowsWhereServersAreButNoPassword) {
  const Configuration c = configure({}, {{"REDIS_URL", "redis://me:s3cret@host:6379/1"},
                                         {"MONGODB_URI", "mongodb://me:s3cret@host/pickup"},
                                         {"REDIS_NODES", "a:1,b:2"}});
  EXPECT_EQ(summary_of_changes(c),
            "REDIS_URL=redis://***@host:6379/1 REDIS_NODES=a:1,b:2 "
            "MONGODB_URI=mongodb://***@host/pickup");
}

TEST_F(ConfigurationTest, NeverShowsASecret) {
  const std::string token = "s3cr3t-token";
  const std::string token_path = file("token", token + "\n");
  for (const Environment& environment :
       {Environment{{"MPR_AUTH_TOKEN", token}}, Environment{{"MPR_AUTH_TOKEN_FILE", token_path}},
        Environment{{"MPR_AUTH_TOKEN", token}, {"MPR_AUTH_TOKEN_FILE", token_path}},
        Environment{{"MPR_AUTH_TOKEN", token}, {"WS_PORT", "x"}}}) {
    const Configuration c = configure({}, environment);
    std::string shown = summary_of_changes(c);
    for (const Chosen& chosen : c.chosen) shown += chosen.text + chosen.where;
    for (const std::string& text : c.problems) shown += text;
    for (const std::string& text : c.warnings) shown += text;
    EXPECT_EQ(shown.find(token), std::string::npos);
  }
  const Configuration c = configure(Words{"--auth-token", token}, {});
  EXPECT_EQ(c.settings.auth_token.reveal(), token);
  EXPECT_EQ(c["MPR_AUTH_TOKEN"].text, "***");
  EXPECT_EQ(summary_of_changes(c), "MPR_AUTH_TOKEN=***");
}

TEST_F(ConfigurationTest, ReadsTheTokenFromItsFile) {
  const std::string path = file("token", "  abc def \n\n");
  const Configuration c = configure(Words{"--auth-token-file", path}, {});
  EXPECT_EQ(c.problems, Words{});
  EXPECT_EQ(c.settings.auth_token.reveal(), "abc def");
}

TEST_F(ConfigurationTest, SaysWhyATokenFileIsOfNoUse) {
  const std::string empty = file("empty", " \n");
  const std::string missing = (directory_ / "missing").string();
  const auto problems = [](const std::string& path) {
    return configure(Words{"--auth-token-file", path}, {}).problems;
  };
  EXPECT_EQ(problems(empty),
            Words{"MPR_AUTH_TOKEN_FILE (flag --auth-token-file): " + empty + " is empty"});
  EXPECT_EQ(problems(missing),
            Words{"MPR_AUTH_TOKEN_FILE (flag --auth-token-file): " + missing + " cannot be read"});
  EXPECT_EQ(problems(directory_.string()), Words{"MPR_AUTH_TOKEN_FILE (flag --auth-token-file): " +
                                                 directory_.string() + " is a directory"});
  EXPECT_EQ(
      configure(Words{"--auth-token-file", empty}, {{"MPR_AUTH_TOKEN", "t"}}).problems,
      Words{"MPR_AUTH_TOKEN_FILE (flag --auth-token-file) and MPR_AUTH_TOKEN (environment) are "
            "both set: choose one"});
}

TEST_F(ConfigurationTest, SaysThatAConfigurationFileCannotBeRead) {
  const std::string missing = (directory_ / "missing.conf").string();
  EXPECT_EQ(configure({}, {{"MPR_CONFIG_FILE", missing}}).problems,
            Words{"the configuration file " + missing + " (environment) cannot be read"});
}

TEST_F(ConfigurationTest, RefusesAConfigurationFileThatNamesAnother) {
  const std::string path = file("mpr.conf", "MPR_CONFIG_FILE=other\n");
  EXPECT_EQ(configure(Words{"--config-file", path}, {}).problems,
            Words{"MPR_CONFIG_FILE (" + path + " line 1) cannot stand in a configuration file"});
}

TEST_F(ConfigurationTest, ChecksOptionsAgainstEachOther) {
  const auto problems = [](Words flags) { return configure(flags, {}).problems; };
  EXPECT_EQ(
      problems({"--ws-port=5000", "--app-port=5000"}),
      Words{"WS_PORT (flag --ws-port) and APP_PORT (flag --app-port) are both 5000: they have "
            "to differ"});
  EXPECT_EQ(problems({"--ws-port=0", "--app-port=0"}), Words{});
  EXPECT_EQ(problems({"--max-message-bytes=32MiB", "--backend=memory"}),
            Words{"MPR_MAX_MESSAGE_BYTES (flag --max-message-bytes, 32 MiB) does not fit into "
                  "MPR_MAX_FRAME_BYTES (32 MiB): a frame needs 16 KiB more than its payload"});
  EXPECT_EQ(problems({"--segment-bytes=16MiB"}),
            Words{"MPR_MAX_MESSAGE_BYTES (16 MiB) does not fit into MPR_SEGMENT_BYTES (flag "
                  "--segment-bytes, 16 MiB): a segment needs 1 MiB more than the largest payload"});
  EXPECT_EQ(problems({"--segment-bytes=16MiB", "--backend=memory"}), Words{});
  EXPECT_EQ(problems({"--dead-after-ms=10000"}),
            Words{"MPR_DEAD_AFTER_MS (flag --dead-after-ms, 10000) has to be larger than "
                  "MPR_PING_INTERVAL_MS (10000): a ping needs time to be answered"});
}

TEST_F(ConfigurationTest, SummarisesWhatDiffersFromTheDefaults) {
  const Configuration c =
      configure(Words{"--backend=memory", "--ws-port=3100"}, {{"APP_PORT", "0"}});
  EXPECT_EQ(summary_of_changes(c), "APP_PORT=0 MPR_BACKEND=memory");
}

TEST(Environment, HoldsWhatTheProcessWasGiven) {
  ASSERT_EQ(setenv("MPR_TEST_OF_ENVIRONMENT", "a=b", 1), 0);
  const Environment environment = process_environment();
  unsetenv("MPR_TEST_OF_ENVIRONMENT");
  EXPECT_NE(std::ranges::find(
                environment, std::pair<std::string, std::string>("MPR_TEST_OF_ENVIRONMENT", "a=b")),
            environment.end());
}

}  // namespace
}  // namespace mpr
