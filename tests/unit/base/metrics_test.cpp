#include "base/metrics.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace mpr {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

std::string value_of(const std::string& text, const std::string& name) {
  const std::size_t at = text.find("\n" + name + " ");
  if (at == std::string::npos) return "missing";
  const std::size_t start = at + name.size() + 2;
  return text.substr(start, text.find('\n', start) - start);
}

TEST(Metrics, RenderCountersAndGauges) {
  Metrics metrics;
  metrics.messages_added.add();
  metrics.messages_added.add(41);
  metrics.messages_pending.set(-3);
  metrics.sockets_open.add(5);
  metrics.sockets_open.add(-2);
  const std::string text = metrics.render();
  EXPECT_EQ(value_of(text, "mpr_messages_added_total"), "42");
  EXPECT_EQ(value_of(text, "mpr_messages_pending"), "-3");
  EXPECT_EQ(value_of(text, "mpr_sockets_open"), "3");
}

TEST(Metrics, RenderHistogramsCumulatively) {
  Metrics metrics;
  metrics.call_seconds.observe(microseconds(50));  // on a bound: belongs to it
  metrics.call_seconds.observe(microseconds(51));  // just over it
  metrics.call_seconds.observe(milliseconds(3));
  metrics.call_seconds.observe(std::chrono::seconds(60));
  const std::string text = metrics.render();
  EXPECT_EQ(value_of(text, "mpr_call_seconds_bucket{le=\"0.00005\"}"), "1");
  EXPECT_EQ(value_of(text, "mpr_call_seconds_bucket{le=\"0.0001\"}"), "2");
  EXPECT_EQ(value_of(text, "mpr_call_seconds_bucket{le=\"0.0025\"}"), "2");
  EXPECT_EQ(value_of(text, "mpr_call_seconds_bucket{le=\"0.005\"}"), "3");
  EXPECT_EQ(value_of(text, "mpr_call_seconds_bucket{le=\"5\"}"), "3");
  EXPECT_EQ(value_of(text, "mpr_call_seconds_bucket{le=\"+Inf\"}"), "4");
  EXPECT_EQ(value_of(text, "mpr_call_seconds_count"), "4");
  EXPECT_EQ(std::stod(value_of(text, "mpr_call_seconds_sum")), 60.003101);
}

TEST(Histogram, EstimatesQuantilesInsideTheirBucket) {
  Histogram histogram;
  EXPECT_EQ(Histogram::quantile_of(histogram.snapshot(), 0.5), 0);
  for (int i = 0; i < 90; ++i) histogram.observe(microseconds(200));  // 100 to 250 us
  for (int i = 0; i < 10; ++i) histogram.observe(milliseconds(7));    // 5 to 10 ms
  const auto counts = histogram.snapshot();
  EXPECT_NEAR(Histogram::quantile_of(counts, 0.45), 0.000175, 1e-9);
  EXPECT_NEAR(Histogram::quantile_of(counts, 0.95), 0.0075, 1e-9);
  EXPECT_NEAR(Histogram::quantile_of(counts, 1.0), 0.01, 1e-9);
}

TEST(Histogram, CapsQuantilesAtItsLastBound) {
  Histogram histogram;
  histogram.observe(std::chrono::seconds(60));
  EXPECT_EQ(Histogram::quantile_of(histogram.snapshot(), 0.5), 5.0);
}

TEST(Metrics, EveryLineIsACommentOrASample) {
  const std::string text = Metrics().render();
  ASSERT_TRUE(text.ends_with('\n'));
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("# HELP ") || line.starts_with("# TYPE ")) continue;
    EXPECT_EQ(line.substr(line.find(' ')), " 0") << line;
  }
}

}  // namespace
}  // namespace mpr
