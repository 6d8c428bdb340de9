// What the answers of push services have in common. Pure functions.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "push/http_client.hpp"
#include "push/notification_sender.hpp"

namespace mpr {

// At least this long between attempts, as providers ask for.
inline constexpr std::chrono::milliseconds kWaitUnavailable{10'000};  // 503 and other 5xx
inline constexpr std::chrono::milliseconds kWaitTooMany{60'000};      // 429

inline PushVerdict verdict_of(PushOutcome outcome, std::string reason) {
  PushVerdict verdict;
  verdict.outcome = outcome;
  verdict.reason = std::move(reason);
  return verdict;
}

// A retry after what the answer asks for, or else after `standard`.
PushVerdict retry_of(const HttpAnswer& answer, std::string reason,
                     std::chrono::milliseconds standard);

// For answers that mean the same everywhere: none at all, 429, 5xx, and anything else as rejected.
// `word` is the provider's error code, if the body had one.
PushVerdict common_verdict(const HttpAnswer& answer, std::string_view word);

// "429 QUOTA_EXCEEDED"
std::string reason_of(const HttpAnswer& answer, std::string_view word);

}  // namespace mpr
