// A message as an entry of a Redis stream: a payload, and a text that describes it. Pure functions.
//
//   1|received|accepted|expires|nonce|id|provider|token|project|did,did|<id><token><project><did><did>
//
// Times are milliseconds since 1970; `accepted` (by the clock of the gateway that took the message)
// is empty if it is `received`. The fields from `id` on are lengths, empty if there is none, of the
// texts that follow the last bar. scripts/queue.lua reads the same text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "core/message.hpp"
#include "core/tiers.hpp"
#include "store/redis/value.hpp"

namespace mpr::redis {

// What the entry tells beside the payload.
struct EntryDescription {
  TimePoint received_at;
  TimePoint accepted_at;
  std::optional<TimePoint> expires_at;
  std::string nonce;                   // of the add
  std::optional<MessageId> caller_id;  // empty: the store chose the id
  std::optional<PushToken> push_token;
  std::vector<RecipientDid> recipient_dids;

  bool operator==(const EntryDescription&) const = default;
};

std::string describe(const NewMessage& message, TimePoint accepted_at, std::string_view nonce);
Result<EntryDescription> parse_description(std::string_view text);

struct StoredEntry {
  Position position;
  EntryDescription description;
  Payload payload;

  MessageId id(const Connection& connection) const;
};

// Takes the payload out of an item of XRANGE. An entry that cannot be read is `corrupt`.
Result<StoredEntry> parse_entry(Value&& item);

StoredMessage as_stored(const Connection& connection, StoredEntry entry);
TierMessage as_tier_message(const Connection& connection, StoredEntry entry);

}  // namespace mpr::redis
