#include "rpc/wire.hpp"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/text.hpp"

namespace mpr::rpc {
namespace {

using namespace std::chrono_literals;

const TimePoint kNoon = *parse_iso8601("2026-01-31T12:00:00.000Z");

StoredMessage message(std::string id, std::chrono::milliseconds after_noon, std::string payload) {
  StoredMessage message;
  message.id = MessageId(std::move(id));
  message.received_at = kNoon + after_noon;
  message.payload = make_payload(std::move(payload));
  return message;
}

std::vector<StoredMessage> two_messages() {
  return {message("11111111", 0ms, R"({"protected":"e30", "ciphertext":"é\u00e9" })"),
          message("odd \"id\"", 1ms, R"({"n":[1.50,1e400]})")};
}

QueueReport busy_queue() {
  QueueReport report;
  report.status = {.message_count = 3,
                   .total_bytes = 4200,
                   .oldest_received = kNoon,
                   .newest_received = kNoon + 1500ms};
  report.longest_waited_seconds = 12;
  report.in_flight = 2;
  report.live_delivery = true;
  return report;
}

// Every shape of result and event, one per line.
std::string all_shapes() {
  const auto messages = two_messages();
  const std::vector<AddReceipt> receipts = {{MessageId("11111111"), kNoon},
                                            {MessageId("22222222"), kNoon + 7ms}};
  using Outcomes = std::vector<std::pair<std::string_view, std::string_view>>;
  const Outcomes outcomes = {{"messagesReceived", "ok"},
                             {"odd \"name\"", "provided event invalid"},
                             {"messagesReceived", "socket has already been subscribed to event"}};
  std::ostringstream out;
  out << "addMessage " << result_of(receipts[0]) << '\n'
      << "addMessages " << result_of(std::span(receipts)) << '\n'
      << "addMessages " << result_of(std::span<const AddReceipt>()) << '\n'
      << "takeFromQueue " << result_of(std::span<const StoredMessage>(messages)) << '\n'
      << "takeFromQueue " << result_of(std::span<const StoredMessage>()) << '\n'
      << "getQueueStatus " << result_of(busy_queue()) << '\n'
      << "getQueueStatus " << result_of(QueueReport{}) << '\n'
      << "acknowledge " << result_of(AcknowledgeReceipt{.removed = 2, .remaining = 1}) << '\n'
      << "__listMethods " << list_methods_result() << '\n'
      << "rpc.on " << subscription_result(outcomes) << '\n'
      << "rpc.on " << subscription_result({}) << '\n'
      << "event " << messages_received_event(ConnectionId("c \"1\""), messages) << '\n'
      << "event " << messages_received_event(ConnectionId("c"), std::span(messages).first(1))
      << '\n'
      << "event " << live_session_replaced_event(ConnectionId("c"), SessionId("s")) << '\n'
      << "event " << server_draining_event(5000) << '\n';
  return out.str();
}

TEST(Wire, WritesResultsAndEventsAsTheGoldenFileSays) {
  std::ifstream in(std::string(MPR_GOLDEN_DIR) + "/rpc_results.txt");
  std::ostringstream golden;
  golden << in.rdbuf();
  EXPECT_EQ(all_shapes(), golden.str())
      << "clients depend on these shapes; if the change is meant, docs/protocol.md follows";
}

TEST(Wire, WritesValidJsonOnly) {
  simdjson::dom::parser parser;
  std::istringstream lines(all_shapes());
  for (std::string line; std::getline(lines, line);) {
    std::string json = line.substr(line.find(' ') + 1);
    // simdjson holds numbers as doubles; ours pass as text.
    if (const auto big = json.find("1e400"); big != std::string::npos) json.replace(big, 5, "1");
    if (const auto again = json.find("1e400"); again != std::string::npos)
      json.replace(again, 5, "1");
    EXPECT_EQ(parser.parse(simdjson::padded_string(json)).error(), simdjson::SUCCESS) << line;
  }
}

TEST(Wire, GivesEveryFailureACodeAMessageAndItsDetails) {
  const auto error = [](Errc code) { return to_rpc_error(Error{code, "why \"it\" failed"}); };
  const std::string details = R"({"details":"why \"it\" failed"})";
  const auto expected = [&](int code, std::string text) {
    return RpcError{.code = code, .message = std::move(text), .data = details};
  };
  EXPECT_EQ(error(Errc::invalid_argument), expected(-32602, "Invalid params"));
  EXPECT_EQ(error(Errc::unauthorized), expected(401, "Unauthorized"));
  EXPECT_EQ(error(Errc::too_large), expected(413, "Message too large"));
  EXPECT_EQ(error(Errc::quota_exceeded), expected(507, "Quota exceeded"));
  EXPECT_EQ(error(Errc::unavailable), expected(503, "Service unavailable"));
  EXPECT_EQ(error(Errc::deadline_exceeded), expected(504, "Deadline exceeded"));
  EXPECT_EQ(error(Errc::corrupt), expected(500, "Internal Server Error"));
  EXPECT_EQ(error(Errc::internal), expected(500, "Internal Server Error"));
}

TEST(Wire, NamesItsEvents) {
  EXPECT_EQ(std::vector<std::string_view>(event_names().begin(), event_names().end()),
            (std::vector<std::string_view>{"messagesReceived", "liveSessionReplaced",
                                           "pushTokenInvalid", "serverDraining"}));
}

}  // namespace
}  // namespace mpr::rpc
