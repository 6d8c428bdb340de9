// The records of the log and their bytes (docs/storage.md has the layout). A pure codec: no I/O, no
// state, any thread. Decoding never trusts a length, so that arbitrary bytes are answered with
// nullopt and nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/keyed_hash.hpp"
#include "core/message.hpp"

namespace mpr {

enum class RecordType : std::uint8_t { add = 1, remove = 2, remembered = 3 };

// Stands before every record. Records begin at multiples of 8 bytes.
struct RecordHeader {
  std::uint32_t checksum = 0;  // of everything behind it, seeded by the segment
  std::uint32_t length = 0;    // of the whole record, a multiple of 8; 0 ends the log
  std::uint32_t group = 0;     // the offset in the segment at which its commit group begins
  RecordType type = RecordType::add;
  std::uint64_t position = 0;  // of the message that is added; else 0
};

// Positions are counted from 1. No store comes this far; a record that claims more is damaged.
inline constexpr std::uint64_t kMaxPosition = std::uint64_t{1} << 62;

inline constexpr std::size_t kRecordHeaderBytes = 24;
inline constexpr std::size_t kRecordAlignment = 8;

// Stands behind the last record of a segment: zeros while more may follow. A store that was closed
// leaves the other mark, which says that nothing was ever written behind it.
inline constexpr std::size_t kEndMarkBytes = 8;
std::string closed_mark(std::uint32_t seed);

// Reads the header of a record at `offset` of a segment if it may be one: known type, lengths and
// group that are possible there. Says nothing about the checksum.
std::optional<RecordHeader> decode_header(std::string_view bytes, std::uint64_t offset);

// Whether `record`, header and all, has the checksum that it claims.
bool verify(std::string_view record, std::uint32_t seed);

// A stored message as its record has it; the texts point into the record's bytes.
struct AddRecord {
  std::uint64_t position = 0;
  std::string_view tenant;
  std::string_view connection;
  std::string_view id;
  IdOrigin id_origin = IdOrigin::server;
  TimePoint received_at;
  std::optional<TimePoint> expires_at;
  struct Token {
    PushProvider provider = PushProvider::fcm;
    std::string_view token;
    std::string_view project;
  };
  std::optional<Token> token;
  std::vector<std::string_view> recipient_dids;
  std::string_view payload;
};

std::optional<AddRecord> decode_add(std::string_view record);

// A message that left its queue. Ids that callers chose are remembered for a while.
struct Removal {
  std::uint64_t position = 0;
  struct CallerId {
    Hash128 key;  // the directory's hash of connection and id
    TimePoint received_at;
  };
  std::optional<CallerId> caller_id;
};

struct RemoveRecord {
  TimePoint removed_at;
  std::vector<Removal> removals;
};

std::optional<RemoveRecord> decode_remove(std::string_view record);

// A removed message whose id is still remembered, written again because the segment of its removal
// goes.
struct RememberedId {
  Hash128 key;
  std::uint64_t position = 0;
  TimePoint received_at;
  TimePoint removed_at;
};

std::optional<std::vector<RememberedId>> decode_remembered(std::string_view record);

// --- writing ------------------------------------------------------------------------------------

// Bytes that the add record of a message takes in the log.
std::size_t add_record_bytes(const NewMessage& message);
// No removal takes more; kRecordOverheadBytes more for the record itself.
inline constexpr std::size_t kMaxRemovalBytes = 10 + 24;
inline constexpr std::size_t kRememberedIdBytes = 40;
inline constexpr std::size_t kRecordOverheadBytes = kRecordHeaderBytes + 8 + 10 + kRecordAlignment;

// Each appends one record to `out`, without a checksum; seal() completes it.
void append_add(std::string& out, const NewMessage& message, std::uint64_t position);
// Sorts `removals` by position.
void append_remove(std::string& out, TimePoint removed_at, std::vector<Removal>& removals);
void append_remembered(std::string& out, std::span<const RememberedId> ids);

// Fills in group and checksum of the record that begins at `at` of `out`.
void seal(std::string& out, std::size_t at, std::uint32_t group, std::uint32_t seed);

}  // namespace mpr
