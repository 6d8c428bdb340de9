#include "client/parameters.hpp"

#include "base/text.hpp"

namespace mpr::client {
namespace {

// Appends members to an object that it opens; end() closes it.
class ObjectText {
 public:
  explicit ObjectText(std::string& out) : out_(out) { out_ += '{'; }

  void text(std::string_view name, std::string_view value) { append_json_string(key(name), value); }
  void number(std::string_view name, std::uint64_t value) { append_number(key(name), value); }
  void raw(std::string_view name, std::string_view json) { key(name) += json; }
  void texts(std::string_view name, std::span<const std::string> values) {
    std::string& out = key(name);
    char separator = '[';
    for (const std::string& value : values) {
      out += separator;
      append_json_string(out, value);
      separator = ',';
    }
    out += values.empty() ? "[]" : "]";
  }
  std::string& key(std::string_view name) {
    if (out_.back() != '{') out_ += ',';
    append_json_string(out_, name);
    out_ += ':';
    return out_;
  }
  void end() { out_ += '}'; }

 private:
  std::string& out_;
};

void append(std::string& out, const PushToken& token) {
  ObjectText object(out);
  object.text("type", token.type);
  object.text("token", token.token);
  if (!token.project.empty()) object.text("project", token.project);
  object.end();
}

void append(std::string& out, const NewMessage& message) {
  ObjectText object(out);
  object.text("connectionId", message.connection_id);
  object.texts("recipientDids", message.recipient_dids);
  object.raw("payload", message.payload);
  object.text("messageId", message.message_id);
  if (message.push_token) append(object.key("pushNotificationToken"), *message.push_token);
  if (message.received_at) {
    std::string& value = object.key("receivedAt");
    value += '"';
    append_iso8601(value, *message.received_at);
    value += '"';
  }
  if (message.ttl) {
    object.raw("ttlSeconds", std::to_string(message.ttl->count()));
  }
  object.end();
}

}  // namespace

std::string parameters_of(const NewMessage& message) {
  std::string out;
  out.reserve(message.payload.size() + 512);
  append(out, message);
  return out;
}

std::string parameters_of(const std::vector<NewMessage>& messages) {
  std::string out = R"({"messages":)";
  char separator = '[';
  for (const NewMessage& message : messages) {
    out += separator;
    append(out, message);
    separator = ',';
  }
  out += messages.empty() ? "[]}" : "]}";
  return out;
}

std::string parameters_of(const TakeRequest& request) {
  std::string out;
  ObjectText object(out);
  object.text("connectionId", request.connection_id);
  if (request.recipient_did) object.text("recipientDid", *request.recipient_did);
  if (request.limit) object.number("limit", *request.limit);
  if (request.limit_bytes) object.number("limitBytes", *request.limit_bytes);
  if (request.deletion == Deletion::in_the_take) object.raw("deleteMessages", "true");
  object.end();
  return out;
}

std::string parameters_of(const QueueSelection& selection) {
  std::string out;
  ObjectText object(out);
  object.text("connectionId", selection.connection_id);
  if (selection.recipient_did) object.text("recipientDid", *selection.recipient_did);
  object.end();
  return out;
}

std::string removal_parameters(std::string_view connection_id, std::span<const std::string> ids) {
  std::string out;
  ObjectText object(out);
  object.text("connectionId", connection_id);
  object.texts("messageIds", ids);
  object.end();
  return out;
}

std::string connection_parameters(std::string_view connection_id) {
  return session_parameters(connection_id, nullptr);
}

std::string session_parameters(std::string_view connection_id, const std::string* session_id) {
  std::string out;
  ObjectText object(out);
  object.text("connectionId", connection_id);
  if (session_id) object.text("sessionId", *session_id);
  object.end();
  return out;
}

std::string resume_parameters(std::string_view connection_id, std::string_view session_id) {
  std::string out;
  ObjectText object(out);
  object.text("connectionId", connection_id);
  object.text("sessionId", session_id);
  object.raw("resume", "true");
  object.end();
  return out;
}

}  // namespace mpr::client
