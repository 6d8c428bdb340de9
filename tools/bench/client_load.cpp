// The scenario "client": what "cycle" does, but through mpr::client::Client, as programs do it. It
// measures the client as much as the gateway: beside "cycle" it says what the client costs.

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <mpr/client.hpp>
#include <unordered_map>
#include <vector>

#include "tools/bench/latency_histogram.hpp"
#include "tools/bench/phased_run.hpp"
#include "tools/bench/request_text.hpp"
#include "tools/bench/scenarios.hpp"
#include "tools/outcome.hpp"

namespace mpr::bench {
namespace {

using client::Client;
using client::Done;
using client::Outcome;
using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{30};
constexpr std::uint64_t kAtOnce = 256;  // calls about connections before and after the run

std::string setting_of(const Options& options) {
  const std::string clients = std::to_string(options.sockets);
  return clients + " senders, " + clients + " receivers, " + std::to_string(options.in_flight) +
         " in flight, " + std::to_string(options.bytes) + " bytes, " +
         std::to_string(options.connections) + " connections";
}

// A message on its way.
struct Passage {
  Clock::time_point sent;
  std::uint64_t connection = 0;
  bool answered = false;
  bool delivered = false;
  bool acknowledged = false;
};

class ClientLoad {
 public:
  ClientLoad(const Options& options, const Target& target)
      : options_(options),
        target_(target),
        report_("client", setting_of(options)),
        phases_(io_, options, target),
        names_(make_run_tag()),
        payload_(options.bytes),
        last_delivered_(options.connections) {}

  Report run() {
    const Result<void> ready = prepare();
    if (!ready) {
      report_.fail(ready.error().context);
      return report_;
    }
    for (std::uint64_t i = 0; i < options_.in_flight; ++i) add(i % senders_.size());
    phases_.run([this] { return passages_.empty(); });
    conclude();
    return report_;
  }

 private:
  using Clients = std::vector<std::unique_ptr<Client>>;
  struct Batch {
    std::uint64_t unanswered = 0;
    Outcome<void> outcome;
    Done<void> finish;
  };

  Result<void> prepare() {
    for (std::uint64_t i = 0; i < options_.sockets; ++i) {
      Result<void> done = connect(senders_, target_.address());
      if (done) done = connect(receivers_, target_.receiver_address());
      if (!done) return done;
    }
    return ask_all<bool>(true, "a live session was replaced",
                         [this](std::uint64_t connection, Done<bool> done) {
                           receivers_[connection % receivers_.size()]->add_live_session(
                               names_.name(connection), "bench-session", std::move(done));
                         });
  }

  // Makes a call about each connection, many at a time; all have to answer `expected`.
  template <class T, class Ask>
  Result<void> ask_all(T expected, std::string_view wrong, Ask ask) {
    for (std::uint64_t first = 0; first < options_.connections; first += kAtOnce) {
      const std::uint64_t end = std::min(first + kAtOnce, options_.connections);
      const Result<void> done = outcome_of<void>(io_, [&](Done<void> finish) {
        const auto batch = std::make_shared<Batch>();
        batch->unanswered = end - first;
        batch->finish = std::move(finish);
        for (std::uint64_t connection = first; connection < end; ++connection) {
          ask(connection, [this, batch, expected, wrong](Outcome<T> got) {
            if (!got) batch->outcome = std::unexpected(got.error());
            if (got && *got != expected) report_.fail(wrong);
            if (--batch->unanswered == 0) batch->finish(std::move(batch->outcome));
          });
        }
      });
      if (!done) return done;
    }
    return {};
  }

  Result<void> connect(Clients& clients, const std::string& address) {
    client::ClientOptions options;
    options.urls = {address};
    options.token = target_.token();
    // A slow answer is measured, not asked for again.
    options.call_timeout = options.total_timeout = kPatience;
    options.heartbeat = kPatience;
    const std::size_t index = clients.size();
    Client& made = *clients.emplace_back(std::make_unique<Client>(io_, std::move(options)));
    made.on_event([this, index](client::ServerEvent event) { received(index, std::move(event)); });
    // Nothing is to be repeated while it is measured, and no connection lost.
    made.on_log([this](client::LogLevel level, std::string_view sentence) {
      if (level != client::LogLevel::info) report_.fail(sentence);
    });
    return outcome_of<void>(io_, [&](Done<void> done) { made.connect(std::move(done)); });
  }

  // One sender serves a connection, so the order in which its messages are sent is the order in
  // which they have to arrive.
  void add(std::size_t sender) {
    const std::uint64_t sequence = ++next_;
    const std::uint64_t per_sender = options_.connections / senders_.size();
    const std::uint64_t turn = sequence / senders_.size();
    const std::uint64_t connection = sender + senders_.size() * (turn % per_sender);
    payload_.set_sequence(sequence);
    client::NewMessage message;
    message.connection_id = names_.name(connection);
    message.recipient_dids = {"did:key:bench"};
    message.payload = payload_.text();
    passages_[sequence] = {.sent = Clock::now(), .connection = connection};
    senders_[sender]->add_message(std::move(message),
                                  [this, sequence](const Outcome<client::AddedMessage>& added) {
                                    if (!added) report_.fail(added.error().text());
                                    advance(sequence, &Passage::answered);
                                  });
  }

