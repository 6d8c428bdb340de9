#include "tools/bench/report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "base/text.hpp"

namespace mpr::bench {
namespace {

constexpr std::size_t kFailureTexts = 10;

double microseconds(std::chrono::nanoseconds duration) {
  return static_cast<double>(duration.count()) / 1e3;
}

// Large figures as whole numbers with separators, small ones with the digits that say something.
std::string readable(double value) {
  std::array<char, 64> buffer{};
  const double size = std::fabs(value);
  const int digits = size >= 1000 || value == std::floor(value) ? 0 : size >= 10 ? 1 : 3;
  std::snprintf(buffer.data(), buffer.size(), "%.*f", digits, value);
  std::string text = buffer.data();
  const std::size_t point = std::min(text.find('.'), text.size());
  const std::size_t first = text.starts_with('-') ? 1 : 0;
  for (std::size_t at = point; at > first + 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string exact(double value) {
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.6g", value);
  if (std::fabs(value) < 1e15 && value == std::floor(value)) {
    std::snprintf(buffer.data(), buffer.size(), "%.0f", value);
  }
  return buffer.data();
}

}  // namespace

void Report::add_latencies(std::string_view name, const LatencyHistogram& latencies) {
  const std::string prefix(name);
  add(prefix + "_p50_us", microseconds(latencies.quantile(0.50)));
  add(prefix + "_p90_us", microseconds(latencies.quantile(0.90)));
  add(prefix + "_p99_us", microseconds(latencies.quantile(0.99)));
  add(prefix + "_max_us", microseconds(latencies.largest()));
}

void Report::fail(std::string_view what) {
  ++failure_count_;
  if (failure_texts_.size() < kFailureTexts) failure_texts_.emplace_back(what);
}

void Report::fail(std::uint64_t count, std::string_view what) {
  if (count == 0) return;
  fail(std::to_string(count) + " " + std::string(what));
  failure_count_ += count - 1;
}

void Report::add_failures_of(const Report& other) {
  const std::uint64_t before = failure_count_;
  for (const std::string& failure : other.failures()) fail(failure);
  failure_count_ = before + other.failure_count();
}

Report median_of(std::span<const Report> runs) {
  Report median(runs.front().scenario(), runs.front().setting());
  for (const Figure& figure : runs.front().figures()) {
    std::vector<double> values;
    for (const Report& run : runs) {
      const auto same = std::ranges::find(run.figures(), figure.name, &Figure::name);
      if (same != run.figures().end()) values.push_back(same->value);
    }
    std::ranges::sort(values);
    median.add(figure.name, values[(values.size() - 1) / 2]);
  }
  for (const Report& run : runs) median.add_failures_of(run);
  return median;
}

std::string to_table(const Report& report) {
  std::string out = report.scenario() + ": " + report.setting() + "\n";
  for (const Figure& figure : report.figures()) {
    std::string line = "  " + figure.name;
    const std::string value = readable(figure.value);
    const std::size_t column = 48;
    line.append(column > line.size() + value.size() ? column - line.size() - value.size() : 1, ' ');
    out += line + value + "\n";
  }
  if (report.failure_count() == 0) return out + "  no failures\n";
  out += "  FAILURES: " + std::to_string(report.failure_count()) + "\n";
  for (const std::string& failure : report.failures()) out += "    " + failure + "\n";
  return out;
}

std::string to_json(const Report& report) {
  std::string out = R"({"scenario":)";
  append_json_string(out, report.scenario());
  out += R"(,"setting":)";
  append_json_string(out, report.setting());
  out += R"(,"figures":{)";
  const char* separator = "";
  for (const Figure& figure : report.figures()) {
    out += separator;
    append_json_string(out, figure.name);
    out += ":" + exact(figure.value);
    separator = ",";
  }
  out += R"(},"failureCount":)" + std::to_string(report.failure_count()) + R"(,"failures":[)";
  separator = "";
  for (const std::string& failure : report.failures()) {
    out += separator;
    append_json_string(out, failure);
    separator = ",";
  }
  return out + "]}";
}

}  // namespace mpr::bench
