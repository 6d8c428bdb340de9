#include "store/redis/message_ids.hpp"

#include <array>
#include <charconv>

namespace mpr::redis {

namespace {

constexpr unsigned kNumberBits = 20;
// In the order of the bytes, so that ids sort as their positions.
constexpr std::string_view kDigits =
    "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
constexpr std::size_t kPositionDigits = 11;
constexpr std::size_t kCheckDigits = 4;
constexpr std::size_t kSizeDigits = 2;  // at least; as many as it takes

template <class N>
void append_decimal(std::string& out, N number) {
  std::array<char, 20> text;
  out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr);
}

template <class N>
bool parse_decimal(std::string_view text, N& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

void append_digits(std::string& out, std::uint64_t number, std::size_t digits) {
  for (std::size_t i = digits; i > 0; --i) out += kDigits[(number >> (6 * (i - 1))) & 63U];
}

std::optional<std::uint64_t> parse_digits(std::string_view text) {
  std::uint64_t number = 0;
  for (const char c : text) {
    const auto digit = kDigits.find(c);
    if (digit == std::string_view::npos || number >> 58U != 0) return std::nullopt;
    number = number << 6U | digit;
  }
  return number;
}

// FNV-1a over everything, spread by the finalizer of MurmurHash3.
std::uint64_t check_of(const Connection& connection, const ServerMessageId& what) {
  std::uint64_t h = 0xcbf29ce484222325ULL;
  const auto add = [&h](std::string_view bytes) {
    for (const char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  };
  std::string numbers;
  append_decimal(numbers, what.position.value);
  numbers += ' ';
  append_decimal(numbers, what.size);
  numbers += ' ';
  append_decimal(numbers, connection.tenant.value.size());
  numbers += ' ';
  add(numbers);
  add(connection.tenant.value);
  add(connection.id.value);
  h = (h ^ (h >> 33U)) * 0xff51afd7ed558ccdULL;
  h = (h ^ (h >> 33U)) * 0xc4ceb9fe1a85ec53ULL;
  return h >> 40U;
}

}  // namespace

void append_entry(std::string& out, Position position) {
  append_decimal(out, position.value >> kNumberBits);
  out += '-';
  append_decimal(out, position.value & ((1U << kNumberBits) - 1));
}

std::string entry_of(Position position) {
  std::string entry;
  append_entry(entry, position);
  return entry;
}

std::optional<Position> position_of(std::string_view entry) {
  const auto dash = entry.find('-');
  std::uint64_t milliseconds = 0;
  std::uint64_t number = 0;
  if (dash == std::string_view::npos || !parse_decimal(entry.substr(0, dash), milliseconds) ||
      !parse_decimal(entry.substr(dash + 1), number)) {
    return std::nullopt;
  }
  if (milliseconds >> (64 - kNumberBits) != 0 || number >> kNumberBits != 0) return std::nullopt;
  return Position{milliseconds << kNumberBits | number};
}

MessageId encode_message_id(const Connection& connection, const ServerMessageId& what) {
  std::string id;
  id.reserve(kPositionDigits + kCheckDigits + 4);
  append_digits(id, what.position.value, kPositionDigits);
  append_digits(id, check_of(connection, what), kCheckDigits);
  std::size_t digits = kSizeDigits;
  while (digits < 10 && what.size >> (6 * digits) != 0) ++digits;
  append_digits(id, what.size, digits);
  return MessageId(std::move(id));
}

std::optional<ServerMessageId> decode_message_id(const Connection& connection,
                                                 std::string_view id) {
  if (id.size() < kPositionDigits + kCheckDigits + kSizeDigits) return std::nullopt;
  const auto position = parse_digits(id.substr(0, kPositionDigits));
  const auto check = parse_digits(id.substr(kPositionDigits, kCheckDigits));
  const auto size = parse_digits(id.substr(kPositionDigits + kCheckDigits));
  if (!position || !check || !size) return std::nullopt;
  const ServerMessageId what{Position{*position}, *size};
  if (*check != check_of(connection, what)) return std::nullopt;
  if (encode_message_id(connection, what).value != id) return std::nullopt;  // one spelling only
  return what;
}

std::string encode_connection(const Connection& connection) {
  std::string text;
  append_decimal(text, connection.tenant.value.size());
  text += ':';
  text += connection.tenant.value;
  text += connection.id.value;
  return text;
}

std::optional<Connection> decode_connection(std::string_view text) {
  const auto colon = text.find(':');
  std::size_t tenant = 0;
  if (colon == std::string_view::npos || !parse_decimal(text.substr(0, colon), tenant)) {
    return std::nullopt;
  }
  text.remove_prefix(colon + 1);
  if (tenant > text.size()) return std::nullopt;
  return Connection{TenantId(text.substr(0, tenant)), ConnectionId(text.substr(tenant))};
}

}  // namespace mpr::redis
