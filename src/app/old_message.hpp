// A message as the service that MPR replaces kept it in Redis: one JSON object.
#pragma once

#include <string_view>

#include "base/error.hpp"
#include "core/message.hpp"

namespace mpr {

// {messageId, connectionId, recipientDids, encryptedMessage, receivedAt, ...} as an add under its
// own id; the payload keeps its bytes. `received_at` may be ISO 8601 text or milliseconds; without
// one it is `now`. The error names the member that is wrong, never its content.
Result<NewMessage> parse_old_message(std::string_view json, TimePoint now);

}  // namespace mpr
