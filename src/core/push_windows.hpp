// The ports around a push dispatcher: where the windows of all tokens are kept, whom it asks if a
// phone still waits, and whom it tells of a dead token.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/task.hpp"
#include "core/ids.hpp"
#include "core/message.hpp"
#include "core/push_policy.hpp"

namespace mpr {

// What a window allows, and how long it still runs.
struct WindowAnswer {
  PushDecision decision = PushDecision::none;
  std::chrono::milliseconds remaining{0};  // with at_window_end: until the push is due

  bool operator==(const WindowAnswer&) const = default;
};

// The windows of all tokens, across all gateways that share them. `token_key` names a token without
// revealing it. Thread-safe. Each call is one atomic step: of callers that ask at the same moment
// about a token without a window, one is told `now`, one `at_window_end`, the others `none`.
class PushWindows {
 public:
  virtual ~PushWindows() = default;

  // A message waits for a phone that is not live.
  virtual Task<Result<WindowAnswer>> on_message(std::string token_key, Deadline deadline) = 0;

  // The window whose end was planned is over and something still waits. `now`: push, a new window
  // began; `none`: somebody has pushed since.
  virtual Task<Result<WindowAnswer>> on_window_end(std::string token_key, Deadline deadline) = 0;
};

// What makes a push unnecessary by the time it could be sent.
enum class PushUnless {
  nothing_visible,  // nothing is pending that is not in flight to a session
  phone_is_live,    // the same, or a session of the connection is live anywhere
};

// Knows whether a phone still has to be woken.
class PushNeed {
 public:
  virtual ~PushNeed() = default;
  virtual Task<Result<bool>> is_waiting(Connection connection, PushUnless unless,
                                        Deadline deadline) = 0;
};

// A provider said that nobody can be reached by this token any more.
struct InvalidPushToken {
  Connection connection;
  PushProvider provider = PushProvider::fcm;
  std::string token_sha256;  // lower-case hexadecimal, of the token's bytes
  std::string reason;        // the provider's word, such as "UNREGISTERED"
};

// Hears of tokens that died, each once in a while. Called on the dispatcher's thread; never blocks.
class PushFeedback {
 public:
  virtual ~PushFeedback() = default;
  virtual void push_token_invalid(const InvalidPushToken& token) = 0;
};

}  // namespace mpr
