#include "rpc/json_scanner.hpp"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

namespace mpr::rpc {

namespace {

constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
constexpr std::uint64_t kHighs = 0x8080808080808080ULL;

// The high bit of every byte of `word` that ends a run of plain string characters: a quote, a
// backslash or a control character. Bytes above the lowest one marked may be marked wrongly.
constexpr std::uint64_t special_bytes(std::uint64_t word) noexcept {
  const std::uint64_t quote = word ^ (kOnes * '"');
  const std::uint64_t backslash = word ^ (kOnes * '\\');
  const std::uint64_t controls = (word - kOnes * 0x20) & ~word;
  return (((quote - kOnes) & ~quote) | ((backslash - kOnes) & ~backslash) | controls) & kHighs;
}

bool is_plain(char c) noexcept {
  return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20;
}

// Strings are most of every frame, so they are passed eight bytes at a time.
const char* skip_plain(const char* at, const char* end) noexcept {
  while (end - at >= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    if (const std::uint64_t special = special_bytes(word); special != 0) {
      if constexpr (std::endian::native == std::endian::little) {
        return at + std::countr_zero(special) / 8;
      }
      break;
    }
    at += 8;
  }
  while (at != end && is_plain(*at)) ++at;
  return at;
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::optional<unsigned> hex_digit(char c) noexcept {
  if (is_digit(c)) return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return std::nullopt;
}

// Reads the four digits of a \u escape, which a scanner has checked already.
unsigned code_unit(std::string_view digits) noexcept {
  unsigned value = 0;
  for (const char c : digits.substr(0, 4)) value = value * 16 + hex_digit(c).value_or(0);
  return value;
}

void append_utf8(std::string& out, unsigned code_point) {
  const auto byte = [&out](unsigned value) { out += static_cast<char>(value); };
  if (code_point < 0x80) {
    byte(code_point);
  } else if (code_point < 0x800) {
    byte(0xC0 | (code_point >> 6));
    byte(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    byte(0xE0 | (code_point >> 12));
    byte(0x80 | (code_point >> 6 & 0x3F));
    byte(0x80 | (code_point & 0x3F));
  } else {
    byte(0xF0 | (code_point >> 18));
    byte(0x80 | (code_point >> 12 & 0x3F));
    byte(0x80 | (code_point >> 6 & 0x3F));
    byte(0x80 | (code_point & 0x3F));
  }
}

// Appends the character of the \u escape at the front of `rest`, with the second half of a
// surrogate pair where it needs one, and drops what it used.
bool append_unicode_escape(std::string& out, std::string_view& rest) {
  const unsigned first = code_unit(rest.substr(2));
  rest.remove_prefix(6);
  if (first < 0xD800 || first > 0xDFFF) {
    append_utf8(out, first);
    return true;
  }
  if (first > 0xDBFF || !rest.starts_with("\\u")) return false;
  const unsigned second = code_unit(rest.substr(2));
  if (second < 0xDC00 || second > 0xDFFF) return false;
  rest.remove_prefix(6);
  append_utf8(out, 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00));
  return true;
}

char simple_escape(char c) noexcept {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return c;
  }
}

}  // namespace

const char* const JsonScanner::kTooDeep = "nested deeper than 128";
static_assert(limits::kJsonDepth == 128, "the text above names the bound");

JsonType type_of(RawJson raw) noexcept {
  if (raw.empty()) return JsonType::absent;
  switch (raw.front()) {
    case '{':
      return JsonType::object;
    case '[':
      return JsonType::array;
    case '"':
      return JsonType::string;
    case 'n':
      return JsonType::null;
    case 't':
    case 'f':
      return JsonType::boolean;
    default:
      return JsonType::number;
  }
}

bool JsonScanner::value(RawJson& raw) {
  const char first = peek();
  const char* const start = at_;
  bool passed = false;
  RawJson ignored;
  switch (first) {
    case '"':
      passed = string(ignored);
      break;
    case '{':
      passed = object([&](std::string_view) { return value(ignored); });
      break;
    case '[':
      passed = array([&] { return value(ignored); });
      break;
    case 't':
      passed = word("true");
      break;
    case 'f':
      passed = word("false");
      break;
    case 'n':
      passed = word("null");
      break;
    default:
      passed = number();
  }
  raw = RawJson(start, static_cast<std::size_t>(at_ - start));
  return passed;
}

bool JsonScanner::at_end() {
  peek();
  return at_ == end_ || refuse("expected the end of the text");
}

std::string JsonScanner::problem() const {
  if (problem_ == nullptr) return {};
  if (problem_ == kTooDeep) return kTooDeep;
  std::string text = at_ == end_ ? "unexpected end of the text" : problem_;
  return text + " at byte " + std::to_string(at_ - begin_);
}

bool JsonScanner::string(std::string_view& inside) {
  const char* const start = ++at_;
  while (true) {
    at_ = skip_plain(at_, end_);
    if (at_ == end_) return refuse("unterminated string");
    if (*at_ == '"') break;
    if (*at_ != '\\') return refuse("control character in a string");
    if (!escape()) return false;
  }
  inside = std::string_view(start, static_cast<std::size_t>(at_ - start));
  ++at_;
  return true;
}

bool JsonScanner::escape() {
  const char* at = at_ + 1;
  if (at == end_ || std::strchr("\"\\/bfnrtu", *at) == nullptr || *at == '\0') {
    return refuse("invalid escape in a string");
  }
  const int hex_digits = *at++ == 'u' ? 4 : 0;
  for (int i = 0; i < hex_digits; ++i, ++at) {
    if (at == end_ || !hex_digit(*at)) return refuse("invalid escape in a string");
  }
  at_ = at;
  return true;
}

bool JsonScanner::digits() {
  if (at_ == end_ || !is_digit(*at_)) return refuse("expected a digit");
  while (at_ != end_ && is_digit(*at_)) ++at_;
  return true;
}

bool JsonScanner::number() {
  const bool negative = at_ != end_ && *at_ == '-';
  if (negative) ++at_;
  if (at_ == end_ || !is_digit(*at_))
    return refuse(negative ? "expected a digit" : "expected a value");
  if (*at_ == '0') {
    ++at_;  // a second digit is left over, and then refused as the lack of a comma or an end
  } else if (!digits()) {
    return false;
  }
  if (at_ != end_ && *at_ == '.') {
    ++at_;
    if (!digits()) return false;
  }
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    ++at_;
    if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
    if (!digits()) return false;
  }
  return true;
}

