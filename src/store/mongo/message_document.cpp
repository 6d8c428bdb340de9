#include "store/mongo/message_document.hpp"

#include <array>

#include "store/mongo/json_bson.hpp"

namespace mpr::mongo {

namespace {

constexpr const char* kText = "encryptedMessageText";
constexpr const char* kObject = "encryptedMessage";

// Appends `part` such that parts joined by slashes can be told apart, and that it is plain ASCII
// text in every database.
void append_escaped(std::string& out, std::string_view part) {
  constexpr const char* kHex = "0123456789abcdef";
  for (const char c : part) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '/' && c != '%') {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

std::string id_of(char kind, const Connection& connection) {
  std::string id(1, kind);
  id += '/';
  append_escaped(id, connection.tenant.value);
  id += '/';
  append_escaped(id, connection.id.value);
  id += '/';
  return id;
}

void add_connection(Document& document, const Connection& connection) {
  document.any_text("connectionId", connection.id.value);
  if (!connection.tenant.empty()) document.any_text("tenant", connection.tenant.value);
}

void add_payload(Document& document, const std::string& payload) {
  if (const auto object = bson_of_json(payload)) {
    document.raw_document(kObject, *object);
  } else {
    document.any_text(kText, payload);
  }
}

std::string payload_of(const bson_t& document) {
  if (auto text = read_any_text(document, kText)) return std::move(*text);
  std::string json;
  if (const auto object = find(document, kObject)) {
    append_json(json, *object);
  } else {
    json = "{}";
  }
  return json;
}

const bson_oid_t* object_id_of(const bson_t& document) {
  const auto id = find(document, "_id");
  return id && BSON_ITER_HOLDS_OID(&*id) ? bson_iter_oid(&*id) : nullptr;
}

TimePoint created_at_of(const bson_t& document) {
  if (const auto at = read_time(document, "createdAt")) return *at;
  const bson_oid_t* const id = object_id_of(document);
  return TimePoint(std::chrono::seconds(id ? bson_oid_get_time_t(id) : 0));
}

}  // namespace

std::string copied_id(const Connection& connection, const MessageId& id) {
  std::string out = id_of('m', connection);
  append_escaped(out, id.value);
  return out;
}

std::string added_id(const Connection& connection, Position position) {
  return id_of('p', connection) + std::to_string(position.value);
}

Document document_of(const NewMessage& message, Position position, const std::string& id,
                     TimePoint now) {
  Document document;
  document.text("_id", id).any_text("messageId", message.id.value);
  add_connection(document, message.connection);
  Array recipients;
  for (const RecipientDid& did : message.recipient_dids) recipients.any_text(did.value);
  document.array("recipientKeys", recipients.done());
  add_payload(document, *message.payload);
  document.integer("encryptedMessageByteCount", static_cast<std::int64_t>(message.size()))
      .text("state", "pending")
      .time("createdAt", message.received_at)
      .time("updatedAt", now)
      .integer("position", static_cast<std::int64_t>(position.value));
  if (message.expires_at) document.time("expiresAt", *message.expires_at);
  if (message.id_origin == IdOrigin::caller) document.boolean("callerId", true);
  if (message.push_token) {
    Document token;
    token.text("provider", to_string(message.push_token->provider))
        .any_text("token", message.push_token->token)
        .any_text("project", message.push_token->project);
    document.document("pushToken", token);
  }
  return document;
}

std::string tail_id(const Connection& connection) { return id_of('t', connection); }
std::string moved_id(const Connection& connection) { return id_of('v', connection); }

Document connection_filter(const Connection& connection) {
  Document filter;
  filter.any_text("connectionId", connection.id.value);
  if (connection.tenant.empty()) {
    filter.null("tenant");  // means that it is absent, too
  } else {
    filter.any_text("tenant", connection.tenant.value);
  }
  return filter;
}

Document pending_filter(const Connection& connection, TimePoint now) {
  Document expired;
  expired.time("$lte", now);
  Document not_expired;
  not_expired.document("$not", expired);
  Document filter = connection_filter(connection);
  filter.document("expiresAt", not_expired);
  return filter;
}

Position first_position(TimePoint now) {
  constexpr int kCounterBits = 20;
  const TimePoint today = std::chrono::floor<std::chrono::days>(now);
  return Position{(static_cast<std::uint64_t>(today.time_since_epoch().count()) << kCounterBits) +
                  1};
}

Position position_of(const bson_t& document) {
  if (const auto own = read_integer(document, "position")) {
    return Position{static_cast<std::uint64_t>(*own)};
  }
  constexpr int kCounterBits = 20;
  std::uint64_t counter = 0;
  if (const bson_oid_t* const id = object_id_of(document)) {
    counter = std::uint64_t{id->bytes[9]} << 16 | std::uint64_t{id->bytes[10]} << 8 | id->bytes[11];
  }
  const auto ms = static_cast<std::uint64_t>(created_at_of(document).time_since_epoch().count());
  return Position{ms << kCounterBits | (counter & ((1U << kCounterBits) - 1))};
}

MessageId message_id_of(const bson_t& document) {
  if (auto id = read_any_text(document, "messageId")) return MessageId(std::move(*id));
  const bson_oid_t* const id = object_id_of(document);
  if (!id) return MessageId();
  char text[25];
  bson_oid_to_string(id, text);
  return MessageId(text);
}

Connection connection_of(const bson_t& document) {
  Connection connection;
  connection.id.value = read_any_text(document, "connectionId").value_or("");
  connection.tenant.value = read_any_text(document, "tenant").value_or("");
  return connection;
}

TimePoint received_at_of(const bson_t& document) { return created_at_of(document); }

std::uint64_t size_of(const bson_t& document) {
  // What the existing service counted is not what is served: that is rendered again.
  const bool ours = find(document, "position").has_value();
  const auto counted = read_integer(document, "encryptedMessageByteCount");
  if (ours && counted) return static_cast<std::uint64_t>(*counted);
  return payload_of(document).size();
}

std::optional<PushToken> push_token_of(const bson_t& document) {
  const auto at = find(document, "pushToken");
  if (!at || !BSON_ITER_HOLDS_DOCUMENT(&*at)) return std::nullopt;
  const std::uint8_t* bytes = nullptr;
  std::uint32_t size = 0;
  bson_iter_document(&*at, &size, &bytes);
  bson_t token;
  if (!bson_init_static(&token, bytes, size)) return std::nullopt;
  const auto provider = parse_push_provider(read_any_text(token, "provider").value_or(""));
  auto text = read_any_text(token, "token");
  if (!provider || !text) return std::nullopt;
  return PushToken{*provider, std::move(*text), read_any_text(token, "project").value_or("")};
}

StoredMessage message_of(const bson_t& document) {
  StoredMessage message;
  message.id = message_id_of(document);
  message.position = position_of(document);
  message.received_at = received_at_of(document);
  message.expires_at = read_time(document, "expiresAt");
  message.payload = make_payload(payload_of(document));
  message.push_token = push_token_of(document);
  return message;
}

Document figures_projection() {
  constexpr std::array kFields = {
      "messageId", "connectionId", "tenant",   "position",
      "createdAt", "expiresAt",    "callerId", "encryptedMessageByteCount"};
  Document projection;
  for (const char* field : kFields) projection.small(field, 1);
  return projection;
}

}  // namespace mpr::mongo
