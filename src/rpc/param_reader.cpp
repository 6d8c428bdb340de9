#include "rpc/param_reader.hpp"

#include <algorithm>
#include <utility>

namespace mpr::rpc {

namespace {

std::string of_at_most(std::string_view what, std::size_t bytes) {
  return "must be a " + std::string(what) + " of at most " + std::to_string(bytes) + " bytes";
}

std::string array_of_at_most(std::size_t most, std::string_view what) {
  return "must be an array of at most " + std::to_string(most) + " " + std::string(what);
}

// They would be invisible in logs and could forge lines there. Without an early exit the compiler
// looks at many bytes at once.
bool has_control_character(std::string_view text) {
  bool found = false;
  for (const char c : text) found |= static_cast<unsigned char>(c) < 0x20 || c == '\x7f';
  return found;
}

bool is_message_id_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '/';
}

bool has_message_id_run(std::string_view id) {
  std::size_t run = 0;
  for (const char c : id) {
    run = is_message_id_character(c) ? run + 1 : 0;
    if (run == limits::kMessageIdRun) return true;
  }
  return false;
}

template <class Id>
std::vector<Id> as_ids(std::vector<std::string> texts) {
  std::vector<Id> ids;
  ids.reserve(texts.size());
  for (auto& text : texts) ids.emplace_back(std::move(text));
  return ids;
}

}  // namespace

bool ParamReader::given(Param param) const noexcept {
  const JsonType type = type_of(params_[param]);
  return type != JsonType::absent && type != JsonType::null;
}

void ParamReader::refuse(Place place, std::string_view what, Errc code) {
  if (problem_) return;
  std::string context = prefix_ + std::string(name_of(place.param));
  if (place.index) context += "[" + std::to_string(*place.index) + "]";
  problem_ = Error{code, context + ": " + std::string(what)};
}

std::optional<std::string> ParamReader::checked_text(RawJson raw, Place place, std::size_t most) {
  std::optional<std::string> text;
  // An escape takes at most six bytes for one, so longer raw text cannot fit and isn't unescaped.
  if (type_of(raw) == JsonType::string && raw.size() <= 6 * most + 2) {
    text = unescape(raw);
    if (!text) {
      refuse(place, "must not contain half of a surrogate pair");
      return std::nullopt;
    }
  }
  if (!text || text->empty() || text->size() > most) {
    refuse(place, of_at_most("non-empty string", most));
    return std::nullopt;
  }
  if (has_control_character(*text)) {
    refuse(place, "must not contain control characters");
    return std::nullopt;
  }
  return text;
}

std::string ParamReader::text(Param param, std::size_t most) {
  return checked_text(params_[param], {param, std::nullopt}, most).value_or(std::string());
}

std::optional<std::string> ParamReader::optional_text(Param param, std::size_t most) {
  if (!given(param)) return std::nullopt;
  return checked_text(params_[param], {param, std::nullopt}, most);
}

std::vector<std::string> ParamReader::texts(Param param, std::size_t most, std::size_t most_bytes) {
  std::vector<std::string> values;
  if (type_of(params_[param]) != JsonType::array) {
    refuse(param, array_of_at_most(most, "strings"));
    return values;
  }
  JsonScanner scanner(params_[param]);
  scanner.array([&] {
    RawJson raw;
    if (!scanner.value(raw)) return false;
    if (values.size() == most) {
      refuse(param, array_of_at_most(most, "strings"));
      return false;
    }
    auto text = checked_text(raw, {param, values.size()}, most_bytes);
    if (!text) return false;
    values.push_back(std::move(*text));
    return true;
  });
  return values;
}

std::optional<RecipientDid> ParamReader::recipient_did() {
  auto text = optional_text(Param::recipient_did, limits::kRecipientDidBytes);
  return text ? std::optional<RecipientDid>(std::move(*text)) : std::nullopt;
}

std::vector<RecipientDid> ParamReader::recipient_dids() {
  return as_ids<RecipientDid>(
      texts(Param::recipient_dids, limits::kRecipientDids, limits::kRecipientDidBytes));
}

std::vector<MessageId> ParamReader::message_ids() {
  return as_ids<MessageId>(texts(Param::message_ids, limits::kMessageIdsPerCall, limits::kIdBytes));
}

std::optional<MessageId> ParamReader::caller_message_id() {
  auto id = optional_id<MessageId>(Param::message_id);
  if (id && !has_message_id_run(id->value)) {
    refuse(Param::message_id, "must have at least 8 consecutive characters of [-_./a-zA-Z0-9]");
  }
  return id;
}

