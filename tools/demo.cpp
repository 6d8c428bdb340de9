#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <iostream>
#include <mpr/client.hpp>
#include <vector>

#include "tools/bench/request_text.hpp"
#include "tools/bench/scenarios.hpp"
#include "tools/bench/target.hpp"
#include "tools/commands.hpp"
#include "tools/outcome.hpp"

namespace mpr {
namespace {

using client::Client;
using client::Done;
constexpr std::chrono::milliseconds kPatience{5000};
constexpr std::size_t kPayloadBytes = 120;

client::ClientOptions options_for(const bench::Target& target) {
  client::ClientOptions options;
  options.urls = {target.address()};
  options.token = target.token();
  options.total_timeout = kPatience;
  return options;
}

// --- what is shown of an answer -----------------------------------------------------------------

// The middle of a payload says nothing.
std::string text_of(const client::QueuedMessage& message) {
  constexpr std::size_t kShown = 40;
  return message.id + " " + message.payload.substr(0, kShown) + "...";
}
std::string text_of(bool answer) { return answer ? "true" : "false"; }
std::string text_of(std::uint64_t answer) { return std::to_string(answer); }
std::string text_of(const client::AddedMessage& added) { return "kept as " + added.message_id; }
std::string text_of(const client::Acknowledgement& answer) {
  return std::to_string(answer.removed) + " removed, " + std::to_string(answer.remaining) + " left";
}
std::string text_of(const std::vector<client::QueuedMessage>& messages) {
  std::string text =
      std::to_string(messages.size()) + (messages.size() == 1 ? " message" : " messages");
  for (const auto& message : messages) text += "\n        " + text_of(message);
  return text;
}

class Demo {
 public:
  explicit Demo(const bench::Target& target)
      : target_(target),
        connection_("demo-" + bench::make_run_tag()),
        mediator_(io_, options_for(target)),
        sender_(io_, options_for(target)) {}

  Result<void> run() {
    Result<void> done = connect();
    if (done) done = live_delivery();
    if (done) done = acknowledge_live();
    if (done) done = offline_queue();
    return done;
  }

 private:
  // --- the story --------------------------------------------------------------------------------

  Result<void> connect() {
    std::cout << "Gateway at " << target_.url().host << ":" << target_.url().port
              << ". Two clients connect: M, the mediator instance that holds a phone's WebSocket,\n"
              << "and S, another instance that receives mail for that phone.\n";
    mediator_.on_event([this](client::ServerEvent event) { received(std::move(event)); });
    for (Client* client : {&mediator_, &sender_}) {
      const Result<void> connected =
          outcome_of<void>(io_, [&](Done<void> done) { client->connect(std::move(done)); });
      if (!connected) return connected;
    }
    return {};
  }

  Result<void> live_delivery() {
    headline("The phone is online: M opens a live session for " + connection_ + ".");
    const auto opened = call<bool>("M -> addLiveSession", [this](Done<bool> done) {
      mediator_.add_live_session(connection_, "demo-session", std::move(done));
    });
    if (!opened) return std::unexpected(opened.error());
    headline("Mail arrives at S. Each message comes to M at once, as an event.");
    return add_messages(3, 3);
  }

  Result<void> acknowledge_live() {
    headline("The phone has the messages: M acknowledges, and nothing is left.");
    const Result<void> removed = acknowledge();
    return removed ? expect_count(0) : removed;
  }

  Result<void> offline_queue() {
    headline("The phone goes offline: its mail waits in the queue.");
    const auto closed = call<bool>("M -> removeLiveSession", [this](Done<bool> done) {
      mediator_.remove_live_session(connection_, std::nullopt, std::move(done));
    });
    if (!closed) return std::unexpected(closed.error());
    Result<void> done = add_messages(2, 0);
    if (done) done = expect_count(2);
    if (done) done = take();
    if (done) done = expect_count(2);
    if (done) done = acknowledge();
    return done ? expect_count(0) : done;
  }

  // --- its steps --------------------------------------------------------------------------------

  void headline(std::string_view text) { std::cout << "\n" << ++step_ << ". " << text << "\n"; }

  // Shows a call and its answer.
  template <class T, class Start>
  Result<T> call(std::string_view what, Start start) {
    std::cout << "   " << what << "\n";
    auto answer = outcome_of<T>(io_, std::move(start));
    if (answer) std::cout << "   " << what[0] << " <- " << text_of(*answer) << "\n";
    return answer;
  }

