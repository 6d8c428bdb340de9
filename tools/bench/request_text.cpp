#include "tools/bench/request_text.hpp"

#include <cstring>

namespace mpr::bench {
namespace {

constexpr std::string_view kPayloadHead = R"({"protected":"eyJ0eXAiOiJKV00vMS4wIn0","seq":")";
constexpr std::string_view kPayloadMiddle = R"(","ciphertext":")";
constexpr std::string_view kPayloadTail = R"("})";
constexpr std::string_view kRecipientDid =
    "did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH";

}  // namespace

PatchedText::Field PatchedText::append_field(std::size_t width) {
  const Field field{text_.size(), width};
  text_.append(width, '0');
  return field;
}

void PatchedText::set(Field field, std::uint64_t value) noexcept {
  for (std::size_t i = field.width; i-- > 0; value /= 10) {
    text_[field.offset + i] = static_cast<char>('0' + value % 10);
  }
}

std::optional<std::uint64_t> parse_digits(std::string_view digits) noexcept {
  if (digits.empty() || digits.size() > 19) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

std::string ConnectionNames::name(std::uint64_t number) const {
  PatchedText text;
  text.append(prefix_);
  text.set(text.append_field(kDigits), number);
  return std::string(text.text());
}

std::optional<std::uint64_t> ConnectionNames::number_of(std::string_view name) const noexcept {
  if (name.size() != prefix_.size() + kDigits || !name.starts_with(prefix_)) return std::nullopt;
  return parse_digits(name.substr(prefix_.size()));
}

const std::size_t PayloadText::kLeastBytes =
    kPayloadHead.size() + kSequenceDigits + kPayloadMiddle.size() + kPayloadTail.size();

PayloadText::PayloadText(std::size_t bytes) {
  text_.append(kPayloadHead);
  sequence_ = text_.append_field(kSequenceDigits);
  text_.append(kPayloadMiddle);
  const std::size_t fill = bytes > kLeastBytes ? bytes - kLeastBytes : 0;
  // base64url-like text: no run of one byte that a link or a disk could squeeze.
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string filler(fill, 'A');
  std::uint64_t state = 0x9e3779b97f4a7c15;
  for (char& c : filler) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    c = kAlphabet[state >> 58];
  }
  text_.append(filler);
  text_.append(kPayloadTail);
}

std::optional<std::uint64_t> PayloadText::sequence_of(std::string_view payload) const noexcept {
  const std::string_view own = text_.text();
  const std::size_t behind = sequence_.offset + sequence_.width;
  if (payload.size() != own.size() ||
      std::memcmp(payload.data(), own.data(), sequence_.offset) != 0 ||
      std::memcmp(payload.data() + behind, own.data() + behind, own.size() - behind) != 0) {
    return std::nullopt;
  }
  return parse_digits(payload.substr(sequence_.offset, sequence_.width));
}

AddParams::AddParams(const ConnectionNames& names, std::size_t payload_bytes) {
  text_.append(R"({"connectionId":")");
  text_.append(names.prefix());
  connection_ = text_.append_field(ConnectionNames::kDigits);
  text_.append(R"(","recipientDids":[")");
  text_.append(kRecipientDid);
  text_.append(R"("],"payload":)");
  const std::size_t payload_offset = text_.text().size();
  text_.append(PayloadText(payload_bytes).text());
  sequence_ = {payload_offset + kPayloadHead.size(), PayloadText::kSequenceDigits};
  text_.append("}");
}

std::string_view AddParams::patch(std::uint64_t connection, std::uint64_t sequence) noexcept {
  text_.set(connection_, connection);
  text_.set(sequence_, sequence);
  return text_.text();
}

ConnectionParams::ConnectionParams(const ConnectionNames& names, std::string_view tail) {
  text_.append(R"({"connectionId":")");
  text_.append(names.prefix());
  connection_ = text_.append_field(ConnectionNames::kDigits);
  text_.append("\"");
  text_.append(tail);
  text_.append("}");
}

std::string_view ConnectionParams::patch(std::uint64_t connection) noexcept {
  text_.set(connection_, connection);
  return text_.text();
}

}  // namespace mpr::bench