  // Notes a step of a message; when it was the last one, the next message takes its place.
  void advance(std::uint64_t sequence, bool Passage::* step) {
    const auto found = passages_.find(sequence);
    if (found == passages_.end()) return;
    Passage& passage = found->second;
    passage.*step = true;
    if (!passage.answered || !passage.acknowledged) return;
    const std::size_t sender = passage.connection % senders_.size();
    passages_.erase(found);
    if (phases_.measuring()) ++through_;
    if (phases_.issuing()) add(sender);
  }

  void received(std::size_t receiver, client::ServerEvent event) {
    const auto* batch = std::get_if<client::MessagesReceived>(&event);
    if (!batch) return report_.fail("an event that is not messagesReceived");
    const auto connection = names_.number_of(batch->connection_id);
    if (!connection || *connection % receivers_.size() != receiver) {
      return report_.fail("an event for a connection that this client does not hold");
    }
    std::vector<std::string> ids;
    std::vector<std::uint64_t> sequences;
    for (const client::QueuedMessage& message : batch->messages) {
      const auto sequence = payload_.sequence_of(message.payload);
      if (!sequence) {
        report_.fail("a payload came back changed");
      } else if (note_delivery(*connection, *sequence)) {
        ids.push_back(message.id);
        sequences.push_back(*sequence);
      }
    }
    if (ids.empty()) return;
    receivers_[receiver]->acknowledge(
        batch->connection_id, std::move(ids),
        [this, sequences = std::move(sequences)](const Outcome<client::Acknowledgement>& answer) {
          if (!answer) report_.fail(answer.error().text());
          if (answer && answer->removed != sequences.size()) {
            report_.fail("a message was not there to be acknowledged");
          }
          for (const std::uint64_t sequence : sequences) {
            advance(sequence, &Passage::acknowledged);
          }
        });
  }

  // False: a message that came before, which is counted as a failure.
  bool note_delivery(std::uint64_t connection, std::uint64_t sequence) {
    const auto found = passages_.find(sequence);
    if (found == passages_.end() || found->second.delivered) {
      report_.fail("a message was delivered again");
      return false;
    }
    if (found->second.connection != connection) {
      report_.fail("a message was delivered under another connection");
    }
    if (last_delivered_[connection] > sequence) {
      report_.fail("a message was overtaken by a later one of its connection");
    }
    last_delivered_[connection] = sequence;
    found->second.delivered = true;
    if (phases_.measuring()) latencies_.record(Clock::now() - found->second.sent);
    return true;
  }

  void conclude() {
    const auto missing = std::ranges::count_if(
        passages_, [](const auto& passage) { return !passage.second.delivered; });
    report_.fail(static_cast<std::uint64_t>(missing), "messages were never delivered");
    report_.fail(passages_.size() - static_cast<std::uint64_t>(missing),
                 "messages were delivered, but a call about them was not answered");
    report_.add("cycles", static_cast<double>(through_));
    phases_.stopwatch().add_rates(report_, "cycles", through_);
    report_.add_latencies("add_to_event", latencies_);
    if (report_.failure_count() == 0) expect_empty_queues();
    for (const auto& receiver : receivers_) {
      const Result<void> closed = outcome_of<void>(io_, [&](Done<void> done) {
        receiver->close([then = std::move(done)]() mutable { then({}); });
      });
      if (!closed) report_.fail(closed.error().context);
    }
  }

  void expect_empty_queues() {
    const Result<void> done = ask_all<std::uint64_t>(
        0, "a queue still holds messages",
        [this](std::uint64_t connection, Done<std::uint64_t> answered) {
          client::QueueSelection all;
          all.connection_id = names_.name(connection);
          senders_.front()->available_message_count(std::move(all), std::move(answered));
        });
    if (!done) report_.fail(done.error().context);
  }

  const Options& options_;
  const Target& target_;
  Report report_;
  boost::asio::io_context io_{1};
  PhasedRun phases_;
  const ConnectionNames names_;
  PayloadText payload_;
  Clients senders_;
  Clients receivers_;
  std::unordered_map<std::uint64_t, Passage> passages_;  // by sequence number
  std::vector<std::uint64_t> last_delivered_;            // by connection
  LatencyHistogram latencies_;
  std::uint64_t next_ = 0;
  std::uint64_t through_ = 0;
};

}  // namespace

Report run_client(const Options& options, const Target& target) {
  Options even = options;
  const std::uint64_t each = std::max<std::uint64_t>(options.connections / options.sockets, 1);
  even.connections = each * options.sockets;
  return ClientLoad(even, target).run();
}

}  // namespace mpr::bench
