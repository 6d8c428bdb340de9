#include "store/embedded/segment.hpp"

#include <charconv>
#include <cstdio>

#include "store/embedded/bytes.hpp"
#include "store/embedded/crc32c.hpp"
#include "store/embedded/record.hpp"

namespace mpr {

namespace {

constexpr std::string_view kMagic = "MPRLOG01";
constexpr std::string_view kNameHead = "log-";
constexpr std::string_view kNameTail = ".seg";

// Buffers up to this size stay with their thread between reads.
constexpr std::size_t kKeptBufferBytes = 256 * 1024;

std::string& thread_buffer(std::size_t bytes) {
  thread_local std::string buffer;
  if (buffer.size() > kKeptBufferBytes && bytes <= kKeptBufferBytes) std::string().swap(buffer);
  if (buffer.size() < bytes) buffer.resize(bytes);
  return buffer;
}

std::unexpected<Error> corrupt(const RecordPlace& place, std::string_view what) {
  return fail(Errc::corrupt, "the record at offset " + std::to_string(place.offset) + " of " +
                                 place.segment->name + " " + std::string(what));
}

Result<StoredMessage> decode_message(const RecordPlace& place, std::string_view bytes) {
  if (bytes.size() < place.length) return corrupt(place, "is cut off");
  const auto header = decode_header(bytes, place.offset);
  if (!header || header->length != place.length || !verify(bytes, place.segment->seed)) {
    return corrupt(place, "does not pass its checksum");
  }
  const auto add = decode_add(bytes);
  if (!add || add->position != place.position) return corrupt(place, "is not that of the message");
  StoredMessage message;
  message.id = MessageId(add->id);
  message.position = Position{add->position};
  message.received_at = add->received_at;
  message.expires_at = add->expires_at;
  message.payload = make_payload(std::string(add->payload));
  if (add->token) {
    message.push_token = PushToken{add->token->provider, std::string(add->token->token),
                                   std::string(add->token->project)};
  }
  return message;
}

}  // namespace

std::string encode_segment_header(const SegmentHeader& header) {
  std::string out(kMagic);
  put_number(out, header.sequence);
  put_number(out, header.salt);
  put_number(out, header.previous_sequence);
  put_number(out, header.previous_end);
  put_number(out, header.first_position);
  out.resize(kSegmentHeaderBytes - sizeof(std::uint32_t), '\0');
  put_number(out, crc32c(0, out));
  return out;
}

std::optional<SegmentHeader> decode_segment_header(std::string_view bytes) {
  if (bytes.size() < kSegmentHeaderBytes || !bytes.starts_with(kMagic)) return std::nullopt;
  bytes = bytes.substr(0, kSegmentHeaderBytes);
  constexpr std::size_t kChecked = kSegmentHeaderBytes - sizeof(std::uint32_t);
  const auto checksum = ByteReader(bytes.substr(kChecked)).number<std::uint32_t>();
  if (checksum != crc32c(0, bytes.substr(0, kChecked))) return std::nullopt;
  ByteReader reader(bytes.substr(kMagic.size()));
  SegmentHeader header;
  header.sequence = reader.number<std::uint64_t>();
  header.salt = reader.number<std::uint64_t>();
  header.previous_sequence = reader.number<std::uint64_t>();
  header.previous_end = reader.number<std::uint64_t>();
  header.first_position = reader.number<std::uint64_t>();
  return header;
}

std::uint32_t checksum_seed(const SegmentHeader& header) {
  std::string secret;
  put_number(secret, header.salt);
  put_number(secret, header.sequence);
  return crc32c(0, secret);
}

std::string segment_name(std::uint64_t sequence) {
  char name[40];
  std::snprintf(name, sizeof name, "log-%012llu.seg", static_cast<unsigned long long>(sequence));
  return name;
}

std::optional<std::uint64_t> parse_segment_name(std::string_view name) {
  if (!name.starts_with(kNameHead) || !name.ends_with(kNameTail)) return std::nullopt;
  const std::string_view digits =
      name.substr(kNameHead.size(), name.size() - kNameHead.size() - kNameTail.size());
  std::uint64_t sequence = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), sequence);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return sequence;
}

Result<StoredMessage> read_message(const RecordPlace& place) {
  std::string& buffer = thread_buffer(place.length);
  const auto size = place.segment->file->read(std::span(buffer.data(), place.length), place.offset);
  if (!size) return std::unexpected(size.error());
  return decode_message(place, std::string_view(buffer.data(), *size));
}

std::optional<Result<StoredMessage>> read_cached_message(const RecordPlace& place) {
  std::string& buffer = thread_buffer(place.length);
  const auto size =
      place.segment->file->read_cached(std::span(buffer.data(), place.length), place.offset);
  if (!size) return std::nullopt;
  if (!*size) return std::unexpected(size->error());
  return decode_message(place, std::string_view(buffer.data(), **size));
}

}  // namespace mpr