bool JsonScanner::word(std::string_view expected) {
  const std::string_view rest(at_, static_cast<std::size_t>(end_ - at_));
  if (!rest.starts_with(expected)) return refuse("expected a value");
  at_ += expected.size();
  return true;
}

bool append_unescaped(std::string& out, std::string_view inside) {
  while (true) {
    const auto escape = inside.find('\\');
    out.append(inside.substr(0, escape));
    if (escape == std::string_view::npos) return true;
    inside.remove_prefix(escape);
    if (inside[1] == 'u') {
      if (!append_unicode_escape(out, inside)) return false;
    } else {
      out += simple_escape(inside[1]);
      inside.remove_prefix(2);
    }
  }
}

std::string_view plain_name(std::string_view inside, std::string& buffer) {
  if (inside.find('\\') == std::string_view::npos) return inside;
  buffer.clear();
  return append_unescaped(buffer, inside) ? std::string_view(buffer) : inside;
}

std::optional<std::string> unescape(RawJson raw) {
  const std::string_view inside = raw.substr(1, raw.size() - 2);
  std::string out;
  out.reserve(inside.size());
  if (!append_unescaped(out, inside)) return std::nullopt;
  return out;
}

std::optional<std::uint64_t> whole_number(RawJson raw) noexcept {
  constexpr double kLargest = 9007199254740992.0;  // 2^53: beyond it doubles skip whole numbers
  double value = 0;
  const auto outcome = std::from_chars(raw.data(), raw.data() + raw.size(), value);
  if (outcome.ec != std::errc() || outcome.ptr != raw.data() + raw.size()) return std::nullopt;
  if (!(value >= 0 && value <= kLargest) || std::floor(value) != value) return std::nullopt;
  return static_cast<std::uint64_t>(value);
}

}  // namespace mpr::rpc
