// What the dispatcher wants of a push service. A new provider is one implementation of this and one
// paragraph in app/push_senders.cpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/task.hpp"
#include "core/ids.hpp"
#include "core/message.hpp"

namespace mpr {

// One phone to be woken.
struct Notification {
  Connection connection;
  MessageId message_id;  // the newest message that waits, if one is known
  PushToken token;
};

enum class PushOutcome {
  accepted,       // the provider took it
  token_dead,     // nobody can be reached by this token any more
  rejected,       // this notification will never be taken
  misconfigured,  // no notification will be taken until the operator acts
  retry,          // worth another attempt
};
std::string_view to_string(PushOutcome outcome);

struct PushVerdict {
  PushOutcome outcome = PushOutcome::retry;
  // The provider's own word and status ("UNREGISTERED"), or why there was no answer; holds nothing
  // of the notification.
  std::string reason;
  std::chrono::milliseconds wait{0};  // with retry: at least so long
  // With token_dead: since when the provider knows; a token that was given later may be alive.
  std::optional<TimePoint> dead_since;
};

// For the io thread of its HTTP client only.
class NotificationSender {
 public:
  virtual ~NotificationSender() = default;
  // One attempt, with what belongs to it (fetching or renewing an access token).
  virtual Task<PushVerdict> send(Notification notification) = 0;
  // Attempts under way fail at once, and so do later ones.
  virtual void stop() = 0;
};

}  // namespace mpr
