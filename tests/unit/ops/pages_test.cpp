#include "ops/pages.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "ops_fixture.hpp"

namespace mpr {
namespace {

HttpResponse get(Pages& pages, const std::string& target) {
  return pages.answer({.method = "GET", .target = target});
}

// Names, types and help texts: the lines that begin with #.
std::string descriptions(const std::string& text) {
  std::istringstream in(text);
  std::string out;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with('#')) out += line + "\n";
  }
  return out;
}

TEST(Pages, SayThatTheProcessIsHealthyWhileItsThreadsTurn) {
  test::OpsFixture node;
  Pages pages = node.pages();
  node.silence = std::chrono::milliseconds(4999);
  EXPECT_EQ(get(pages, "/healthz").status, 200);
  EXPECT_EQ(get(pages, "/healthz").body, "ok\n");
  node.silence = std::chrono::milliseconds(5000);
  EXPECT_EQ(get(pages, "/healthz").status, 503);
  EXPECT_EQ(get(pages, "/healthz").body, "an io thread has not answered for 5000 ms\n");
}

TEST(Pages, SayThatTheProcessIsReady) {
  test::OpsFixture node;
  Pages pages = node.pages();
  const HttpResponse answer = get(pages, "/readyz");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content_type, "application/json");
  EXPECT_EQ(answer.body, "{\"ready\":true,\"reasons\":[]}\n");
}

TEST(Pages, SayEveryReasonWhyItIsNotReadyAndRecover) {
  test::OpsFixture node;
  Pages pages = node.pages();
  node.store.trouble = Error{Errc::unavailable, "no space left on device"};
  node.directory.trouble = Error{Errc::unavailable, "its journal cannot be written"};
  const HttpResponse answer = get(pages, "/readyz");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body,
            "{\"ready\":false,\"reasons\":[\"store: no space left on device\","
            "\"live sessions: its journal cannot be written\"]}\n");
  node.store.trouble.reset();
  node.directory.trouble.reset();
  EXPECT_EQ(get(pages, "/readyz").status, 200);
}

TEST(Pages, AreNotReadyWhileDrainingButHealthy) {
  test::OpsFixture node;
  Pages pages = node.pages();
  pages.begin_draining();
  EXPECT_EQ(get(pages, "/readyz").status, 503);
  EXPECT_EQ(get(pages, "/readyz").body,
            "{\"ready\":false,\"reasons\":[\"draining: the process is about to end\"]}\n");
  EXPECT_EQ(get(pages, "/healthz").status, 200);
}

TEST(Pages, DescribeTheirMetricsAsTheGoldenFileSays) {
  test::OpsFixture node;
  node.facts.data_directory = "/";
  Pages pages = node.pages();
  std::ifstream in(std::string(MPR_GOLDEN_DIR) + "/metrics.txt");
  std::ostringstream golden;
  golden << in.rdbuf();
  const HttpResponse answer = get(pages, "/metrics");
  EXPECT_EQ(answer.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(descriptions(answer.body), golden.str())
      << "if the change is meant, update tests/golden/metrics.txt and docs/operations.md";
}

TEST(Pages, PutVersionAndBackendIntoLabels) {
  test::OpsFixture node;
  Pages pages = node.pages();
  EXPECT_NE(
      get(pages, "/metrics").body.find("\nmpr_build_info{version=\"1.2.3\",backend=\"memory\"} 1"),
      std::string::npos);
}

TEST(Pages, ReportTheStateOfTheNodeAsJson) {
  test::OpsFixture node;
  node.facts.warnings = {"a \"quoted\" warning"};
  node.facts.gateway = "01a206bb";
  node.facts.host = "pickup-1";
  node.store.told_totals = {.messages = 3, .bytes = 4096, .queues = 2};
  Pages pages = node.pages();
  node.metrics.sockets_open.set(5);
  node.metrics.live_sessions.set(4);
  node.metrics.live_sessions_orphaned.set(1);
  node.metrics.messages_added.add(20);
  node.metrics.store_disk_bytes.set(1 << 20);
  node.clock.advance(std::chrono::seconds(10));
  pages.sample();
  const std::string body = get(pages, "/status.json?since=0").body;
  const std::string expected_head =
      "{\"version\":\"1.2.3\",\"backend\":\"memory\",\"dataDirectory\":\"\","
      "\"gateway\":\"01a206bb\",\"host\":\"pickup-1\","
      "\"startedAt\":\"2025-06-15T15:06:40.000Z\",\"uptimeSeconds\":10,\"ready\":true,"
      "\"reasons\":[],\"warnings\":[\"a \\\"quoted\\\" warning\"],\"sockets\":5,\"liveSessions\":4,"
      "\"orphanedSessions\":1,\"queues\":2,\"pendingMessages\":3,\"pendingBytes\":4096,"
      "\"rates\":{\"addedPerSecond\":2,";
  EXPECT_EQ(body.substr(0, expected_head.size()), expected_head);
  EXPECT_NE(body.find("\"disk\":{\"logBytes\":1048576,\"liveBytes\":0}"), std::string::npos);
  EXPECT_NE(body.find("\"process\":{\"residentBytes\":"), std::string::npos);
}

TEST(Pages, ShowNoNumberOfMessagesThatTheStoreDoesNotKnow) {
  test::OpsFixture node;
  node.store.told_totals = {.messages = 3, .bytes = 4096, .queues = 2};
  Pages pages = node.pages();
  EXPECT_NE(get(pages, "/metrics").body.find("\nmpr_messages_pending 0"), std::string::npos);
  node.store.told_totals.known = StoreTotals::Known::queues_only;
  const std::string metrics = get(pages, "/metrics").body;
  for (const char* name : {"mpr_messages_pending", "mpr_pending_bytes", "mpr_queues"}) {
    EXPECT_EQ(metrics.find(name), std::string::npos) << name;
  }
  const std::string status = get(pages, "/status.json").body;
  EXPECT_NE(status.find("\"queues\":2,\"rates\""), std::string::npos) << status;
}

TEST(Pages, WarnAboutAThreadThatHangs) {
  test::OpsFixture node;
  Pages pages = node.pages();
  node.silence = std::chrono::seconds(6);
  EXPECT_NE(get(pages, "/status.json").body.find("an io thread has not answered for 6000 ms"),
            std::string::npos);
}

TEST(Pages, ServeAStatusPageWithoutOutsideResources) {
  test::OpsFixture node;
  Pages pages = node.pages();
  const HttpResponse answer = get(pages, "/");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content_type, "text/html; charset=utf-8");
  EXPECT_TRUE(answer.body.starts_with("<!doctype html>"));
  EXPECT_EQ(answer.body.find("http://"), std::string::npos);
  EXPECT_EQ(answer.body.find("https://"), std::string::npos);
  EXPECT_LT(answer.body.size(), 20'000U);
}

TEST(Pages, AnswerUnknownPathsWithTheKnownOnes) {
  test::OpsFixture node;
  Pages pages = node.pages();
  for (const char* target : {"/nothing", "", "//", "/metrics/", "/../etc/passwd", "*"}) {
    const HttpResponse answer = get(pages, target);
    EXPECT_EQ(answer.status, 404) << target;
    EXPECT_EQ(answer.body,
              "not found; there are /, /status.json, /metrics, /healthz and /readyz\n");
  }
}

}  // namespace
}  // namespace mpr
