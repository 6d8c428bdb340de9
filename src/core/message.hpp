// The domain's nouns. A message's payload is opaque bytes (JSON text of one object) from socket to
// store and back: it is checked once where it enters and never serialised again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "core/ids.hpp"

namespace mpr {

// Shared because one payload goes to the store and to a live session at the same time.
using Payload = std::shared_ptr<const std::string>;

inline Payload make_payload(std::string json) {
  return std::make_shared<const std::string>(std::move(json));
}

enum class PushProvider { fcm, apns, webhook };
std::string_view to_string(PushProvider provider);
std::optional<PushProvider> parse_push_provider(std::string_view name);

// Where a phone can be woken. The token is a secret: it is stored, never logged.
struct PushToken {
  PushProvider provider = PushProvider::fcm;
  std::string token;
  std::string project;  // which of several FCM projects; empty: the only one

  bool operator==(const PushToken&) const = default;
};

// Who chose the id of a message. A caller's id is an idempotency key: the store remembers it for a
// while after the message is gone.
enum class IdOrigin { server, caller };

// What the answer to an add has to tell beside the position. The predecessor costs some stores a
// second look into the queue.
enum class AddAnswer { brief, with_previous };

// A message on its way into a store.
struct NewMessage {
  Connection connection;
  MessageId id;  // with IdOrigin::server a proposal
  IdOrigin id_origin = IdOrigin::server;
  std::vector<RecipientDid> recipient_dids;
  Payload payload;
  TimePoint received_at;
  std::optional<TimePoint> expires_at;  // from this moment on it is neither counted nor returned
  std::optional<PushToken> push_token;
  AddAnswer answer = AddAnswer::with_previous;

  std::uint64_t size() const { return payload->size(); }  // bytes of payload
};

// A message as a store returns it.
struct StoredMessage {
  MessageId id;
  Position position;
  TimePoint received_at;
  std::optional<TimePoint> expires_at;
  Payload payload;
  std::optional<PushToken> push_token;

  std::uint64_t size() const { return payload->size(); }
};

// Names one message of a connection both ways, so that a store may use whichever it finds faster.
struct MessageRef {
  MessageId id;
  Position position;

  bool operator==(const MessageRef&) const = default;
};

// What the pickup protocols' status messages need. Times are those of the messages counted.
struct QueueStatus {
  std::uint64_t message_count = 0;
  std::uint64_t total_bytes = 0;  // payload bytes
  std::optional<TimePoint> oldest_received;
  std::optional<TimePoint> newest_received;

  bool operator==(const QueueStatus&) const = default;
};

}  // namespace mpr
