#include "store/redis/channel_message.hpp"

#include <cstddef>
#include <utility>

namespace mpr::redis {

namespace {

constexpr char kFormat = '1';

// Numbers are little-endian, seven bits to a byte; texts are preceded by their length.
class Writer {
 public:
  void number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) out_ += static_cast<char>((value & 0x7f) | 0x80);
    out_ += static_cast<char>(value);
  }
  void fixed(std::uint64_t value) {
    for (unsigned shift = 0; shift < 64; shift += 8) {
      out_ += static_cast<char>((value >> shift) & 0xff);
    }
  }
  void text(std::string_view value) {
    number(value.size());
    out_ += value;
  }
  void character(char value) { out_ += value; }
  void connection(const Connection& value) {
    text(value.tenant.value);
    text(value.id.value);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(character());
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    failed_ = true;
    return 0;
  }
  std::uint64_t fixed() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 8) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(character())) << shift;
    }
    return value;
  }
  std::string_view text() {
    const std::uint64_t length = number();
    if (length > rest_.size()) failed_ = true;
    if (failed_) return {};
    const auto value = rest_.substr(0, static_cast<std::size_t>(length));
    rest_.remove_prefix(value.size());
    return value;
  }
  char character() {
    if (rest_.empty()) {
      failed_ = true;
      return 0;
    }
    const char value = rest_.front();
    rest_.remove_prefix(1);
    return value;
  }
  Connection connection() {
    TenantId tenant(text());
    return {std::move(tenant), ConnectionId(text())};
  }
  bool whole() const noexcept { return !failed_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

std::uint64_t milliseconds_of(TimePoint time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}
TimePoint time_of(std::uint64_t milliseconds) {
  return TimePoint(std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds)));
}

// --- each kind: its letter, how it is written, how it is read ----------------------------------

constexpr char letter(const Announced&) { return 'A'; }
constexpr char letter(const Superseded&) { return 'S'; }
constexpr char letter(const Overlooked&) { return 'D'; }
constexpr char letter(const Beacon&) { return 'B'; }
constexpr char letter(const OrphanMessage&) { return 'O'; }
constexpr char letter(const ListenerCame&) { return 'L'; }
constexpr char letter(const Left&) { return 'X'; }

void write(Writer& out, const Announced& content) {
  out.number(content.number);
  out.connection(content.connection);
  out.number(content.position.value);
}
void write(Writer& out, const Superseded& content) {
  out.number(content.number);
  out.connection(content.connection);
  out.number(content.newer.value);
}
void write(Writer& out, const Overlooked& content) { out.number(content.number); }
void write(Writer& out, const Beacon& content) { out.number(content.last); }
void write(Writer& out, const OrphanMessage& content) {
  const StoredMessage& message = content.message;
  out.connection(content.connection);
  out.number(content.orphan.value);
  out.text(message.id.value);
  out.number(message.position.value);
  out.fixed(milliseconds_of(message.received_at));
  out.number(message.expires_at ? 1 : 0);
  out.fixed(message.expires_at ? milliseconds_of(*message.expires_at) : 0);
  out.text(*message.payload);
}
void write(Writer& out, const ListenerCame& content) { out.text(content.tenant.value); }
void write(Writer&, const Left&) {}

Announced read_announced(Reader& in) {
  Announced content;
  content.number = in.number();
  content.connection = in.connection();
  content.position = Position{in.number()};
  return content;
}
Superseded read_superseded(Reader& in) {
  Superseded content;
  content.number = in.number();
  content.connection = in.connection();
  content.newer = Epoch{in.number()};
  return content;
}
OrphanMessage read_orphan_message(Reader& in) {
  OrphanMessage content;
  content.connection = in.connection();
  content.orphan = Epoch{in.number()};
  content.message.id = MessageId(in.text());
  content.message.position = Position{in.number()};
  content.message.received_at = time_of(in.fixed());
  const bool expires = in.number() != 0;
  const TimePoint expires_at = time_of(in.fixed());
  if (expires) content.message.expires_at = expires_at;
  content.message.payload = make_payload(std::string(in.text()));
  return content;
}

std::optional<ChannelContent> read_content(char kind, Reader& in) {
  switch (kind) {
    case 'A':
      return read_announced(in);
    case 'S':
      return read_superseded(in);
    case 'D':
      return Overlooked{in.number()};
    case 'B':
      return Beacon{in.number()};
    case 'O':
      return read_orphan_message(in);
    case 'L':
      return ListenerCame{TenantId(in.text())};
    case 'X':
      return Left{};
    default:
      return std::nullopt;
  }
}

}  // namespace

std::string encode(const ChannelMessage& message) {
  Writer out;
  out.character(kFormat);
  std::visit([&](const auto& content) { out.character(letter(content)); }, message.content);
  out.fixed(message.speaker.incarnation);
  out.text(message.speaker.gateway.value);
  std::visit([&](const auto& content) { write(out, content); }, message.content);
  return out.take();
}

std::optional<ChannelMessage> decode_channel_message(std::string_view bytes) {
  Reader in(bytes);
  if (in.character() != kFormat) return std::nullopt;
  const char kind = in.character();
  Speaker speaker;
  speaker.incarnation = in.fixed();
  speaker.gateway = GatewayId(in.text());
  auto content = read_content(kind, in);
  if (!content || !in.whole()) return std::nullopt;
  return ChannelMessage{std::move(speaker), std::move(*content)};
}

}  // namespace mpr::redis
