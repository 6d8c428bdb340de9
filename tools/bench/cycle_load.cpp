// The scenarios "cycle" and "latency": senders add messages to connections whose live sessions
// other sockets hold; those receive the events and acknowledge. Every message is followed from its
// addMessage to the answer of its removeMessages, so that one that is lost, delivered twice,
// changed or overtaken by a later one of its connection is found.

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <vector>

#include "tools/bench/delivered.hpp"
#include "tools/bench/fleet.hpp"
#include "tools/bench/latency_histogram.hpp"
#include "tools/bench/phased_run.hpp"
#include "tools/bench/request_text.hpp"
#include "tools/bench/scenarios.hpp"

namespace mpr::bench {
namespace {

using Clock = std::chrono::steady_clock;

enum class Pace {
  window,  // a new message when one is through
  rate,    // messages at fixed times, whatever became of the earlier ones
};

std::string setting_of(const Options& options, Pace pace) {
  const std::string sockets = std::to_string(options.sockets);
  return sockets + " senders, " + sockets + " receivers, " +
         (pace == Pace::rate ? std::to_string(options.rate) + " messages/s, "
                             : std::to_string(options.in_flight) + " in flight, ") +
         std::to_string(options.bytes) + " bytes, " + std::to_string(options.connections) +
         " connections";
}

// A message on its way.
struct Passage {
  std::uint64_t sequence = 0;
  Clock::time_point due;  // when it was to be sent; latencies count from here
  std::uint32_t connection = 0;
  bool in_use = false;
  bool answered = false;
  bool delivered = false;
  bool acknowledged = false;
};

class CycleLoad {
 public:
  CycleLoad(const Options& options, const Target& target, Pace pace)
      : options_(options),
        target_(target),
        pace_(pace),
        report_(pace == Pace::rate ? "latency" : "cycle", setting_of(options, pace)),
        senders_(io_, target.token()),
        receivers_(io_, target.token()),
        phases_(io_, options, target),
        pacer_(io_),
        names_(make_run_tag()),
        params_(names_, options.bytes),
        payload_(options.bytes),
        passages_(kPassages),
        last_delivered_(options.connections) {}

  Report run() {
    const Result<void> ready = prepare();
    if (!ready) {
      report_.fail(ready.error().context);
      return report_;
    }
    if (pace_ == Pace::rate) {
      period_ = std::chrono::nanoseconds(std::chrono::seconds(1)) / options_.rate;
      next_due_ = Clock::now() + period_;
      wait_for_due();
    } else {
      for (std::uint64_t i = 0; i < options_.in_flight; ++i) add(i % senders_.size(), Clock::now());
    }
    phases_.run([this] { return open_ == 0; });
    pacer_.cancel();
    conclude();
    return report_;
  }

 private:
  // More than are ever under way; a power of two.
  static constexpr std::size_t kPassages = std::size_t{1} << 18;
  static constexpr std::chrono::microseconds kSpin{150};

  Result<void> prepare() {
    Result<void> done = senders_.connect(target_.url(), options_.sockets);
    if (done) done = receivers_.connect(target_.receiver_url(), options_.sockets);
    if (!done) return done;
    for (std::size_t i = 0; i < receivers_.size(); ++i) {
      receivers_[i].on_event([this, i](const client::Event& event) { received(i, event); });
    }
    ConnectionParams open(names_, R"(,"sessionId":"bench-session")");
    return run_calls(receivers_,
                     {.method = "addLiveSession",
                      .count = options_.connections,
                      .params = [&](std::uint64_t number) { return open.patch(number); },
                      .check = expect_true},
                     std::chrono::seconds(120));
  }

  // --- sending ----------------------------------------------------------------------------------

