// Expected failures are values: a Result<T> holds either the outcome or an Error that says what
// failed and why, in words fit for the caller's eyes. Exceptions are left for bugs.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace mpr {

// What kind of failure; decides how it is reported on the wire (rpc/wire.cpp) and whether a retry
// can help.
enum class Errc {
  invalid_argument,   // the caller's input is wrong; the context names the field
  unauthorized,       // the caller has to log in first
  too_large,          // a single item is over a size limit
  quota_exceeded,     // a queue or the whole store is full
  unavailable,        // a backend (disk, server) refuses at present; a retry may succeed
  deadline_exceeded,  // not done in time; it may or may not take effect later
  corrupt,            // stored data does not pass its checksum
  internal,           // a bug
};

// The stable name of a code, as it appears in logs and metrics, for example "quota_exceeded".
std::string_view to_string(Errc code);

struct Error {
  Errc code = Errc::internal;
  std::string context;  // a readable reason, without payloads or secrets
  // Whether what failed may be done all the same: it was sent, and nobody heard how it ended.
  enum class Effect : unsigned char { none, unknown } effect = Effect::none;

  bool operator==(const Error&) const = default;
};

template <class T>
using Result = std::expected<T, Error>;

// Builds the failed branch of a Result: return fail(Errc::unavailable, "disk is full").
inline std::unexpected<Error> fail(Errc code, std::string context) {
  return std::unexpected<Error>(Error{code, std::move(context)});
}

}  // namespace mpr
