#include "store/redis/session_record.hpp"

#include <charconv>

#include "base/text.hpp"

namespace mpr::redis {

namespace {

// Cuts a decimal number and the character behind it from the front of `text`.
std::optional<std::uint64_t> cut_number(std::string_view& text, char end) {
  std::uint64_t value = 0;
  const char* const last = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc() || at == last || *at != end) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(at - text.data()) + 1);
  return value;
}

}  // namespace

std::string record_prefix(Epoch epoch) {
  std::string text = "1 ";
  append_number(text, epoch.value);
  text += ' ';
  return text;
}

std::string encode(const SessionRecord& record) {
  std::string text = record_prefix(record.epoch);
  append_number(text, record.opened_at.value);
  text += ' ';
  append_number(text, record.gateway.value.size());
  text += ':';
  text += record.gateway.value;
  text += record.session_id.value;
  return text;
}

std::optional<SessionRecord> decode_session_record(std::string_view text) {
  const auto format = cut_number(text, ' ');
  if (format != 1) return std::nullopt;
  const auto epoch = cut_number(text, ' ');
  const auto opened_at = epoch ? cut_number(text, ' ') : std::nullopt;
  const auto length = opened_at ? cut_number(text, ':') : std::nullopt;
  if (!length || *length > text.size()) return std::nullopt;
  return SessionRecord{Epoch{*epoch}, Position{*opened_at}, GatewayId(text.substr(0, *length)),
                       SessionId(text.substr(*length))};
}

}  // namespace mpr::redis
