#include "client/answers.hpp"

#include <simdjson.h>

#include "base/text.hpp"

namespace mpr::client {
namespace {

namespace od = simdjson::ondemand;

// A gateway reads 128 levels; five of them are around the payload of an addMessages in a request.
constexpr std::size_t kPayloadDepth = 120;

// --- members: false when one is missing or of another type ---------------------------------------

bool read(od::value value, bool& out) { return value.get_bool().get(out) == simdjson::SUCCESS; }
bool read(od::value value, std::uint64_t& out) {
  return value.get_uint64().get(out) == simdjson::SUCCESS;
}
bool read(od::value value, std::string& out) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS) return false;
  out = text;
  return true;
}
bool read(od::value value, Time& out) {
  std::string text;
  if (!read(value, text)) return false;
  const auto time = parse_iso8601(text);
  if (time) out = *time;
  return time.has_value();
}

bool read(od::value value, AddedMessage& out);
bool read(od::value value, QueuedMessage& out);

template <class T>
bool read(od::value value, std::optional<T>& out) {
  bool null = false;
  if (value.is_null().get(null) != simdjson::SUCCESS) return false;
  if (null) return true;
  return read(value, out.emplace());
}

template <class T>
bool read(od::value value, std::vector<T>& out) {
  od::array items;
  if (value.get_array().get(items) != simdjson::SUCCESS) return false;
  for (auto item : items) {
    od::value each;
    if (item.get(each) != simdjson::SUCCESS || !read(each, out.emplace_back())) return false;
  }
  return true;
}

template <class T>
bool member(od::object& object, std::string_view name, T& out) {
  od::value value;
  return object.find_field_unordered(name).get(value) == simdjson::SUCCESS && read(value, out);
}

// The bytes of an object as they stand in the text.
bool raw_member(od::object& object, std::string_view name, std::string& out) {
  od::value value;
  std::string_view raw;
  if (object.find_field_unordered(name).get(value) != simdjson::SUCCESS ||
      simdjson::to_json_string(value).get(raw) != simdjson::SUCCESS || !raw.starts_with('{')) {
    return false;
  }
  out = raw;
  return true;
}

bool read(od::value value, AddedMessage& out) {
  od::object object;
  return value.get_object().get(object) == simdjson::SUCCESS &&
         member(object, "messageId", out.message_id) &&
         member(object, "receivedAt", out.received_at);
}

bool read(od::value value, QueuedMessage& out) {
  od::object object;
  return value.get_object().get(object) == simdjson::SUCCESS && member(object, "id", out.id) &&
         member(object, "receivedAt", out.received_at) &&
         raw_member(object, "encryptedMessage", out.payload);
}

// --- whole texts --------------------------------------------------------------------------------

// Gives `take` the value that the text is. In an array, because the parser treats a document that
// is a mere number or string apart.
template <class Take>
bool with_value(std::string_view json, Take take) {
  thread_local od::parser parser;
  std::string text;
  text.reserve(json.size() + 2 + simdjson::SIMDJSON_PADDING);
  text += '[';
  text += json;
  text += ']';
  od::document document;
  od::array items;
  if (parser.iterate(simdjson::padded_string_view(text.data(), text.size(), text.capacity()))
              .get(document) != simdjson::SUCCESS ||
      document.get_array().get(items) != simdjson::SUCCESS) {
    return false;
  }
  for (auto item : items) {
    od::value value;
    return item.get(value) == simdjson::SUCCESS && take(value);
  }
  return false;
}

template <class T>
std::optional<T> value_in(std::string_view json) {
  T out{};
  if (!with_value(json, [&](od::value value) { return read(value, out); })) return std::nullopt;
  return out;
}

template <class Take>
bool with_object(std::string_view json, Take take) {
  return with_value(json, [&](od::value value) {
    od::object object;
    return value.get_object().get(object) == simdjson::SUCCESS && take(object);
  });
}

ErrorKind kind_of(std::int64_t code) {
  switch (code) {
    case 401:
      return ErrorKind::unauthorized;
    case 413:
      return ErrorKind::too_large;
    case 503:
      return ErrorKind::unavailable;
    case 504:
      return ErrorKind::deadline_exceeded;
    case 507:
      return ErrorKind::quota_exceeded;
    case -32602:
      return ErrorKind::invalid_parameters;
    default:
      return ErrorKind::remote;
  }
}

}  // namespace