Payload ParamReader::payload(std::size_t most_bytes) {
  const RawJson raw = params_[Param::payload];
  if (type_of(raw) != JsonType::object) {
    refuse(Param::payload, "must be a JSON object");
    return nullptr;
  }
  if (raw.size() > most_bytes) {
    refuse({Param::payload, std::nullopt},
           "larger than the " + std::to_string(most_bytes) + " bytes that a message may have",
           Errc::too_large);
    return nullptr;
  }
  return make_payload(std::string(raw));
}

std::optional<PushToken> ParamReader::push_token() {
  if (!given(Param::push_notification_token)) return std::nullopt;
  ParamSet members;
  JsonScanner scanner(params_[Param::push_notification_token]);
  if (!members.scan(scanner)) {
    refuse(Param::push_notification_token, "must be an object");
    return std::nullopt;
  }
  ParamReader in(members, prefix_ + "pushNotificationToken.");
  std::optional<PushToken> push_token;
  // Today's clients send the type alone for a phone without a token.
  if (in.given(Param::token) && members[Param::token] != R"("")") push_token = in.read_push_token();
  if (in.problem_ && !problem_) problem_ = std::move(in.problem_);
  return push_token;
}

PushToken ParamReader::read_push_token() {
  PushToken push_token;
  const auto provider =
      type_of(params_[Param::type]) == JsonType::string
          ? parse_push_provider(unescape(params_[Param::type]).value_or(std::string()))
          : std::nullopt;
  if (!provider) refuse(Param::type, R"(must be "fcm", "apns" or "webhook")");
  push_token.provider = provider.value_or(PushProvider::fcm);
  push_token.token = text(Param::token, limits::kPushTokenBytes);
  push_token.project = optional_text(Param::project, limits::kIdBytes).value_or(std::string());
  return push_token;
}

std::optional<TimePoint> ParamReader::time(Param param) {
  if (!given(param)) return std::nullopt;
  std::optional<TimePoint> time;
  if (type_of(params_[param]) == JsonType::string) {
    time = parse_iso8601(unescape(params_[param]).value_or(std::string()));
  }
  if (!time) refuse(param, R"(must be an ISO 8601 time such as "2026-01-31T12:00:00.000Z")");
  return time;
}

std::optional<std::chrono::seconds> ParamReader::ttl() {
  if (!given(Param::ttl_seconds)) return std::nullopt;
  const auto seconds = whole_number(params_[Param::ttl_seconds]);
  if (!seconds || *seconds == 0 || *seconds > limits::kTtlSeconds) {
    refuse(Param::ttl_seconds,
           "must be a whole number from 1 to " + std::to_string(limits::kTtlSeconds));
    return std::nullopt;
  }
  return std::chrono::seconds(*seconds);
}

std::uint64_t ParamReader::count(Param param) {
  if (!given(param)) return 0;
  const auto value = whole_number(params_[param]);
  if (!value) refuse(param, "must be a non-negative integer");
  return value.value_or(0);
}

bool ParamReader::flag(Param param) {
  if (!given(param)) return false;
  if (type_of(params_[param]) != JsonType::boolean) refuse(param, "must be true or false");
  return params_[param] == "true";
}

void ParamReader::each_message(const std::function<void(ParamReader&)>& read) {
  if (type_of(params_[Param::messages]) != JsonType::array) {
    refuse(Param::messages, array_of_at_most(limits::kMessagesPerCall, "objects"));
    return;
  }
  JsonScanner scanner(params_[Param::messages]);
  ParamSet members;
  std::size_t index = 0;
  scanner.array([&] {
    if (index == limits::kMessagesPerCall) {
      refuse(Param::messages, array_of_at_most(limits::kMessagesPerCall, "objects"));
    } else if (scanner.peek() != '{' || !members.scan(scanner)) {
      refuse({Param::messages, index}, "must be an object");
    } else {
      ParamReader message(members, "messages[" + std::to_string(index++) + "].");
      read(message);
      problem_ = message.take_problem();
    }
    return !problem_;
  });
}

Result<std::vector<std::string>> read_event_names(RawJson params) {
  const std::string wanted = "params: " + array_of_at_most(limits::kEventsPerCall, "event names");
  if (type_of(params) != JsonType::array) return fail(Errc::invalid_argument, wanted);
  std::vector<std::string> names;
  std::string problem;
  JsonScanner scanner(params);
  scanner.array([&] {
    RawJson raw;
    if (!scanner.value(raw)) return false;
    std::optional<std::string> name;
    if (type_of(raw) == JsonType::string) name = unescape(raw);
    if (names.size() == limits::kEventsPerCall) {
      problem = wanted;
    } else if (!name || name->size() > limits::kIdBytes) {
      problem =
          "params[" + std::to_string(names.size()) + "]: " + of_at_most("string", limits::kIdBytes);
    } else {
      names.push_back(std::move(*name));
    }
    return problem.empty();
  });
  if (!problem.empty()) return fail(Errc::invalid_argument, std::move(problem));
  return names;
}

}  // namespace mpr::rpc
