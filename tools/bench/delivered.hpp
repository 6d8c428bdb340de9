// Reads the messages of a messagesReceived event or of a takeFromQueue answer without a JSON
// parser: the wire fixes the order of the members (docs/protocol.md), and the load generator must
// cost less than what it measures. A text of another shape is an error, never an empty list.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace mpr::bench {

// Views into the text that was read.
struct DeliveredMessage {
  std::string_view id;
  std::string_view received_at;
  std::string_view payload;  // exactly as many bytes as the caller expects
};

struct DeliveredBatch {
  std::string_view connection_id;
  std::vector<DeliveredMessage> messages;
};

// Reads [{"id":..,"receivedAt":..,"encryptedMessage":..},...]: every payload has `payload_bytes`
// bytes, and ids have no escapes. Replaces the contents of `out`.
Result<void> read_messages(std::string_view json, std::size_t payload_bytes,
                           std::vector<DeliveredMessage>& out);

// Reads the params of a messagesReceived event. Replaces the contents of `out`.
Result<void> read_event(std::string_view params, std::size_t payload_bytes, DeliveredBatch& out);

// The id in {"messageId":"...","receivedAt":"..."}; nullopt for any other text.
std::optional<std::string_view> read_message_id(std::string_view add_result) noexcept;

}  // namespace mpr::bench
