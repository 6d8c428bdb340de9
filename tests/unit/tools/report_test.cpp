#include "tools/bench/report.hpp"

#include <gtest/gtest.h>

namespace mpr::bench {
namespace {

Report report_with(double rate) {
  Report report("add", "4 sockets");
  report.add("adds_per_second", rate);
  report.add("p50_us", 1.5);
  return report;
}

TEST(Report, IsJson) {
  Report report = report_with(62469);
  report.fail("a \"quoted\" failure");

  EXPECT_EQ(to_json(report),
            R"({"scenario":"add","setting":"4 sockets","figures":{"adds_per_second":62469,)"
            R"("p50_us":1.5},"failureCount":1,"failures":["a \"quoted\" failure"]})");
}

TEST(Report, IsATable) {
  EXPECT_EQ(to_table(report_with(1234567)),
            "add: 4 sockets\n"
            "  adds_per_second                      1,234,567\n"
            "  p50_us                                   1.500\n"
            "  no failures\n");
}

TEST(Report, CountsEveryFailureAndKeepsAFewTexts) {
  Report report("add", "");
  report.fail(0, "nothing");
  report.fail(5, "messages are missing");
  for (int i = 0; i < 100; ++i) report.fail("again");

  EXPECT_EQ(report.failure_count(), 105u);
  EXPECT_EQ(report.failures().size(), 10u);
  EXPECT_EQ(report.failures()[0], "5 messages are missing");
}

TEST(Report, TakesTheMedianOfEachFigure) {
  std::vector<Report> runs = {report_with(30), report_with(10), report_with(20)};
  runs[1].fail(3, "went wrong");

  const Report median = median_of(runs);

  ASSERT_EQ(median.figures().size(), 2u);
  EXPECT_EQ(median.figures()[0].value, 20);
  EXPECT_EQ(median.failure_count(), 3u);
  ASSERT_EQ(median.failures().size(), 1u);
  EXPECT_EQ(median.failures()[0], "3 went wrong");
}

}  // namespace
}  // namespace mpr::bench
