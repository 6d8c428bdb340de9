#include "pickup/archiver.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/log.hpp"
#include "pickup/archive_round.hpp"

namespace mpr {

namespace {

void report_exception(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    log::error("the archiver failed unexpectedly", {{"what", e.what()}});
  }
}

}  // namespace

Archiver::Archiver(Ports ports, Options options)
    : ports_(ports), options_(options), dice_(options.seed), background_(report_exception) {}

Archiver::~Archiver() = default;

Task<Archiver::PassReport> Archiver::pass(Deadline deadline) {
  PassReport report;
  auto partitions = partitions_in_order();
  std::vector<Task<bool>> workers;
  for (std::size_t i = 0; i < options_.bulks_at_once; ++i) {
    workers.push_back(work(partitions, report, deadline));
  }
  const auto healthy = co_await when_all(std::move(workers));
  const bool all = std::find(healthy.begin(), healthy.end(), false) == healthy.end();
  if (ports_.cold && all && !ends(deadline)) co_await sweep(report);
  co_return report;
}

Task<bool> Archiver::work(std::vector<std::uint32_t>& partitions, PassReport& report,
                          Deadline deadline) {
  while (!partitions.empty() && !ends(deadline)) {
    const auto share = std::min(options_.partitions_at_once, partitions.size());
    const auto begin = partitions.end() - static_cast<std::ptrdiff_t>(share);
    std::vector<std::uint32_t> group(begin, partitions.end());
    partitions.erase(begin, partitions.end());
    Round round(ports_, options_, report, [this, deadline] { return ends(deadline); });
    if (!co_await round.run(std::move(group))) co_return false;
  }
  co_return true;
}

// Another order at each pass, and at each gateway: they seldom meet at a partition, and none of
// them is always the last.
std::vector<std::uint32_t> Archiver::partitions_in_order() {
  std::vector<std::uint32_t> partitions(ports_.hot.partitions());
  std::iota(partitions.begin(), partitions.end(), 0);
  std::shuffle(partitions.begin(), partitions.end(), dice_);
  return partitions;
}

Task<void> Archiver::sweep(PassReport& report) {
  const auto now = ports_.clock.steady_now();
  if (now < next_sweep_) co_return;
  const auto expired = co_await ports_.cold->remove_expired(options_.sweep_messages,
                                                            Deadline::after(options_.call_timeout));
  if (!expired) {
    ++report.failures;
    ports_.metrics.archive_failures.add();
    if (!report.first_failure) report.first_failure = expired.error();
    co_return;
  }
  report.expired = *expired;
  // As long as there are many, with each pass.
  if (*expired < options_.sweep_messages) next_sweep_ = now + options_.sweep_interval;
}

void Archiver::tick() {
  const auto now = ports_.clock.steady_now();
  if (stopping_ || !idle() || now < next_pass_) return;
  next_pass_ = now + options_.interval;
  background_.spawn(pass_in_background());
}

Task<void> Archiver::pass_in_background() {
  plan_next_pass(co_await pass(Deadline::after(options_.pass_time)));
}

// How old the messages are is known of those that were claimed. While nothing can be, what was
// overdue stays so.
void Archiver::note_lag(const PassReport& report) {
  const auto now = ports_.clock.steady_now();
  std::chrono::milliseconds lag = report.lag;
  if (ports_.cold && report.stuck && lag_at_) {
    const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now - *lag_at_);
    lag = std::max(lag, lag_ + since);
  }
  lag_ = lag;
  lag_at_ = now;
  ports_.metrics.archive_lag_seconds.set(
      std::chrono::duration_cast<std::chrono::seconds>(lag).count());
}

void Archiver::plan_next_pass(const PassReport& report) {
  note_lag(report);
  const bool was_failing = pause_.count() > 0;
  if (!report.first_failure) {
    if (was_failing) log::info(ports_.cold ? "archiving goes on" : "clearing up goes on");
    pause_ = std::chrono::milliseconds(0);
    return;
  }
  if (!was_failing) {
    log::warn(ports_.cold ? "archiving fails; messages stay in the hot tier until it succeeds"
                          : "clearing up after empty queues fails; it is tried again",
              {{"reason", report.first_failure->context}});
  }
  pause_ = std::clamp(2 * pause_, options_.shortest_pause, options_.longest_pause);
  // Up to half of it more, so that gateways do not come back together.
  const auto more =
      static_cast<std::int64_t>(dice_() % static_cast<std::uint64_t>(pause_.count() / 2 + 1));
  const auto at = ports_.clock.steady_now() + pause_ + std::chrono::milliseconds(more);
  next_pass_ = std::max(next_pass_, at);
}

}  // namespace mpr
