#include "store/redis/stored_entry.hpp"

#include <array>
#include <charconv>

#include "store/redis/message_ids.hpp"

namespace mpr::redis {

namespace {

template <class N>
void append_decimal(std::string& out, N number) {
  std::array<char, 21> text;
  out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr);
}

void append_time(std::string& out, TimePoint time) {
  append_decimal(out, static_cast<std::int64_t>(time.time_since_epoch().count()));
}

char letter_of(PushProvider provider) {
  switch (provider) {
    case PushProvider::fcm:
      return 'f';
    case PushProvider::apns:
      return 'a';
    case PushProvider::webhook:
      return 'w';
  }
  return 'f';
}

std::optional<PushProvider> provider_of(std::string_view letter) {
  if (letter == "f") return PushProvider::fcm;
  if (letter == "a") return PushProvider::apns;
  if (letter == "w") return PushProvider::webhook;
  return std::nullopt;
}

// Reads the description from left to right; after the first mistake everything is empty.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool good() const { return good_; }
  bool at_end() const { return rest_.empty(); }

  std::string_view field() {
    const auto bar = rest_.find('|');
    if (bar == std::string_view::npos) return wrong();
    const std::string_view field = rest_.substr(0, bar);
    rest_.remove_prefix(bar + 1);
    return field;
  }
  template <class N>
  std::optional<N> number() {
    return number_of<N>(field());
  }
  std::optional<TimePoint> time() {
    const auto ms = number<std::int64_t>();
    if (!ms) return std::nullopt;
    return TimePoint(std::chrono::milliseconds(*ms));
  }
  std::vector<std::size_t> sizes() {
    std::vector<std::size_t> sizes;
    std::string_view list = field();
    while (!list.empty()) {
      const auto comma = list.find(',');
      const auto size = number_of<std::size_t>(list.substr(0, comma));
      if (!size) break;
      sizes.push_back(*size);
      list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    }
    return sizes;
  }
  std::string bytes(std::size_t size) {
    if (size > rest_.size()) return std::string(wrong());
    const std::string bytes(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return bytes;
  }
  std::string_view wrong() {
    good_ = false;
    rest_ = {};
    return {};
  }

 private:
  template <class N>
  std::optional<N> number_of(std::string_view text) {
    if (text.empty()) return std::nullopt;
    N number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc{} && end == text.data() + text.size()) return number;
    wrong();
    return std::nullopt;
  }

  std::string_view rest_;
  bool good_ = true;
};

}  // namespace

std::string describe(const NewMessage& message, TimePoint accepted_at, std::string_view nonce) {
  std::string text = "1|";
  text.reserve(64 + message.id.value.size());
  append_time(text, message.received_at);
  text += '|';
  if (accepted_at != message.received_at) append_time(text, accepted_at);
  text += '|';
  if (message.expires_at) append_time(text, *message.expires_at);
  text += '|';
  text += nonce;
  text += '|';
  const bool named = message.id_origin == IdOrigin::caller;
  if (named) append_decimal(text, message.id.value.size());
  text += '|';
  const auto& token = message.push_token;
  if (token) text += letter_of(token->provider);
  text += '|';
  if (token) append_decimal(text, token->token.size());
  text += '|';
  if (token) append_decimal(text, token->project.size());
  text += '|';
  for (std::size_t i = 0; i < message.recipient_dids.size(); ++i) {
    if (i > 0) text += ',';
    append_decimal(text, message.recipient_dids[i].value.size());
  }
  text += '|';
  if (named) text += message.id.value;
  if (token) text += token->token;
  if (token) text += token->project;
  for (const auto& did : message.recipient_dids) text += did.value;
  return text;
}

Result<EntryDescription> parse_description(std::string_view text) {
  Reader reader(text);
  EntryDescription out;
  if (reader.field() != "1") reader.wrong();
  const auto received = reader.time();
  const auto accepted = reader.time();
  out.expires_at = reader.time();
  out.nonce = reader.field();
  const auto id = reader.number<std::size_t>();
  const auto provider_letter = reader.field();
  const auto token = reader.number<std::size_t>();
  const auto project = reader.number<std::size_t>();
  const auto dids = reader.sizes();
  if (id) out.caller_id = MessageId(reader.bytes(*id));
  if (const auto provider = provider_of(provider_letter)) {
    out.push_token = PushToken{*provider, reader.bytes(token.value_or(0)), {}};
    out.push_token->project = reader.bytes(project.value_or(0));
  }
  for (const std::size_t size : dids) out.recipient_dids.emplace_back(reader.bytes(size));
  if (!reader.good() || !reader.at_end() || !received) {
    return fail(Errc::corrupt, "a message in Redis has a description that cannot be read");
  }
  out.received_at = *received;
  out.accepted_at = accepted.value_or(*received);
  return out;
}

MessageId StoredEntry::id(const Connection& connection) const {
  if (description.caller_id) return *description.caller_id;
  return encode_message_id(connection, {position, payload->size()});
}

Result<StoredEntry> parse_entry(Value&& item) {
  const bool shaped = item.is_array() && item.items.size() == 2 && item.items[1].is_array() &&
                      item.items[1].items.size() == 4;
  if (!shaped) return fail(Errc::corrupt, "a message in Redis does not have the expected fields");
  auto& fields = item.items[1].items;
  const auto position = position_of(item.items[0].text);
  if (!position || fields[0].text != "m" || fields[2].text != "p") {
    return fail(Errc::corrupt, "a message in Redis does not have the expected fields");
  }
  auto description = parse_description(fields[1].text);
  if (!description) return std::unexpected(std::move(description).error());
  return StoredEntry{*position, std::move(*description), make_payload(std::move(fields[3].text))};
}

StoredMessage as_stored(const Connection& connection, StoredEntry entry) {
  StoredMessage message;
  message.id = entry.id(connection);
  message.position = entry.position;
  message.received_at = entry.description.received_at;
  message.expires_at = entry.description.expires_at;
  message.payload = std::move(entry.payload);
  message.push_token = std::move(entry.description.push_token);
  return message;
}

TierMessage as_tier_message(const Connection& connection, StoredEntry entry) {
  TierMessage out;
  out.position = entry.position;
  out.message.connection = connection;
  out.message.id = entry.id(connection);
  out.message.id_origin = entry.description.caller_id ? IdOrigin::caller : IdOrigin::server;
  out.message.recipient_dids = std::move(entry.description.recipient_dids);
  out.message.payload = std::move(entry.payload);
  out.message.received_at = entry.description.received_at;
  out.message.expires_at = entry.description.expires_at;
  out.message.push_token = std::move(entry.description.push_token);
  return out;
}

}  // namespace mpr::redis
