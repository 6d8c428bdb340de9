// One file of the log: a header that says where it stands in the chain of segments, then records,
// then (in the newest one) old bytes that mean nothing. Its records' checksums are seeded with a
// secret of the segment, so that what an earlier life of the file left behind, or what somebody
// sends as a payload, never passes for a record.
//
// The writer alone appends and keeps the figures; any thread reads, through a shared_ptr that keeps
// the file open even after its name is gone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/message.hpp"
#include "store/embedded/file_system.hpp"

namespace mpr {

// The first bytes of a segment file.
struct SegmentHeader {
  std::uint64_t sequence = 0;           // grows by one with each segment, never used twice
  std::uint64_t salt = 0;               // random: the seed of the checksums
  std::uint64_t previous_sequence = 0;  // the segment before it in the log; 0: none
  std::uint64_t previous_end = 0;       // where that one's records end; beyond it is nothing
  std::uint64_t first_position = 0;     // every position before it was assigned earlier
};

inline constexpr std::size_t kSegmentHeaderBytes = 64;

std::string encode_segment_header(const SegmentHeader& header);
std::optional<SegmentHeader> decode_segment_header(std::string_view bytes);
std::uint32_t checksum_seed(const SegmentHeader& header);

// "log-000000000012.seg"
std::string segment_name(std::uint64_t sequence);
std::optional<std::uint64_t> parse_segment_name(std::string_view name);

struct Segment : std::enable_shared_from_this<Segment> {
  Segment(SegmentHeader h, std::shared_ptr<File> f)
      : header(h), name(segment_name(h.sequence)), seed(checksum_seed(h)), file(std::move(f)) {}

  const SegmentHeader header;
  const std::string name;
  const std::uint32_t seed;
  const std::shared_ptr<File> file;  // shared with the spare that the segment may become

  // The writer's own.
  std::uint64_t end = kSegmentHeaderBytes;  // where the next record goes
  std::uint64_t live_bytes = 0;             // of records whose messages are pending
  std::uint64_t file_bytes = 0;
};

// Where the record of a message is.
struct RecordPlace {
  std::shared_ptr<const Segment> segment;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  std::uint64_t position = 0;
};

// Reads a message back and checks it: `corrupt` names the segment and the offset.
// The cached variant is nullopt when the disk would have to be waited for.
Result<StoredMessage> read_message(const RecordPlace& place);
std::optional<Result<StoredMessage>> read_cached_message(const RecordPlace& place);

}  // namespace mpr
