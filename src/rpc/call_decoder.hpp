// From a method's params, as raw JSON, to a typed call: every parameter is checked, and a refusal
// names the one that is wrong, as in "messages[3].payload: must be a JSON object".
//
// Free functions without state. Members that no method knows are ignored, and of a member given
// twice the last one counts, as in JSON.parse.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "base/error.hpp"
#include "rpc/calls.hpp"
#include "rpc/json_scanner.hpp"

namespace mpr::rpc {

// Every member that a params object, or an object inside of it, may have.
enum class Param : std::size_t {
  connection_id,
  delete_messages,
  limit,
  limit_bytes,
  message_id,
  message_ids,
  messages,
  payload,
  project,
  push_notification_token,
  received_at,
  recipient_did,
  recipient_dids,
  resume,
  session_id,
  token,
  ttl_seconds,
  type,
};
inline constexpr std::size_t kParams = static_cast<std::size_t>(Param::type) + 1;
std::string_view name_of(Param param) noexcept;

// The raw text of the known members of one object.
class ParamSet {
 public:
  RawJson operator[](Param param) const noexcept { return raw_[static_cast<std::size_t>(param)]; }

  // Passes the object that the scanner stands before. False: it is no JSON.
  bool scan(JsonScanner& scanner);

 private:
  std::array<RawJson, kParams> raw_;
};

// `raw` is the whole params member; `members` is filled if that is an object.
struct RawParams {
  RawJson raw;
  ParamSet members;
};

struct CallDecoder {
  struct Bounds {
    std::size_t max_message_bytes;
  };
  std::string_view method;
  // Refusals are invalid_argument, or too_large for a payload.
  Result<Call> (*decode)(const RawParams& params, Bounds bounds);
};

// One entry per method, in the order in which __listMethods names them.
std::span<const CallDecoder> call_decoders() noexcept;
// nullptr: there is no such method.
const CallDecoder* find_call_decoder(std::string_view method) noexcept;

}  // namespace mpr::rpc
