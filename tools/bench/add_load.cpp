// The scenario "add": a closed loop of addMessage calls, a fixed number of them unanswered at a
// time.

#include <algorithm>

#include "tools/bench/delivered.hpp"
#include "tools/bench/fleet.hpp"
#include "tools/bench/latency_histogram.hpp"
#include "tools/bench/phased_run.hpp"
#include "tools/bench/request_text.hpp"
#include "tools/bench/scenarios.hpp"

namespace mpr::bench {
namespace {

using Clock = std::chrono::steady_clock;

std::string setting_of(const Options& options) {
  return std::to_string(options.sockets) + " sockets, " + std::to_string(options.in_flight) +
         " in flight, " + std::to_string(options.bytes) + " bytes, " +
         std::to_string(options.connections) + " connections";
}

class AddLoad {
 public:
  AddLoad(const Options& options, const Target& target)
      : options_(options),
        target_(target),
        report_("add", setting_of(options)),
        fleet_(io_, target.token()),
        phases_(io_, options, target),
        names_(make_run_tag()),
        params_(names_, options.bytes) {}

  Report run() {
    const Result<void> connected = fleet_.connect(target_.url(), options_.sockets);
    if (!connected) {
      report_.fail(connected.error().context);
      return report_;
    }
    for (std::uint64_t i = 0; i < options_.in_flight; ++i) issue(i % fleet_.size());
    phases_.run([this] { return unanswered_ == 0; });
    const Result<void> intact = fleet_.intact();
    if (!intact) report_.fail(intact.error().context);
    report_.fail(unanswered_, "calls were never answered");
    add_figures();
    if (intact) count_and_clean();
    return report_;
  }

 private:
  void issue(std::size_t socket) {
    const std::uint64_t sequence = next_++;
    ++unanswered_;
    const Clock::time_point sent = Clock::now();
    fleet_[socket].call(
        "addMessage", params_.patch(sequence % options_.connections, sequence),
        [this, socket, sent](const client::Answer& answer) { answered(socket, sent, answer); });
  }

  void answered(std::size_t socket, Clock::time_point sent, const client::Answer& answer) {
    --unanswered_;
    if (answer.kind != client::Answer::Kind::result || !read_message_id(answer.text)) {
      report_.fail("addMessage: " + std::string(answer.text));
      return;
    }
    ++accepted_;
    if (phases_.measuring()) latencies_.record(Clock::now() - sent);
    if (phases_.issuing()) issue(socket);
  }

  void add_figures() {
    report_.add("adds", static_cast<double>(latencies_.count()));
    phases_.stopwatch().add_rates(report_, "adds", latencies_.count());
    report_.add_latencies("add", latencies_);
  }

  // What was answered must be there, once: the queues together hold exactly the accepted messages.
  void count_and_clean() {
    std::uint64_t counted = 0;
    ConnectionParams params(names_);
    CallPlan plan;
    plan.method = "getAvailableMessageCount";
    plan.count = std::min(options_.connections, next_);
    plan.params = [&](std::uint64_t number) { return params.patch(number); };
    plan.check = [&](std::uint64_t, std::string_view result) -> Result<void> {
      const auto count = parse_digits(result);
      if (!count) return fail(Errc::internal, "count is no number: " + std::string(result));
      counted += *count;
      return {};
    };
    Result<void> done = run_calls(fleet_, plan, std::chrono::seconds(60));
    if (!done) return report_.fail(done.error().context);
    if (counted < accepted_) report_.fail(accepted_ - counted, "accepted messages are missing");
    if (counted > accepted_) report_.fail(counted - accepted_, "messages more than were accepted");
    plan.method = "removeAllMessages";
    plan.check = expect_true;
    done = run_calls(fleet_, plan, std::chrono::seconds(60));
    if (!done) report_.fail(done.error().context);
  }

  const Options& options_;
  const Target& target_;
  Report report_;
  boost::asio::io_context io_{1};
  Fleet fleet_;
  PhasedRun phases_;
  const ConnectionNames names_;
  AddParams params_;
  LatencyHistogram latencies_;
  std::uint64_t next_ = 0;
  std::uint64_t unanswered_ = 0;
  std::uint64_t accepted_ = 0;
};

}  // namespace

Report run_add(const Options& options, const Target& target) {
  return AddLoad(options, target).run();
}

}  // namespace mpr::bench
