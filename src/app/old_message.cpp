#include "app/old_message.hpp"

#include <simdjson.h>

#include "core/limits.hpp"
#include "rpc/json_scanner.hpp"

namespace mpr {

namespace {

using rpc::JsonScanner;
using rpc::JsonType;
using rpc::RawJson;

struct Members {
  RawJson message_id;
  RawJson connection_id;
  RawJson recipient_dids;
  RawJson encrypted_message;
  RawJson received_at;
};

Result<Members> members_of(std::string_view json) {
  Members members;
  std::string buffer;
  JsonScanner scanner(json);
  const bool read = scanner.object([&](std::string_view name) {
    const std::string_view plain = rpc::plain_name(name, buffer);
    RawJson other;
    RawJson& raw = plain == "messageId"          ? members.message_id
                   : plain == "connectionId"     ? members.connection_id
                   : plain == "recipientDids"    ? members.recipient_dids
                   : plain == "encryptedMessage" ? members.encrypted_message
                   : plain == "receivedAt"       ? members.received_at
                                                 : other;
    return scanner.value(raw);
  });
  if (!read || !scanner.at_end()) {
    return fail(Errc::invalid_argument, "it is not a JSON object: " + scanner.problem());
  }
  return members;
}

Result<std::string> text_of(RawJson raw, std::string_view name, std::size_t most) {
  auto text = rpc::type_of(raw) == JsonType::string ? rpc::unescape(raw) : std::nullopt;
  if (!text || text->empty() || text->size() > most) {
    return fail(Errc::invalid_argument,
                std::string(name) + " is not a text of 1 to " + std::to_string(most) + " bytes");
  }
  return std::move(*text);
}

Result<std::vector<RecipientDid>> dids_of(RawJson raw) {
  std::vector<RecipientDid> dids;
  if (rpc::type_of(raw) == JsonType::absent || rpc::type_of(raw) == JsonType::null) return dids;
  std::optional<Error> wrong;
  JsonScanner scanner(raw);
  const bool read = scanner.array([&] {
    RawJson element;
    if (!scanner.value(element)) return false;
    auto did = text_of(element, "a member of recipientDids", limits::kRecipientDidBytes);
    if (did) {
      dids.emplace_back(std::move(*did));
    } else if (!wrong) {
      wrong = did.error();
    }
    return true;
  });
  if (!read) return fail(Errc::invalid_argument, "recipientDids is not an array");
  if (wrong) return std::unexpected(*wrong);
  if (dids.size() > limits::kRecipientDids) {
    return fail(Errc::invalid_argument, "recipientDids has too many members");
  }
  return dids;
}

Result<TimePoint> time_of(RawJson raw, TimePoint now) {
  switch (rpc::type_of(raw)) {
    case JsonType::absent:
    case JsonType::null:
      return now;
    case JsonType::number:
      if (const auto number = rpc::whole_number(raw)) {
        return TimePoint(std::chrono::milliseconds(*number));
      }
      break;
    case JsonType::string:
      if (const auto text = rpc::unescape(raw)) {
        if (const auto time = parse_iso8601(*text)) return *time;
      }
      break;
    default:
      break;
  }
  return fail(Errc::invalid_argument, "receivedAt is not a time");
}

}  // namespace

Result<NewMessage> parse_old_message(std::string_view json, TimePoint now) {
  if (!simdjson::validate_utf8(json.data(), json.size())) {
    return fail(Errc::invalid_argument, "it is not UTF-8 text");
  }
  const auto members = members_of(json);
  if (!members) return std::unexpected(members.error());
  auto id = text_of(members->message_id, "messageId", limits::kIdBytes);
  if (!id) return std::unexpected(id.error());
  auto connection = text_of(members->connection_id, "connectionId", limits::kIdBytes);
  if (!connection) return std::unexpected(connection.error());
  auto dids = dids_of(members->recipient_dids);
  if (!dids) return std::unexpected(dids.error());
  const auto received = time_of(members->received_at, now);
  if (!received) return std::unexpected(received.error());
  if (rpc::type_of(members->encrypted_message) != JsonType::object) {
    return fail(Errc::invalid_argument, "encryptedMessage is not an object");
  }
  NewMessage message;
  message.connection = {TenantId(), ConnectionId(std::move(*connection))};
  message.id = MessageId(std::move(*id));
  message.id_origin = IdOrigin::caller;
  message.recipient_dids = std::move(*dids);
  message.payload = make_payload(std::string(members->encrypted_message));
  message.received_at = *received;
  message.answer = AddAnswer::brief;
  return message;
}

}  // namespace mpr
