#include "ops/activity.hpp"

namespace mpr {

namespace {

Histogram::Snapshot difference(const Histogram::Snapshot& newer, const Histogram::Snapshot& older) {
  Histogram::Snapshot out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = newer[i] - older[i];
  return out;
}

}  // namespace

void Activity::sample(SteadyPoint now) {
  samples_.push_back({.at = now,
                      .added = metrics_.messages_added.value(),
                      .delivered = metrics_.messages_delivered.value(),
                      .acknowledged = metrics_.messages_acknowledged.value(),
                      .calls = metrics_.calls.value(),
                      .failed = metrics_.calls_failed.value(),
                      .call_seconds = metrics_.call_seconds.snapshot(),
                      .commit_seconds = metrics_.store_commit_seconds.snapshot()});
  while (samples_.size() > 2 && now - samples_.front().at > kWindow) samples_.pop_front();
}

Activity::Recent Activity::recent() const {
  if (samples_.size() < 2) return {};
  const Sample& old = samples_.front();
  const Sample& now = samples_.back();
  const double seconds = std::chrono::duration<double>(now.at - old.at).count();
  if (seconds <= 0) return {};
  const auto rate = [&](std::uint64_t newer, std::uint64_t older) {
    return static_cast<double>(newer - older) / seconds;
  };
  const auto calls = difference(now.call_seconds, old.call_seconds);
  const auto commits = difference(now.commit_seconds, old.commit_seconds);
  return {.added = rate(now.added, old.added),
          .delivered = rate(now.delivered, old.delivered),
          .acknowledged = rate(now.acknowledged, old.acknowledged),
          .calls = rate(now.calls, old.calls),
          .failed = rate(now.failed, old.failed),
          .call_p50 = Histogram::quantile_of(calls, 0.50),
          .call_p99 = Histogram::quantile_of(calls, 0.99),
          .commit_p50 = Histogram::quantile_of(commits, 0.50),
          .commit_p99 = Histogram::quantile_of(commits, 0.99)};
}

}  // namespace mpr