bool is_payload(std::string_view text) {
  thread_local simdjson::dom::parser parser;
  if (!text.starts_with('{') || parser.allocate(text.size(), kPayloadDepth) != simdjson::SUCCESS) {
    return false;
  }
  simdjson::dom::object object;
  return parser.parse(text.data(), text.size()).get(object) == simdjson::SUCCESS;
}

bool is_utf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

std::optional<bool> boolean_in(std::string_view json) { return value_in<bool>(json); }
std::optional<std::uint64_t> count_in(std::string_view json) {
  return value_in<std::uint64_t>(json);
}
std::optional<std::vector<std::string>> names_in(std::string_view json) {
  return value_in<std::vector<std::string>>(json);
}
std::optional<AddedMessage> added_in(std::string_view json) { return value_in<AddedMessage>(json); }
std::optional<std::vector<AddedMessage>> all_added_in(std::string_view json) {
  return value_in<std::vector<AddedMessage>>(json);
}
std::optional<std::vector<QueuedMessage>> messages_in(std::string_view json) {
  return value_in<std::vector<QueuedMessage>>(json);
}

std::optional<QueueStatus> status_in(std::string_view json) {
  QueueStatus status;
  std::optional<std::uint64_t> waited;
  const bool whole = with_object(json, [&](od::object& object) {
    return member(object, "messageCount", status.message_count) &&
           member(object, "totalBytes", status.total_bytes) &&
           member(object, "oldestReceivedTime", status.oldest_received) &&
           member(object, "newestReceivedTime", status.newest_received) &&
           member(object, "longestWaitedSeconds", waited) &&
           member(object, "inFlight", status.in_flight) &&
           member(object, "liveDelivery", status.live_delivery);
  });
  if (!whole) return std::nullopt;
  if (waited) status.longest_waited = std::chrono::seconds(*waited);
  return status;
}

std::optional<Acknowledgement> acknowledgement_in(std::string_view json) {
  Acknowledgement answer;
  const bool whole = with_object(json, [&](od::object& object) {
    return member(object, "removed", answer.removed) &&
           member(object, "remaining", answer.remaining);
  });
  if (!whole) return std::nullopt;
  return answer;
}

std::optional<ServerEvent> event_in(std::string_view method, std::string_view params) {
  std::optional<ServerEvent> event;
  const bool whole = with_object(params, [&](od::object& object) {
    if (method == "messagesReceived") {
      auto& received = std::get<MessagesReceived>(event.emplace(MessagesReceived{}));
      return member(object, "connectionId", received.connection_id) &&
             member(object, "messages", received.messages);
    }
    if (method == "liveSessionReplaced") {
      auto& replaced = std::get<LiveSessionReplaced>(event.emplace(LiveSessionReplaced{}));
      return member(object, "connectionId", replaced.connection_id) &&
             member(object, "sessionId", replaced.session_id);
    }
    if (method == "serverDraining") {
      std::uint64_t grace = 0;
      const bool read = member(object, "graceMilliseconds", grace);
      event = ServerDraining{std::chrono::milliseconds(grace)};
      return read;
    }
    if (method == "pushTokenInvalid") {
      auto& invalid = std::get<PushTokenInvalid>(event.emplace(PushTokenInvalid{}));
      return member(object, "connectionId", invalid.connection_id) &&
             member(object, "type", invalid.type) &&
             member(object, "tokenSha256", invalid.token_sha256) &&
             member(object, "reason", invalid.reason);
    }
    return false;
  });
  return whole ? event : std::nullopt;
}

CallError error_in(std::string_view method, std::string_view json) {
  std::int64_t code = 0;
  std::string message;
  std::string details;
  const bool whole = with_object(json, [&](od::object& object) {
    if (object.find_field_unordered("code").get_int64().get(code) != simdjson::SUCCESS ||
        !member(object, "message", message)) {
      return false;
    }
    // "data" is absent, a text, or an object with details.
    od::value data;
    if (object.find_field_unordered("data").get(data) != simdjson::SUCCESS) return true;
    od::object wrapped;
    if (data.get_object().get(wrapped) == simdjson::SUCCESS) {
      member(wrapped, "details", details);
    } else {
      read(data, details);
    }
    return true;
  });
  if (!whole) {
    return {ErrorKind::unexpected_answer, 0, std::string(method), "an error that cannot be read"};
  }
  return {kind_of(code), static_cast<int>(code), std::string(method),
          details.empty() ? std::move(message) : std::move(details)};
}

}  // namespace mpr::client