  // Timers wake a thread some 50 us late, so this one is set early and the rest is spun away.
  void wait_for_due() {
    pacer_.expires_at(next_due_ - kSpin);
    pacer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) add_when_due();
    });
  }

  void add_when_due() {
    if (!phases_.issuing()) return;
    const Clock::time_point now = Clock::now();
    if (now < next_due_) return boost::asio::post(io_, [this] { add_when_due(); });
    for (; next_due_ <= now; next_due_ += period_) {
      if (phases_.measuring()) lateness_.record(now - next_due_);
      add(next_ % senders_.size(), next_due_);
    }
    wait_for_due();
  }

  // One sender serves a connection, so the order in which its messages are sent is the order in
  // which they have to arrive.
  void add(std::size_t sender, Clock::time_point due) {
    const std::uint64_t sequence = ++next_;
    Passage& passage = passages_[sequence % kPassages];
    if (passage.in_use) {
      report_.fail("more messages under way than can be followed: the rate is out of reach");
      io_.stop();
      return;
    }
    const std::uint64_t turn = sequence / senders_.size();
    const std::uint64_t per_sender = options_.connections / senders_.size();
    const std::uint64_t connection = sender + senders_.size() * (turn % per_sender);
    passage = {.sequence = sequence,
               .due = due,
               .connection = static_cast<std::uint32_t>(connection),
               .in_use = true};
    ++open_;
    senders_[sender].call("addMessage", params_.patch(connection, sequence),
                          [this, sequence](const client::Answer& answer) {
                            if (answer.kind != client::Answer::Kind::result) {
                              report_.fail("addMessage: " + std::string(answer.text));
                            }
                            Passage& added = passages_[sequence % kPassages];
                            added.answered = true;
                            end_if_through(added);
                          });
  }

  void end_if_through(Passage& passage) {
    if (!passage.answered || !passage.acknowledged) return;
    passage.in_use = false;
    --open_;
    if (phases_.measuring()) ++through_;
    const std::size_t sender = passage.connection % senders_.size();
    if (pace_ == Pace::window && phases_.issuing()) add(sender, Clock::now());
  }

  // --- receiving --------------------------------------------------------------------------------

  void received(std::size_t receiver, const client::Event& event) {
    if (event.method != "messagesReceived") return;
    const Result<void> read = read_event(event.params, options_.bytes, batch_);
    if (!read) return report_.fail(read.error().context);
    const auto connection = names_.number_of(batch_.connection_id);
    if (!connection || *connection % receivers_.size() != receiver) {
      return report_.fail("an event for a connection that this socket does not hold");
    }
    const Clock::time_point now = Clock::now();
    std::vector<std::uint64_t> sequences;
    acknowledgement_.assign(R"({"connectionId":")");
    acknowledgement_ += batch_.connection_id;
    acknowledgement_ += R"(","messageIds":[)";
    for (const DeliveredMessage& message : batch_.messages) {
      if (!note_delivery(static_cast<std::uint32_t>(*connection), message, now)) continue;
      acknowledgement_ += sequences.empty() ? "\"" : ",\"";
      acknowledgement_ += message.id;
      acknowledgement_ += '"';
      sequences.push_back(payload_.sequence_of(message.payload).value_or(0));
    }
    if (sequences.empty()) return;
    acknowledgement_ += "]}";
    receivers_[receiver].call("removeMessages", acknowledgement_,
                              [this, removed = std::move(sequences)](const client::Answer& answer) {
                                acknowledged(removed, answer);
                              });
  }

  // False: a message that is none of ours or came before, which is counted as a failure.
  bool note_delivery(std::uint32_t connection, const DeliveredMessage& message,
                     Clock::time_point now) {
    const auto sequence = payload_.sequence_of(message.payload);
    if (!sequence) {
      report_.fail("a payload came back changed");
      return false;
    }
    Passage& passage = passages_[*sequence % kPassages];
    if (!passage.in_use || passage.sequence != *sequence || passage.delivered) {
      ++duplicates_;
      return false;
    }
    if (passage.connection != connection) ++misdelivered_;
    if (last_delivered_[connection] > *sequence) ++overtaken_;
    last_delivered_[connection] = *sequence;
    passage.delivered = true;
    if (phases_.measuring()) latencies_.record(now - passage.due);
    return true;
  }

  void acknowledged(const std::vector<std::uint64_t>& sequences, const client::Answer& answer) {
    if (answer.kind != client::Answer::Kind::result || answer.text != "true") {
      report_.fail("removeMessages: " + std::string(answer.text));
    }
    for (const std::uint64_t sequence : sequences) {
      Passage& passage = passages_[sequence % kPassages];
      passage.acknowledged = true;
      end_if_through(passage);
    }
  }

  // --- conclusion -------------------------------------------------------------------------------

  void conclude() {
    for (Fleet* fleet : {&senders_, &receivers_}) {
      const Result<void> intact = fleet->intact();
      if (!intact) report_.fail(intact.error().context);
    }
    std::uint64_t missing = 0;
    for (const Passage& passage : passages_) missing += passage.in_use && !passage.delivered;
    report_.fail(missing, "messages were never delivered");
    report_.fail(open_ - missing,
                 "messages were delivered, but a call about them was not answered");
    report_.fail(duplicates_, "messages were delivered again");
    report_.fail(misdelivered_, "messages were delivered under another connection");
    report_.fail(overtaken_, "messages were overtaken by a later one of their connection");
    report_.add("cycles", static_cast<double>(through_));
    phases_.stopwatch().add_rates(report_, "cycles", through_);
    report_.add_latencies("add_to_event", latencies_);
    if (pace_ == Pace::rate) report_.add_latencies("of_it_sent_late", lateness_);
    if (report_.failure_count() == 0) expect_empty_queues();
  }

  void expect_empty_queues() {
    ConnectionParams params(names_);
    CallPlan plan;
    plan.method = "getAvailableMessageCount";
    plan.count = options_.connections;
    plan.params = [&](std::uint64_t number) { return params.patch(number); };
    plan.check = [&](std::uint64_t, std::string_view result) -> Result<void> {
      if (result == "0") return {};
      return fail(Errc::internal, "a queue still holds " + std::string(result) + " messages");
    };
    Result<void> done = run_calls(receivers_, plan, std::chrono::seconds(60));
    if (!done) return report_.fail(done.error().context);
    plan.method = "removeLiveSession";
    plan.check = expect_true;
    done = run_calls(receivers_, plan, std::chrono::seconds(60));
    if (!done) report_.fail(done.error().context);
  }

  const Options& options_;
  const Target& target_;
  const Pace pace_;
  Report report_;
  boost::asio::io_context io_{1};
  Fleet senders_;
  Fleet receivers_;
  PhasedRun phases_;
  boost::asio::steady_timer pacer_;
  std::chrono::nanoseconds period_{};
  Clock::time_point next_due_;

  const ConnectionNames names_;
  AddParams params_;
  const PayloadText payload_;
  std::string acknowledgement_;
  DeliveredBatch batch_;
  std::vector<Passage> passages_;              // by sequence number, modulo its size
  std::vector<std::uint64_t> last_delivered_;  // by connection

  LatencyHistogram latencies_;
  LatencyHistogram lateness_;
  std::uint64_t next_ = 0;
  std::uint64_t open_ = 0;  // messages under way
  std::uint64_t through_ = 0;
  std::uint64_t duplicates_ = 0;
  std::uint64_t misdelivered_ = 0;
  std::uint64_t overtaken_ = 0;
};

// Each sender and each receiver needs a connection, and all of them equally many.
Options with_even_connections(Options options) {
  const std::uint64_t each = std::max<std::uint64_t>(options.connections / options.sockets, 1);
  options.connections = each * options.sockets;
  return options;
}

}  // namespace

Report run_cycle(const Options& options, const Target& target) {
  const Options even = with_even_connections(options);
  return CycleLoad(even, target, Pace::window).run();
}

Report run_latency(const Options& options, const Target& target) {
  const Options even = with_even_connections(options);
  return CycleLoad(even, target, Pace::rate).run();
}

}  // namespace mpr::bench
