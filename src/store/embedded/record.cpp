#include "store/embedded/record.hpp"

#include <algorithm>
#include <limits>

#include "store/embedded/bytes.hpp"
#include "store/embedded/crc32c.hpp"

namespace mpr {

namespace {

// Flags of an add record.
constexpr std::uint8_t kCallerChoseId = 1;
constexpr std::uint8_t kExpires = 2;
constexpr std::uint8_t kHasToken = 4;

constexpr std::size_t kLengthAt = 4;
constexpr std::size_t kGroupAt = 8;

std::size_t begin_record(std::string& out, RecordType type, std::uint8_t flags,
                         std::uint64_t position) {
  const std::size_t at = out.size();
  put_number(out, std::uint64_t{0});  // checksum and length
  put_number(out, std::uint32_t{0});  // group
  put_number(out, static_cast<std::uint8_t>(type));
  put_number(out, flags);
  put_number(out, std::uint16_t{0});
  put_number(out, position);
  return at;
}

void end_record(std::string& out, std::size_t at) {
  out.append((kRecordAlignment - (out.size() - at) % kRecordAlignment) % kRecordAlignment, '\0');
  overwrite_number(out, at + kLengthAt, static_cast<std::uint32_t>(out.size() - at));
}

std::int64_t milliseconds_of(TimePoint time) { return time.time_since_epoch().count(); }
TimePoint time_of(std::int64_t milliseconds) {
  return TimePoint(std::chrono::milliseconds(milliseconds));
}

std::uint8_t flags_of(std::string_view record) { return static_cast<std::uint8_t>(record[13]); }

ByteReader body_of(std::string_view record) {
  return ByteReader(record.substr(kRecordHeaderBytes));
}

// What is left behind the last field may only be the filling up to the alignment.
bool only_padding(std::string_view left) {
  return left.size() < kRecordAlignment &&
         std::all_of(left.begin(), left.end(), [](char c) { return c == '\0'; });
}

bool is(std::string_view record, RecordType type) {
  return record.size() >= kRecordHeaderBytes && static_cast<RecordType>(record[12]) == type;
}

std::size_t varint_bytes(std::uint64_t value) {
  std::size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

std::size_t text_bytes(std::string_view text) { return varint_bytes(text.size()) + text.size(); }

}  // namespace

std::optional<RecordHeader> decode_header(std::string_view bytes, std::uint64_t offset) {
  if (bytes.size() < kRecordHeaderBytes) return std::nullopt;
  ByteReader reader(bytes);
  RecordHeader header;
  header.checksum = reader.number<std::uint32_t>();
  header.length = reader.number<std::uint32_t>();
  header.group = reader.number<std::uint32_t>();
  header.type = static_cast<RecordType>(reader.number<std::uint8_t>());
  const auto flags = reader.number<std::uint8_t>();
  const auto reserved = reader.number<std::uint16_t>();
  header.position = reader.number<std::uint64_t>();
  const bool placed = header.position != 0 && header.position <= kMaxPosition;
  const bool known = header.type == RecordType::add ? flags < 8 && placed
                     : header.type == RecordType::remove || header.type == RecordType::remembered
                         ? flags == 0 && header.position == 0
                         : false;
  const bool possible = header.length > kRecordHeaderBytes &&
                        header.length % kRecordAlignment == 0 && header.group <= offset &&
                        header.group % kRecordAlignment == 0 && reserved == 0;
  if (!known || !possible) return std::nullopt;
  return header;
}

std::string closed_mark(std::uint32_t seed) {
  std::string mark;
  put_number(mark, crc32c(seed, "closed"));
  put_number(mark, std::uint32_t{0});  // the length of no record
  return mark;
}

bool verify(std::string_view record, std::uint32_t seed) {
  const auto claimed = ByteReader(record).number<std::uint32_t>();
  return crc32c(seed, record.substr(kLengthAt)) == claimed;
}

std::optional<AddRecord> decode_add(std::string_view record) {
  if (!is(record, RecordType::add)) return std::nullopt;
  const std::uint8_t flags = flags_of(record);
  AddRecord add;
  add.position = ByteReader(record.substr(16)).number<std::uint64_t>();
  add.id_origin = (flags & kCallerChoseId) ? IdOrigin::caller : IdOrigin::server;
  ByteReader body = body_of(record);
  add.received_at = time_of(body.number<std::int64_t>());
  if (flags & kExpires) add.expires_at = time_of(body.number<std::int64_t>());
  add.tenant = body.text();
  add.connection = body.text();
  add.id = body.text();
  if (flags & kHasToken) {
    const auto provider = body.number<std::uint8_t>();
    if (provider > static_cast<std::uint8_t>(PushProvider::webhook)) return std::nullopt;
    const std::string_view token = body.text();
    add.token = AddRecord::Token{static_cast<PushProvider>(provider), token, body.text()};
  }
  const std::uint64_t dids = body.varint();
  if (dids > body.left().size()) return std::nullopt;
  add.recipient_dids.reserve(static_cast<std::size_t>(dids));
  for (std::uint64_t i = 0; i < dids; ++i) add.recipient_dids.push_back(body.text());
  add.payload = body.text();
  if (!body.ok() || !only_padding(body.left())) return std::nullopt;
  return add;
}

std::optional<RemoveRecord> decode_remove(std::string_view record) {
  if (!is(record, RecordType::remove)) return std::nullopt;
  ByteReader body = body_of(record);
  RemoveRecord out;
  out.removed_at = time_of(body.number<std::int64_t>());
  const std::uint64_t count = body.varint();
  if (count > body.left().size()) return std::nullopt;
  out.removals.reserve(static_cast<std::size_t>(count));
  std::uint64_t position = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t step = body.varint();
    Removal removal;
    position += step >> 1;
    removal.position = position;
    if (step & 1) {
      Removal::CallerId& id = removal.caller_id.emplace();
      id.key.high = body.number<std::uint64_t>();
      id.key.low = body.number<std::uint64_t>();
      id.received_at = time_of(body.number<std::int64_t>());
    }
    out.removals.push_back(removal);
  }
  if (!body.ok() || !only_padding(body.left())) return std::nullopt;
  return out;
}

std::optional<std::vector<RememberedId>> decode_remembered(std::string_view record) {
  if (!is(record, RecordType::remembered)) return std::nullopt;
  ByteReader body = body_of(record);
  const std::uint64_t count = body.varint();
  if (count > body.left().size() / kRememberedIdBytes) return std::nullopt;
  std::vector<RememberedId> ids(static_cast<std::size_t>(count));
  for (RememberedId& id : ids) {
    id.key.high = body.number<std::uint64_t>();
    id.key.low = body.number<std::uint64_t>();
    id.position = body.number<std::uint64_t>();
    id.received_at = time_of(body.number<std::int64_t>());
    id.removed_at = time_of(body.number<std::int64_t>());
  }
  if (!body.ok() || !only_padding(body.left())) return std::nullopt;
  return ids;
}

std::size_t add_record_bytes(const NewMessage& message) {
  std::size_t bytes = kRecordHeaderBytes + 8 + (message.expires_at ? 8 : 0) +
                      text_bytes(message.connection.tenant.value) +
                      text_bytes(message.connection.id.value) + text_bytes(message.id.value) +
                      varint_bytes(message.recipient_dids.size()) + text_bytes(*message.payload);
  for (const RecipientDid& did : message.recipient_dids) bytes += text_bytes(did.value);
  if (message.push_token) {
    bytes += 1 + text_bytes(message.push_token->token) + text_bytes(message.push_token->project);
  }
  return (bytes + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
}

void append_add(std::string& out, const NewMessage& message, std::uint64_t position) {
  const auto flags = static_cast<std::uint8_t>(
      (message.id_origin == IdOrigin::caller ? kCallerChoseId : 0) |
      (message.expires_at ? kExpires : 0) | (message.push_token ? kHasToken : 0));
  const std::size_t at = begin_record(out, RecordType::add, flags, position);
  put_number(out, milliseconds_of(message.received_at));
  if (message.expires_at) put_number(out, milliseconds_of(*message.expires_at));
  put_text(out, message.connection.tenant.value);
  put_text(out, message.connection.id.value);
  put_text(out, message.id.value);
  if (message.push_token) {
    put_number(out, static_cast<std::uint8_t>(message.push_token->provider));
    put_text(out, message.push_token->token);
    put_text(out, message.push_token->project);
  }
  put_varint(out, message.recipient_dids.size());
  for (const RecipientDid& did : message.recipient_dids) put_text(out, did.value);
  put_text(out, *message.payload);
  end_record(out, at);
}

void append_remove(std::string& out, TimePoint removed_at, std::vector<Removal>& removals) {
  std::sort(removals.begin(), removals.end(),
            [](const Removal& a, const Removal& b) { return a.position < b.position; });
  const std::size_t at = begin_record(out, RecordType::remove, 0, 0);
  put_number(out, milliseconds_of(removed_at));
  put_varint(out, removals.size());
  std::uint64_t before = 0;
  for (const Removal& removal : removals) {
    put_varint(out, (removal.position - before) << 1 | (removal.caller_id ? 1 : 0));
    before = removal.position;
    if (!removal.caller_id) continue;
    put_number(out, removal.caller_id->key.high);
    put_number(out, removal.caller_id->key.low);
    put_number(out, milliseconds_of(removal.caller_id->received_at));
  }
  end_record(out, at);
}

void append_remembered(std::string& out, std::span<const RememberedId> ids) {
  const std::size_t at = begin_record(out, RecordType::remembered, 0, 0);
  put_varint(out, ids.size());
  for (const RememberedId& id : ids) {
    put_number(out, id.key.high);
    put_number(out, id.key.low);
    put_number(out, id.position);
    put_number(out, milliseconds_of(id.received_at));
    put_number(out, milliseconds_of(id.removed_at));
  }
  end_record(out, at);
}

void seal(std::string& out, std::size_t at, std::uint32_t group, std::uint32_t seed) {
  const auto length =
      ByteReader(std::string_view(out).substr(at + kLengthAt)).number<std::uint32_t>();
  overwrite_number(out, at + kGroupAt, group);
  const std::string_view record = std::string_view(out).substr(at, length);
  overwrite_number(out, at, crc32c(seed, record.substr(kLengthAt)));
}

}  // namespace mpr
