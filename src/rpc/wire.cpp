#include "rpc/wire.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "rpc/call_decoder.hpp"

namespace mpr::rpc {

namespace {

constexpr std::array<std::string_view, 4> kEventNames = {kMessagesReceived, kLiveSessionReplaced,
                                                         kPushTokenInvalid, kServerDraining};

struct Answer {
  int code;
  std::string_view message;
};

Answer answer_to(Errc code) noexcept {
  switch (code) {
    case Errc::invalid_argument:
      return {-32602, "Invalid params"};
    case Errc::unauthorized:
      return {401, "Unauthorized"};
    case Errc::too_large:
      return {413, "Message too large"};
    case Errc::quota_exceeded:
      return {507, "Quota exceeded"};
    case Errc::unavailable:
      return {503, "Service unavailable"};
    case Errc::deadline_exceeded:
      return {504, "Deadline exceeded"};
    case Errc::corrupt:
    case Errc::internal:
      break;
  }
  return {500, "Internal Server Error"};
}

// Bytes of a message in an answer beside its id and payload, rounded up.
constexpr std::size_t kMessageFrameBytes = 80;

std::size_t size_of(std::span<const StoredMessage> messages) noexcept {
  std::size_t bytes = 2;
  for (const auto& message : messages) {
    bytes += message.id.value.size() + message.payload->size() + kMessageFrameBytes;
  }
  return bytes;
}

void append_message(std::string& out, const StoredMessage& message) {
  out += R"({"id":)";
  append_json_string(out, message.id.value);
  out += R"(,"receivedAt":")";
  append_iso8601(out, message.received_at);
  out += R"(","encryptedMessage":)";
  out += *message.payload;
  out += '}';
}

void append_receipt(std::string& out, const AddReceipt& receipt) {
  out += R"({"messageId":)";
  append_json_string(out, receipt.id.value);
  out += R"(,"receivedAt":")";
  append_iso8601(out, receipt.received_at);
  out += R"("})";
}

// Appends [a,b,c] with `append_one(out, item)` for each.
template <class Items, class Append>
void append_array(std::string& out, const Items& items, Append append_one) {
  out += '[';
  bool first = true;
  for (const auto& item : items) {
    if (!first) out += ',';
    first = false;
    append_one(out, item);
  }
  out += ']';
}

void append_time_or_null(std::string& out, const std::optional<TimePoint>& time) {
  if (!time) {
    out += "null";
    return;
  }
  out += '"';
  append_iso8601(out, *time);
  out += '"';
}

// Opens an event frame up to its params, which follow as one JSON value and "}".
std::string event_frame(std::string_view name, std::size_t bytes_to_follow) {
  std::string out;
  out.reserve(bytes_to_follow + name.size() + 64);
  out += R"({"jsonrpc":"2.0","method":")";
  out += name;
  out += R"(","params":)";
  return out;
}

}  // namespace

std::span<const std::string_view> event_names() noexcept { return kEventNames; }

std::span<const std::string_view> method_names() noexcept {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> all;
    for (const auto& decoder : call_decoders()) all.push_back(decoder.method);
    return all;
  }();
  return names;
}

RpcError to_rpc_error(const Error& error) {
  const Answer answer = answer_to(error.code);
  RpcError out{.code = answer.code, .message = std::string(answer.message), .data = {}};
  out.data = R"({"details":)";
  append_json_string(out.data, error.context);
  out.data += '}';
  return out;
}

std::string result_of(const AddReceipt& receipt) {
  std::string out;
  append_receipt(out, receipt);
  return out;
}

std::string result_of(std::span<const AddReceipt> receipts) {
  std::string out;
  append_array(out, receipts, append_receipt);
  return out;
}

std::string result_of(std::span<const StoredMessage> messages) {
  std::string out;
  out.reserve(size_of(messages));
  append_array(out, messages, append_message);
  return out;
}

std::string result_of(const QueueReport& report) {
  std::string out = R"({"messageCount":)";
  append_number(out, report.status.message_count);
  out += R"(,"totalBytes":)";
  append_number(out, report.status.total_bytes);
  out += R"(,"oldestReceivedTime":)";
  append_time_or_null(out, report.status.oldest_received);
  out += R"(,"newestReceivedTime":)";
  append_time_or_null(out, report.status.newest_received);
  out += R"(,"longestWaitedSeconds":)";
  if (report.longest_waited_seconds) {
    append_number(out, *report.longest_waited_seconds);
  } else {
    out += "null";
  }
  out += R"(,"inFlight":)";
  append_number(out, report.in_flight);
  out += report.live_delivery ? R"(,"liveDelivery":true})" : R"(,"liveDelivery":false})";
  return out;
}

std::string result_of(const AcknowledgeReceipt& receipt) {
  std::string out = R"({"removed":)";
  append_number(out, receipt.removed);
  out += R"(,"remaining":)";
  append_number(out, receipt.remaining);
  out += '}';
  return out;
}

std::string list_methods_result() {
  std::string out;
  append_array(out, method_names(), append_json_string);
  return out;
}

std::string subscription_result(
    std::span<const std::pair<std::string_view, std::string_view>> outcomes) {
  // An event named twice gets one member, with its last outcome, as in a JavaScript object.
  std::vector<std::pair<std::string_view, std::string_view>> members;
  for (const auto& [event, outcome] : outcomes) {
    const auto known = std::ranges::find(members, event, [](const auto& m) { return m.first; });
    if (known == members.end()) {
      members.emplace_back(event, outcome);
    } else {
      known->second = outcome;
    }
  }
  std::string out = "{";
  for (const auto& [event, outcome] : members) {
    if (out.size() > 1) out += ',';
    append_json_string(out, event);
    out += ':';
    append_json_string(out, outcome);
  }
  out += '}';
  return out;
}

std::string messages_received_event(const ConnectionId& connection_id,
                                    std::span<const StoredMessage> messages) {
  std::string out =
      event_frame(kMessagesReceived, size_of(messages) + connection_id.value.size() + 48);
  out += R"({"connectionId":)";
  append_json_string(out, connection_id.value);
  out += R"(,"messages":)";
  append_array(out, messages, append_message);
  out += R"(,"id":""}})";
  return out;
}

std::string live_session_replaced_event(const ConnectionId& connection_id,
                                        const SessionId& session_id) {
  std::string out =
      event_frame(kLiveSessionReplaced, connection_id.value.size() + session_id.value.size() + 40);
  out += R"({"connectionId":)";
  append_json_string(out, connection_id.value);
  out += R"(,"sessionId":)";
  append_json_string(out, session_id.value);
  out += "}}";
  return out;
}

std::string push_token_invalid_event(const InvalidPushToken& token) {
  std::string out =
      event_frame(kPushTokenInvalid, token.connection.id.value.size() + token.reason.size() + 160);
  out += R"({"connectionId":)";
  append_json_string(out, token.connection.id.value);
  out += R"(,"type":")";
  out += to_string(token.provider);
  out += R"(","tokenSha256":")";
  out += token.token_sha256;
  out += R"(","reason":)";
  append_json_string(out, token.reason);
  out += "}}";
  return out;
}

std::string server_draining_event(std::uint64_t grace_milliseconds) {
  std::string out = event_frame(kServerDraining, 48);
  out += R"({"graceMilliseconds":)";
  append_number(out, grace_milliseconds);
  out += "}}";
  return out;
}

}  // namespace mpr::rpc
