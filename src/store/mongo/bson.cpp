#include "store/mongo/bson.hpp"

#include <stdexcept>

namespace mpr::mongo {

namespace {

int length(std::string_view text) { return static_cast<int>(text.size()); }

// libbson fails only when a document grows over 2 GiB.
void check(bool appended) {
  if (!appended) throw std::length_error("a BSON document over 2 GiB");
}

}  // namespace

Document& Document::text(std::string_view key, std::string_view value) {
  check(bson_append_utf8(get(), key.data(), length(key), value.data(), length(value)));
  return *this;
}

Document& Document::binary(std::string_view key, std::string_view value) {
  check(bson_append_binary(get(), key.data(), length(key), BSON_SUBTYPE_BINARY,
                           reinterpret_cast<const std::uint8_t*>(value.data()),
                           static_cast<std::uint32_t>(value.size())));
  return *this;
}

Document& Document::any_text(std::string_view key, std::string_view value) {
  const bool plain = bson_utf8_validate(value.data(), value.size(), false);
  return plain ? text(key, value) : binary(key, value);
}

Document& Document::integer(std::string_view key, std::int64_t value) {
  check(bson_append_int64(get(), key.data(), length(key), value));
  return *this;
}

Document& Document::small(std::string_view key, std::int32_t value) {
  check(bson_append_int32(get(), key.data(), length(key), value));
  return *this;
}

Document& Document::boolean(std::string_view key, bool value) {
  check(bson_append_bool(get(), key.data(), length(key), value));
  return *this;
}

Document& Document::time(std::string_view key, TimePoint value) {
  check(bson_append_date_time(get(), key.data(), length(key), value.time_since_epoch().count()));
  return *this;
}

Document& Document::object_id(std::string_view key, const bson_oid_t& value) {
  check(bson_append_oid(get(), key.data(), length(key), &value));
  return *this;
}

Document& Document::null(std::string_view key) {
  check(bson_append_null(get(), key.data(), length(key)));
  return *this;
}

Document& Document::document(std::string_view key, const Document& value) {
  check(bson_append_document(get(), key.data(), length(key), value.get()));
  return *this;
}

Document& Document::raw_document(std::string_view key, std::string_view bytes) {
  bson_t view;
  check(bson_init_static(&view, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
  check(bson_append_document(get(), key.data(), length(key), &view));
  return *this;
}

Document& Document::array(std::string_view key, const Document& value) {
  check(bson_append_array(get(), key.data(), length(key), value.get()));
  return *this;
}

Document& Document::value(std::string_view key, const bson_iter_t& value) {
  check(bson_append_iter(get(), key.data(), length(key), &value));
  return *this;
}

std::string Document::json() const {
  std::size_t size = 0;
  char* const text = bson_as_relaxed_extended_json(get(), &size);
  std::string out(text ? text : "", size);
  bson_free(text);
  return out;
}

Member find(const bson_t& document, const char* key) { return {document, key}; }

std::optional<std::string> any_text_at(const bson_iter_t& at) {
  std::uint32_t size = 0;
  if (BSON_ITER_HOLDS_UTF8(&at)) {
    const char* const text = bson_iter_utf8(&at, &size);
    return std::string(text, size);
  }
  if (BSON_ITER_HOLDS_BINARY(&at)) {
    const std::uint8_t* bytes = nullptr;
    bson_subtype_t subtype{};
    bson_iter_binary(&at, &subtype, &size, &bytes);
    return std::string(reinterpret_cast<const char*>(bytes), size);
  }
  return std::nullopt;
}

std::optional<std::string> read_any_text(const bson_t& document, const char* key) {
  const auto at = find(document, key);
  return at ? any_text_at(*at) : std::nullopt;
}

std::optional<std::int64_t> read_integer(const bson_t& document, const char* key) {
  const auto at = find(document, key);
  if (!at || !BSON_ITER_HOLDS_NUMBER(&*at)) return std::nullopt;
  return bson_iter_as_int64(&*at);
}

std::optional<TimePoint> read_time(const bson_t& document, const char* key) {
  const auto at = find(document, key);
  if (!at || !BSON_ITER_HOLDS_DATE_TIME(&*at)) return std::nullopt;
  return TimePoint(std::chrono::milliseconds(bson_iter_date_time(&*at)));
}

}  // namespace mpr::mongo
