// The scenario "depth": one caller takes the ten oldest messages of one queue and acknowledges
// them, while the queue stays at its depth; then the same with a byte limit, and at last one call
// that acknowledges up to 10,000 messages.

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <deque>

#include "client/call_and_wait.hpp"
#include "tools/bench/delivered.hpp"
#include "tools/bench/fleet.hpp"
#include "tools/bench/latency_histogram.hpp"
#include "tools/bench/request_text.hpp"
#include "tools/bench/scenarios.hpp"

namespace mpr::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint64_t kTaken = 10;
constexpr std::uint64_t kAcknowledgedAtOnce = 10'000;
constexpr std::chrono::seconds kPatience{300};

class DepthLoad {
 public:
  DepthLoad(const Options& options, const Target& target)
      : options_(options),
        target_(target),
        report_("depth", "depth " + std::to_string(options.depth) + ", " +
                             std::to_string(options.bytes) + " bytes, one caller"),
        fleet_(io_, target.token()),
        names_(make_run_tag()),
        add_params_(names_, options.bytes),
        payload_(options.bytes) {}

  Report run() {
    const Result<void> done = measure();
    if (!done) report_.fail(done.error().context);
    return report_;
  }

 private:
  Result<void> measure() {
    Result<void> done = fleet_.connect(target_.url(), 1);
    if (done) done = add(options_.depth);
    if (done) done = measure_cycles("take_acknowledge", R"(,"limit":10})");
    const std::string byte_limit = std::to_string(kTaken * options_.bytes);
    if (done) {
      done = measure_cycles("take_acknowledge_with_byte_limit",
                            R"(,"limit":1000,"limitBytes":)" + byte_limit + "}");
    }
    if (done && options_.depth >= kAcknowledgedAtOnce) done = acknowledge_many();
    if (done) done = expect_depth(expected_.size());
    if (!done) return done;
    const auto removed = call("removeAllMessages", connection() + "}");
    return removed ? Result<void>{} : std::unexpected(removed.error());
  }

  std::string connection() const { return R"({"connectionId":")" + names_.name(0) + "\""; }

  Result<std::string> call(std::string_view method, const std::string& params) {
    return client::call_and_wait(io_, fleet_[0], method, params, kPatience);
  }

  // Adds messages, many at a time, and remembers their ids in the order of the queue.
  Result<void> add(std::uint64_t count) {
    const std::uint64_t first = next_;
    const std::size_t before = expected_.size();
    expected_.resize(before + count);
    next_ += count;
    return run_calls(
        fleet_,
        {.method = "addMessage",
         .count = count,
         .params = [&](std::uint64_t number) { return add_params_.patch(0, first + number); },
         .check = [&](std::uint64_t number, std::string_view result) -> Result<void> {
           const auto id = read_message_id(result);
           if (!id) return fail(Errc::internal, "addMessage answered " + std::string(result));
           expected_[before + number] = *id;
           return {};
         }},
        kPatience);
  }

  // Cycles for the time asked for. Only taking and acknowledging is timed, refilling is not.
  Result<void> measure_cycles(std::string_view name, const std::string& limits) {
    LatencyHistogram takes;
    LatencyHistogram cycles;
    const std::string take_params = connection() + limits;
    const auto begin = Clock::now() + std::chrono::seconds(options_.warmup_seconds);
    const auto end = begin + std::chrono::seconds(options_.seconds);
    while (Clock::now() < end) {
      const Clock::time_point started = Clock::now();
      const auto taken = call("takeFromQueue", take_params);
      if (!taken) return std::unexpected(taken.error());
      const Clock::time_point answered = Clock::now();
      const auto removed = call("removeMessages", acknowledgement_of(kTaken));
      if (!removed) return std::unexpected(removed.error());
      const Clock::time_point ended = Clock::now();
      if (started >= begin) {
        takes.record(answered - started);
        cycles.record(ended - started);
      }
      Result<void> right = check_taken(*taken);
      if (right) right = expect_true(0, *removed);
      if (!right) return right;
      expected_.erase(expected_.begin(), expected_.begin() + kTaken);
      const Result<void> refilled = add(kTaken);
      if (!refilled) return refilled;
    }
    report_.add(std::string(name) + "_per_second",
                cycles.count() == 0 ? 0 : 1.0 / cycles.mean_seconds());
    report_.add_latencies(std::string(name), cycles);
    report_.add_latencies(std::string(name) + "_take_alone", takes);
    return {};
  }

  std::string acknowledgement_of(std::uint64_t count) const {
    std::string params = connection() + R"(,"messageIds":[)";
    for (std::uint64_t i = 0; i < count; ++i) {
      params += (i == 0 ? "\"" : ",\"") + expected_[i] + "\"";
    }
    return params + "]}";
  }

  // The ten oldest, in order, unchanged: nothing else is right.
  Result<void> check_taken(std::string_view result) {
    const Result<void> read = read_messages(result, options_.bytes, taken_);
    if (!read) return read;
    if (taken_.size() != kTaken) {
      return fail(Errc::internal, "took " + std::to_string(taken_.size()) + " messages, not 10");
    }
    for (std::size_t i = 0; i < taken_.size(); ++i) {
      if (taken_[i].id != expected_[i]) return fail(Errc::internal, "took messages out of order");
      if (!payload_.sequence_of(taken_[i].payload)) {
        return fail(Errc::internal, "a payload came back changed");
      }
    }
    return {};
  }

  Result<void> acknowledge_many() {
    const std::string params = acknowledgement_of(kAcknowledgedAtOnce);
    const Clock::time_point started = Clock::now();
    const auto removed = call("removeMessages", params);
    if (!removed) return std::unexpected(removed.error());
    report_.add("acknowledge_10000_in_one_call_ms",
                std::chrono::duration<double, std::milli>(Clock::now() - started).count());
    expected_.erase(expected_.begin(), expected_.begin() + kAcknowledgedAtOnce);
    return expect_true(0, *removed);
  }

  Result<void> expect_depth(std::uint64_t depth) {
    const auto count = call("getAvailableMessageCount", connection() + "}");
    if (!count) return std::unexpected(count.error());
    if (*count == std::to_string(depth)) return {};
    return fail(Errc::internal,
                "the queue holds " + *count + " messages, not " + std::to_string(depth));
  }

  const Options& options_;
  const Target& target_;
  Report report_;
  boost::asio::io_context io_{1};
  Fleet fleet_;
  const ConnectionNames names_;
  AddParams add_params_;
  const PayloadText payload_;
  std::vector<DeliveredMessage> taken_;
  std::deque<std::string> expected_;  // ids in the queue, oldest first
  std::uint64_t next_ = 0;
};

}  // namespace

Report run_depth(const Options& options, const Target& target) {
  return DepthLoad(options, target).run();
}

}  // namespace mpr::bench
