#include "store/mongo/json_bson.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/text.hpp"

namespace mpr::mongo {

namespace {

constexpr int kMostLevels = 64;

// Reads JSON in its tightest form and writes BSON. Whatever it does not like makes it stop: the
// text is then kept as text, so it never has to understand everything.
class Converter {
 public:
  explicit Converter(std::string_view json) : json_(json) {}

  std::optional<std::string> convert() {
    if (!members(1) || at_ != json_.size()) return std::nullopt;
    return std::move(out_);
  }

 private:
  bool next_is(char c) {
    if (at_ >= json_.size() || json_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool next_is(std::string_view word) {
    if (json_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  template <class N>
  void append(N number) {
    char bytes[sizeof number];
    std::memcpy(bytes, &number, sizeof number);  // BSON is little-endian, as are our machines
    out_.append(bytes, sizeof number);
  }
  template <class N>
  void put(std::size_t where, N number) {
    std::memcpy(out_.data() + where, &number, sizeof number);
  }

  std::size_t open_document() {
    const std::size_t start = out_.size();
    append(std::int32_t{0});
    return start;
  }
  void close_document(std::size_t start) {
    out_.push_back('\0');
    put(start, static_cast<std::int32_t>(out_.size() - start));
  }

  // "{" has to come next.
  bool members(int level) {
    if (level > kMostLevels || !next_is('{')) return false;
    const std::size_t start = open_document();
    std::vector<std::string> names;
    if (!next_is('}')) {
      do {
        std::string name;
        if (!string(name) || !usable(name) || !next_is(':')) return false;
        if (std::find(names.begin(), names.end(), name) != names.end()) return false;
        if (!value(name, level)) return false;
        names.push_back(std::move(name));
        if (names.size() > kMostNames) return false;
      } while (next_is(','));
      if (!next_is('}')) return false;
    }
    close_document(start);
    return true;
  }

  bool elements(int level) {
    if (level > kMostLevels || !next_is('[')) return false;
    const std::size_t start = open_document();
    if (!next_is(']')) {
      std::size_t index = 0;
      do {
        // Not every server keeps arrays in arrays.
        if (at_ < json_.size() && json_[at_] == '[') return false;
        if (!value(std::to_string(index++), level)) return false;
      } while (next_is(','));
      if (!next_is(']')) return false;
    }
    close_document(start);
    return true;
  }

  static bool usable(const std::string& name) {
    return !name.empty() && name[0] != '$' && name.find('.') == std::string::npos;
  }

  bool value(const std::string& name, int level) {
    if (at_ >= json_.size()) return false;
    const std::size_t type_at = out_.size();
    out_.push_back('\0');
    out_.append(name.c_str(), name.size() + 1);
    switch (json_[at_]) {
      case '{':
        out_[type_at] = BSON_TYPE_DOCUMENT;
        return members(level + 1);
      case '[':
        out_[type_at] = BSON_TYPE_ARRAY;
        return elements(level + 1);
      case '"': {
        out_[type_at] = BSON_TYPE_UTF8;
        std::string text;
        if (!string(text)) return false;
        append(static_cast<std::int32_t>(text.size() + 1));
        out_.append(text.c_str(), text.size() + 1);
        return true;
      }
      case 't':
      case 'f':
        out_[type_at] = BSON_TYPE_BOOL;
        out_.push_back(json_[at_] == 't');
        return next_is(json_[at_] == 't' ? std::string_view("true") : "false");
      case 'n':
        out_[type_at] = BSON_TYPE_NULL;
        return next_is(std::string_view("null"));
      default:
        return number(type_at);
    }
  }

  bool number(std::size_t type_at) {
    const std::string_view rest = json_.substr(at_);
    const std::size_t length = rest.find_first_not_of("+-.0123456789eE");
    const std::string_view text = rest.substr(0, length);
    at_ += text.size();
    const char* const end = text.data() + text.size();
    std::int64_t whole = 0;
    if (const auto read = std::from_chars(text.data(), end, whole);
        read.ec == std::errc() && read.ptr == end) {
      const bool small = whole == static_cast<std::int32_t>(whole);
      out_[type_at] = small ? BSON_TYPE_INT32 : BSON_TYPE_INT64;
      small ? append(static_cast<std::int32_t>(whole)) : append(whole);
      return true;
    }
    double real = 0;
    const auto read = std::from_chars(text.data(), end, real);
    if (read.ec != std::errc() || read.ptr != end || !std::isfinite(real)) return false;
    out_[type_at] = BSON_TYPE_DOUBLE;
    append(real);
    return true;
  }

  // Only the escapes that append_json_string() writes can come back as they were.
  bool string(std::string& out) {
    if (!next_is('"')) return false;
    for (;;) {
      const std::size_t stop = json_.find_first_of("\"\\", at_);
      if (stop == std::string_view::npos) return false;
      out += json_.substr(at_, stop - at_);
      at_ = stop + 1;
      if (json_[stop] == '"') return true;
      if (!escape(out)) return false;
    }
  }

  bool escape(std::string& out) {
    if (at_ >= json_.size()) return false;
    constexpr std::string_view kLetters = "\"\\bfnrt";
    constexpr std::string_view kMeanings = "\"\\\b\f\n\r\t";
    const char letter = json_[at_++];
    if (const std::size_t known = kLetters.find(letter); known != std::string_view::npos) {
      out += kMeanings[known];
      return true;
    }
    if (letter != 'u' || json_.size() - at_ < 4) return false;
    unsigned code = 0;
    const char* const digits = json_.data() + at_;
    const auto read = std::from_chars(digits, digits + 4, code, 16);
    if (read.ptr != digits + 4 || code == 0 || code >= 0x20) return false;
    out += static_cast<char>(code);
    at_ += 4;
    return true;
  }

  // Names are compared with each other, so an object with very many of them is left as text.
  static constexpr std::size_t kMostNames = 256;

  std::string_view json_;
  std::size_t at_ = 0;
  std::string out_;
};

void append_real(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  // The existing service keeps every large integer as a double.
  constexpr double kExact = 9007199254740992.0;
  char text[32];
  const bool whole = value == std::trunc(value) && std::fabs(value) < kExact;
  const auto end = whole && !(value == 0 && std::signbit(value))
                       ? std::to_chars(text, text + sizeof text, static_cast<std::int64_t>(value))
                       : std::to_chars(text, text + sizeof text, value);
  out.append(text, end.ptr);
}

void append_base64(std::string& out, const std::uint8_t* bytes, std::size_t size) {
  constexpr const char* kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < size; i += 3) {
    const std::size_t left = std::min<std::size_t>(3, size - i);
    std::uint32_t group = std::uint32_t{bytes[i]} << 16;
    if (left > 1) group |= std::uint32_t{bytes[i + 1]} << 8;
    if (left > 2) group |= bytes[i + 2];
    for (std::size_t digit = 0; digit < 4; ++digit) {
      out += digit <= left ? kDigits[(group >> (18 - 6 * digit)) & 63] : '=';
    }
  }
}

void append_members(std::string& out, const bson_iter_t& before_first, bool named) {
  bson_iter_t at = before_first;  // not by value: an argument would not be aligned as libbson asks
  out += named ? '{' : '[';
  bool first = true;
  while (bson_iter_next(&at)) {
    if (!first) out += ',';
    first = false;
    if (named) {
      append_json_string(out, bson_iter_key(&at));
      out += ':';
    }
    append_json(out, at);
  }
  out += named ? '}' : ']';
}

void append_odd(std::string& out, const bson_iter_t& value) {
  switch (bson_iter_type(&value)) {
    case BSON_TYPE_DATE_TIME:
      out += '"';
      append_iso8601(out, TimePoint(std::chrono::milliseconds(bson_iter_date_time(&value))));
      out += '"';
      return;
    case BSON_TYPE_OID: {
      char text[25];
      bson_oid_to_string(bson_iter_oid(&value), text);
      return append_json_string(out, text);
    }
    case BSON_TYPE_BINARY: {
      const std::uint8_t* bytes = nullptr;
      std::uint32_t size = 0;
      bson_subtype_t subtype{};
      bson_iter_binary(&value, &subtype, &size, &bytes);
      out += '"';
      append_base64(out, bytes, size);
      out += '"';
      return;
    }
    case BSON_TYPE_DECIMAL128: {
      bson_decimal128_t decimal;
      bson_iter_decimal128(&value, &decimal);
      char text[BSON_DECIMAL128_STRING];
      bson_decimal128_to_string(&decimal, text);
      return append_json_string(out, text);
    }
    default:
      out += "null";
  }
}

}  // namespace

std::optional<std::string> bson_of_json(std::string_view json) {
  if (!bson_utf8_validate(json.data(), json.size(), false)) return std::nullopt;
  auto bytes = Converter(json).convert();
  if (!bytes) return std::nullopt;
  bson_t view;
  if (!bson_init_static(&view, reinterpret_cast<const std::uint8_t*>(bytes->data()),
                        bytes->size())) {
    return std::nullopt;
  }
  std::string back;
  back.reserve(json.size());
  append_json(back, view);
  if (back != json) return std::nullopt;
  return bytes;
}

void append_json(std::string& out, const bson_iter_t& value) {
  bson_iter_t inner;
  switch (bson_iter_type(&value)) {
    case BSON_TYPE_UTF8: {
      std::uint32_t size = 0;
      const char* const text = bson_iter_utf8(&value, &size);
      return append_json_string(out, std::string_view(text, size));
    }
    case BSON_TYPE_DOCUMENT:
    case BSON_TYPE_ARRAY:
      if (!bson_iter_recurse(&value, &inner)) break;
      return append_members(out, inner, bson_iter_type(&value) == BSON_TYPE_DOCUMENT);
    case BSON_TYPE_INT32:
      out += std::to_string(bson_iter_int32(&value));
      return;
    case BSON_TYPE_INT64:
      out += std::to_string(bson_iter_int64(&value));
      return;
    case BSON_TYPE_DOUBLE:
      return append_real(out, bson_iter_double(&value));
    case BSON_TYPE_BOOL:
      out += bson_iter_bool(&value) ? "true" : "false";
      return;
    default:
      break;
  }
  append_odd(out, value);
}

void append_json(std::string& out, const bson_t& document) {
  bson_iter_t at;
  if (!bson_iter_init(&at, &document)) {
    out += "{}";
    return;
  }
  append_members(out, at, true);
}

}  // namespace mpr::mongo
