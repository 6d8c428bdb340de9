#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <iostream>
#include <vector>

#include "client/call_and_wait.hpp"
#include "tools/bench/delivered.hpp"
#include "tools/bench/request_text.hpp"
#include "tools/bench/scenarios.hpp"
#include "tools/bench/target.hpp"
#include "tools/commands.hpp"

namespace mpr {
namespace {

using client::RpcClient;
constexpr std::chrono::milliseconds kPatience{2000};
constexpr std::size_t kPayloadBytes = 120;
constexpr std::size_t kShownBytes = 150;

// Long texts are cut in the middle, where the payload is.
std::string shown(std::string_view text) {
  if (text.size() <= kShownBytes) return std::string(text);
  constexpr std::size_t kTail = 50;
  return std::string(text.substr(0, kShownBytes - kTail)) + " ... " +
         std::string(text.substr(text.size() - kTail));
}

class Demo {
 public:
  explicit Demo(const bench::Target& target)
      : target_(target),
        connection_("demo-" + bench::make_run_tag()),
        mediator_(io_, {.bearer_token = target.token()}),
        sender_(io_, {.bearer_token = target.token()}) {}

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
    mediator_.on_event([this](const client::Event& event) { received(event); });
    const Result<void> first = client::connect_and_wait(io_, mediator_, target_.url(), kPatience);
    if (!first) return first;
    return client::connect_and_wait(io_, sender_, target_.url(), kPatience);
  }

  Result<void> live_delivery() {
    headline("The phone is online: M opens a live session and subscribes to events.");
    auto answer = call("M", mediator_, "rpc.on", R"(["messagesReceived"])");
    if (!answer) return std::unexpected(answer.error());
    answer = call("M", mediator_, "addLiveSession",
                  "{" + connection() + R"(,"sessionId":"demo-session"})");
    if (!answer) return std::unexpected(answer.error());
    headline("Mail arrives at S. Each message comes to M at once, as an event.");
    return add_messages(3, 3);
  }

  Result<void> acknowledge_live() {
    headline("The phone has the messages: M acknowledges, and nothing is left.");
    const Result<void> removed = acknowledge();
    return removed ? expect_count("0") : removed;
  }

  Result<void> offline_queue() {
    headline("The phone goes offline: its mail waits in the queue.");
    auto answer = call("M", mediator_, "removeLiveSession", "{" + connection() + "}");
    if (!answer) return std::unexpected(answer.error());
    Result<void> done = add_messages(2, 0);
    if (done) done = expect_count("2");
    if (!done) return done;
    headline("The phone is back and asks for its mail: oldest first, kept until acknowledged.");
    answer = call("M", mediator_, "takeFromQueue", "{" + connection() + R"(,"limit":10})");
    if (!answer) return std::unexpected(answer.error());
    std::vector<bench::DeliveredMessage> taken;
    done = bench::read_messages(*answer, kPayloadBytes, taken);
    if (!done) return done;
    for (const bench::DeliveredMessage& message : taken) ids_.emplace_back(message.id);
    if (ids_.size() != 2) return fail(Errc::internal, "took another number of messages than two");
    done = expect_count("2");
    if (done) done = acknowledge();
    return done ? expect_count("0") : done;
  }

  // --- its steps --------------------------------------------------------------------------------

  void headline(std::string_view text) { std::cout << "\n" << ++step_ << ". " << text << "\n"; }

  std::string connection() const { return R"("connectionId":")" + connection_ + "\""; }

  Result<std::string> call(std::string_view who, RpcClient& from, std::string_view method,
                           const std::string& params) {
    std::cout << "   " << who << " -> " << method << " " << shown(params) << "\n";
    auto answer = client::call_and_wait(io_, from, method, params, kPatience);
    if (answer) std::cout << "   " << who << " <- " << shown(*answer) << "\n";
    return answer;
  }

  // S adds messages one by one; returns when as many events as expected came back to M.
  Result<void> add_messages(std::uint64_t count, std::size_t events) {
    for (std::uint64_t i = 0; i < count; ++i) {
      bench::PayloadText payload(kPayloadBytes);
      payload.set_sequence(++sequence_);
      added_at_ = std::chrono::steady_clock::now();
      const auto answer =
          call("S", sender_, "addMessage",
               "{" + connection() + R"(,"recipientDids":["did:key:demo"],"payload":)" +
                   std::string(payload.text()) + "}");
      if (!answer) return std::unexpected(answer.error());
      const auto until = added_at_ + kPatience;
      while (events > 0 && ids_.size() <= i && io_.run_one_until(until) > 0) {
      }
    }
    if (ids_.size() == events) return {};
    return fail(Errc::internal, "events for " + std::to_string(ids_.size()) +
                                    " messages came, not " + std::to_string(events));
  }

  void received(const client::Event& event) {
    bench::DeliveredBatch batch;
    if (!bench::read_event(event.params, kPayloadBytes, batch)) return;
    const std::chrono::duration<double, std::milli> waited =
        std::chrono::steady_clock::now() - added_at_;
    for (const bench::DeliveredMessage& message : batch.messages) ids_.emplace_back(message.id);
    std::cout << "   M <- event " << event.method << " " << shown(event.params) << "\n"
              << "      (" << waited.count() << " ms after S sent it)\n";
  }

  Result<void> acknowledge() {
    std::string params = "{" + connection() + R"(,"messageIds":[)";
    for (std::size_t i = 0; i < ids_.size(); ++i) params += (i ? ",\"" : "\"") + ids_[i] + "\"";
    ids_.clear();
    const auto answer = call("M", mediator_, "removeMessages", params + "]}");
    return answer ? Result<void>{} : std::unexpected(answer.error());
  }

  Result<void> expect_count(std::string_view count) {
    const auto answer = call("M", mediator_, "getAvailableMessageCount", "{" + connection() + "}");
    if (!answer) return std::unexpected(answer.error());
    if (*answer == count) return {};
    return fail(Errc::internal, "the count is " + *answer + ", not " + std::string(count));
  }

  const bench::Target& target_;
  const std::string connection_;
  boost::asio::io_context io_{1};
  RpcClient mediator_;
  RpcClient sender_;
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
