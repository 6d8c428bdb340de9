// What is stored of a live session: where it is, under which fencing number, and how the mediator
// calls it. Readable text, so that an operator can look at it:
//   "1 <epoch> <opened at> <length of the gateway's id>:<gateway><session id>"
// The leading 1 is the format. Plain values, thread-safe as const.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/ports.hpp"

namespace mpr::redis {

struct SessionRecord {
  Epoch epoch;
  Position opened_at;
  GatewayId gateway;
  SessionId session_id;

  SessionPlace place() const { return {gateway, epoch}; }
  bool operator==(const SessionRecord&) const = default;
};

std::string encode(const SessionRecord& record);

// Nothing: the text is no record of this format.
std::optional<SessionRecord> decode_session_record(std::string_view text);

// What every record with this epoch begins with, and no other.
std::string record_prefix(Epoch epoch);

}  // namespace mpr::redis
