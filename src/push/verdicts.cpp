#include "push/verdicts.hpp"

#include <algorithm>

namespace mpr {

namespace {

// Providers' codes are words of letters: "UNREGISTERED", "BadDeviceToken". Anything else may be a
// part of what they were sent, and is shown nowhere.
bool is_code(std::string_view word) {
  constexpr std::size_t kLongest = 40;
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !word.empty() && word.size() <= kLongest && std::ranges::all_of(word, is_letter);
}

}  // namespace

std::string_view to_string(PushOutcome outcome) {
  switch (outcome) {
    case PushOutcome::accepted:
      return "accepted";
    case PushOutcome::token_dead:
      return "token_dead";
    case PushOutcome::rejected:
      return "rejected";
    case PushOutcome::misconfigured:
      return "misconfigured";
    case PushOutcome::retry:
      return "retry";
  }
  return "";
}

std::string reason_of(const HttpAnswer& answer, std::string_view word) {
  if (answer.status == 0) return answer.failure;
  std::string reason = std::to_string(answer.status);
  if (is_code(word)) (reason += ' ') += word;
  return reason;
}

PushVerdict retry_of(const HttpAnswer& answer, std::string reason,
                     std::chrono::milliseconds standard) {
  PushVerdict verdict = verdict_of(PushOutcome::retry, std::move(reason));
  verdict.wait = standard;
  if (answer.retry_after) verdict.wait = *answer.retry_after;
  return verdict;
}

PushVerdict common_verdict(const HttpAnswer& answer, std::string_view word) {
  std::string reason = reason_of(answer, word);
  if (answer.status == 0) return verdict_of(PushOutcome::retry, std::move(reason));
  if (answer.status >= 200 && answer.status < 300) {
    return verdict_of(PushOutcome::accepted, std::move(reason));
  }
  if (answer.status == 429) return retry_of(answer, std::move(reason), kWaitTooMany);
  if (answer.status >= 500 || answer.status == 408) {
    return retry_of(answer, std::move(reason), kWaitUnavailable);
  }
  return verdict_of(PushOutcome::rejected, std::move(reason));
}

}  // namespace mpr
