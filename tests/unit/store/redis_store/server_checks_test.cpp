#include "store/redis/server_checks.hpp"

#include <gtest/gtest.h>

namespace mpr::redis {

namespace {

using Severity = ServerFinding::Severity;
using Mode = ClientOptions::Mode;

ServerSettings good_server() {
  ServerSettings settings;
  settings.node = "10.0.0.1:6379";
  settings.info =
      "# Server\r\nredis_version:7.0.15\r\n# Replication\r\nconnected_slaves:2\r\n"
      "aof_last_write_status:ok\r\nrdb_last_bgsave_status:ok\r\n";
  settings.maxmemory_policy = "noeviction";
  settings.maxmemory = "1000000000";
  settings.appendonly = "yes";
  return settings;
}

ServerReport examine(const ServerSettings& settings, Mode mode = Mode::single,
                     Durability durability = Durability::primary) {
  ServerReport report;
  examine_server(settings, mode, durability, report);
  return report;
}

// The only finding, which begins with the name of the server.
ServerFinding only(const ServerReport& report) {
  EXPECT_EQ(report.findings.size(), 1U);
  if (report.findings.empty()) return {};
  EXPECT_TRUE(report.findings[0].sentence.starts_with("Redis server 10.0.0.1:6379: "));
  return report.findings[0];
}

bool says(const ServerFinding& finding, std::string_view text) {
  return finding.sentence.find(text) != std::string::npos;
}

}  // namespace

TEST(ServerChecks, AGoodServerGivesNoFindings) {
  const ServerReport report = examine(good_server(), Mode::cluster, Durability::replicated);
  EXPECT_TRUE(report.findings.empty());
  EXPECT_TRUE(report.fit());
  EXPECT_EQ(report.versions, std::vector<std::string>{"Redis 7.0.15"});
  EXPECT_EQ(report.mode, "cluster");
  EXPECT_EQ(report.primaries, 1U);
  EXPECT_EQ(report.replicas, 2U);
}

TEST(ServerChecks, ANodeOfAClusterThatIsUsedAsASingleServerIsAnErrorThatNamesTheOption) {
  ServerSettings settings = good_server();
  settings.info += "# Cluster\r\ncluster_enabled:1\r\n";
  const ServerReport report = examine(settings);
  EXPECT_FALSE(report.fit());
  EXPECT_TRUE(says(only(report), "REDIS_TYPE=cluster"));
  EXPECT_TRUE(examine(settings, Mode::cluster).findings.empty());
}

TEST(ServerChecks, AReplicaIsAnErrorThatNamesItsPrimary) {
  ServerSettings settings = good_server();
  settings.info += "role:slave\r\nmaster_host:10.0.0.7\r\nmaster_port:6380\r\n";
  const ServerReport report = examine(settings);
  EXPECT_FALSE(report.fit());
  EXPECT_TRUE(says(only(report), "a replica of 10.0.0.7:6380"));
}

TEST(ServerChecks, AServerThatEvictsIsAnErrorWithARemedy) {
  ServerSettings settings = good_server();
  settings.maxmemory_policy = "allkeys-lru";
  const ServerReport report = examine(settings);
  EXPECT_FALSE(report.fit());
  EXPECT_TRUE(says(only(report), "allkeys-lru"));
  EXPECT_TRUE(says(only(report), "CONFIG SET maxmemory-policy noeviction"));
}

TEST(ServerChecks, VersionsAreBounded) {
  ServerSettings settings = good_server();
  EXPECT_TRUE(examine(settings).fit());
  settings.info.replace(settings.info.find("7.0.15"), 6, "6.2.14");
  EXPECT_FALSE(examine(settings).fit());
  EXPECT_TRUE(says(only(examine(settings)), "7.0"));
}

TEST(ServerChecks, ValkeyCountsByItsOwnVersion) {
  ServerSettings settings = good_server();
  settings.info = "redis_version:7.2.4\r\nvalkey_version:8.0.1\r\nconnected_slaves:1\r\n";
  const ServerReport report = examine(settings, Mode::cluster);
  EXPECT_TRUE(report.findings.empty());
  EXPECT_EQ(report.versions, std::vector<std::string>{"Valkey 8.0.1"});
}

TEST(ServerChecks, PersistenceIsAWarningOrForReplicatedAnError) {
  ServerSettings settings = good_server();
  settings.appendonly = "no";
  settings.save = "3600 1";
  EXPECT_EQ(only(examine(settings)).severity, Severity::warning);
  EXPECT_TRUE(says(only(examine(settings)), "snapshot"));
  settings.save = "";
  EXPECT_TRUE(says(only(examine(settings)), "nothing on disk"));
  EXPECT_EQ(only(examine(settings, Mode::cluster, Durability::replicated)).severity,
            Severity::error);
}

TEST(ServerChecks, ReplicatedNeedsAReplica) {
  ServerSettings settings = good_server();
  settings.info.replace(settings.info.find("slaves:2"), 8, "slaves:0");
  EXPECT_TRUE(examine(settings).findings.empty());
  EXPECT_TRUE(says(only(examine(settings, Mode::cluster, Durability::replicated)), "replica"));
}

TEST(ServerChecks, FailingDisksAreFound) {
  ServerSettings settings = good_server();
  settings.info.replace(settings.info.find("write_status:ok"), 15, "write_status:err");
  EXPECT_TRUE(says(only(examine(settings)), "append-only file"));
  EXPECT_FALSE(examine(settings).fit());
}

TEST(ServerChecks, UnlimitedMemoryIsAWarning) {
  ServerSettings settings = good_server();
  settings.maxmemory = "0";
  EXPECT_EQ(only(examine(settings)).severity, Severity::warning);
}

TEST(ServerChecks, AManagedServiceIsJudgedByWhatInfoTells) {
  ServerSettings settings = good_server();
  settings.config_forbidden = true;
  settings.maxmemory_policy = settings.maxmemory = settings.appendonly = "";
  settings.info += "maxmemory:5000\r\nmaxmemory_policy:volatile-lru\r\naof_enabled:1\r\n";
  const ServerReport report = examine(settings);
  ASSERT_EQ(report.findings.size(), 2U);
  EXPECT_TRUE(says(report.findings[0], "volatile-lru"));
  EXPECT_EQ(report.findings[1].severity, Severity::note);
}

}  // namespace mpr::redis