  // S adds messages one by one; returns when as many events as expected came back to M.
  Result<void> add_messages(std::uint64_t count, std::size_t events) {
    for (std::uint64_t i = 0; i < count; ++i) {
      bench::PayloadText payload(kPayloadBytes);
      payload.set_sequence(++sequence_);
      client::NewMessage message;
      message.connection_id = connection_;
      message.recipient_dids = {"did:key:demo"};
      message.payload = payload.text();
      added_at_ = std::chrono::steady_clock::now();
      const auto added =
          call<client::AddedMessage>("S -> addMessage", [&](Done<client::AddedMessage> done) {
            sender_.add_message(std::move(message), std::move(done));
          });
      if (!added) return std::unexpected(added.error());
      const auto until = added_at_ + kPatience;
      while (events > 0 && ids_.size() <= i && io_.run_one_until(until) > 0) {
      }
    }
    if (ids_.size() == events) return {};
    return fail(Errc::internal, "events for " + std::to_string(ids_.size()) +
                                    " messages came, not " + std::to_string(events));
  }

  void received(client::ServerEvent event) {
    const auto* received = std::get_if<client::MessagesReceived>(&event);
    if (!received) return;
    const std::chrono::duration<double, std::milli> waited =
        std::chrono::steady_clock::now() - added_at_;
    for (const client::QueuedMessage& message : received->messages) ids_.push_back(message.id);
    std::cout << "   M <- event messagesReceived: " << text_of(received->messages) << "\n"
              << "      (" << waited.count() << " ms after S sent it)\n";
  }

  Result<void> take() {
    headline("The phone is back and asks for its mail: oldest first, kept until acknowledged.");
    using Messages = std::vector<client::QueuedMessage>;
    const auto taken = call<Messages>("M -> takeFromQueue", [this](Done<Messages> done) {
      client::TakeRequest request;
      request.connection_id = connection_;
      request.limit = 10;
      mediator_.take_from_queue(std::move(request), std::move(done));
    });
    if (!taken) return std::unexpected(taken.error());
    for (const client::QueuedMessage& message : *taken) ids_.push_back(message.id);
    if (ids_.size() == 2) return {};
    return fail(Errc::internal, "took another number of messages than two");
  }

  Result<void> acknowledge() {
    using client::Acknowledgement;
    const auto answer =
        call<Acknowledgement>("M -> acknowledge", [this](Done<Acknowledgement> done) {
          mediator_.acknowledge(connection_, std::exchange(ids_, {}), std::move(done));
        });
    return answer ? Result<void>{} : std::unexpected(answer.error());
  }

  Result<void> expect_count(std::uint64_t count) {
    const auto answer =
        call<std::uint64_t>("M -> getAvailableMessageCount", [this](Done<std::uint64_t> done) {
          client::QueueSelection all;
          all.connection_id = connection_;
          mediator_.available_message_count(std::move(all), std::move(done));
        });
    if (!answer) return std::unexpected(answer.error());
    if (*answer == count) return {};
    return fail(Errc::internal,
                "the count is " + std::to_string(*answer) + ", not " + std::to_string(count));
  }

  const bench::Target& target_;
  const std::string connection_;
  boost::asio::io_context io_{1};
  Client mediator_;
  Client sender_;
  std::vector<std::string> ids_;  // delivered or taken, not acknowledged yet
  std::chrono::steady_clock::time_point added_at_;
  std::uint64_t sequence_ = 0;
  int step_ = 0;
};

constexpr std::string_view kUsage =
    "Usage: mpr demo [--url ws://127.0.0.1:3100 | --start [--backend embedded|memory]]\n\n"
    "Opens a live session, adds messages from a second client and prints what arrives; then the\n"
    "same with an offline queue. --start runs it against a server of its own.\n";

Result<void> show(const bench::Options& options) {
  auto target = bench::Target::open(options);
  if (!target) return std::unexpected(target.error());
  Demo demo(*target);
  const Result<void> shown_all = demo.run();
  const Result<void> closed = target->close();
  return shown_all ? closed : shown_all;
}

}  // namespace

int demo_command(std::span<const std::string> args) {
  const bool asks_help = std::ranges::any_of(
      args, [](const std::string& arg) { return arg == "--help" || arg == "-h"; });
  if (asks_help) {
    std::cout << kUsage;
    return 0;
  }
  const auto options = bench::parse_options(args);
  if (!options || !options->scenario.empty()) {
    std::cerr << "mpr demo: " << (options ? "takes no words" : options.error().context) << "\n\n"
              << kUsage;
    return 2;
  }
  const Result<void> done = show(*options);
  if (!done) {
    std::cerr << "mpr demo: " << done.error().context << std::endl;
    return 1;
  }
  std::cout << "\nAll as promised.\n";
  return 0;
}

}  // namespace mpr
