#include "tools/bench/delivered.hpp"

#include <string>

namespace mpr::bench {
namespace {

// A text that is eaten from the front.
class Cursor {
 public:
  explicit Cursor(std::string_view rest) : rest_(rest) {}

  bool skip(std::string_view expected) {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }
  // The characters before the next quote, which is eaten as well.
  bool quoted(std::string_view& out) {
    const std::size_t end = rest_.find('"');
    if (end == std::string_view::npos) return false;
    out = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return out.find('\\') == std::string_view::npos;
  }
  bool bytes(std::size_t count, std::string_view& out) {
    if (rest_.size() < count) return false;
    out = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return true;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

std::unexpected<Error> unexpected_shape(const Cursor& at) {
  return fail(Errc::internal,
              "unexpected shape of delivered messages at: " + std::string(at.rest().substr(0, 80)));
}

// Reads the members of the array behind its opening bracket, and the closing one.
bool read_array(Cursor& cursor, std::size_t payload_bytes, std::vector<DeliveredMessage>& out) {
  out.clear();
  if (cursor.skip("]")) return true;
  do {
    DeliveredMessage message;
    if (!cursor.skip(R"({"id":")") || !cursor.quoted(message.id) ||
        !cursor.skip(R"(,"receivedAt":")") || !cursor.quoted(message.received_at) ||
        !cursor.skip(R"(,"encryptedMessage":)") || !cursor.bytes(payload_bytes, message.payload) ||
        !cursor.skip("}")) {
      return false;
    }
    out.push_back(message);
  } while (cursor.skip(","));
  return cursor.skip("]");
}

}  // namespace

Result<void> read_messages(std::string_view json, std::size_t payload_bytes,
                           std::vector<DeliveredMessage>& out) {
  Cursor cursor(json);
  if (!cursor.skip("[") || !read_array(cursor, payload_bytes, out) || !cursor.rest().empty()) {
    return unexpected_shape(cursor);
  }
  return {};
}

Result<void> read_event(std::string_view params, std::size_t payload_bytes, DeliveredBatch& out) {
  Cursor cursor(params);
  if (!cursor.skip(R"({"connectionId":")") || !cursor.quoted(out.connection_id) ||
      !cursor.skip(R"(,"messages":[)") || !read_array(cursor, payload_bytes, out.messages) ||
      !cursor.skip(R"(,"id":""})") || !cursor.rest().empty()) {
    return unexpected_shape(cursor);
  }
  return {};
}

std::optional<std::string_view> read_message_id(std::string_view add_result) noexcept {
  Cursor cursor(add_result);
  std::string_view id;
  if (!cursor.skip(R"({"messageId":")") || !cursor.quoted(id) || id.empty()) return std::nullopt;
  return id;
}

}  // namespace mpr::bench
