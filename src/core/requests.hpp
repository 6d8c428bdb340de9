// The product's calls as values: what rpc decodes from the wire, validated, and what pickup carries
// out. A request names a connection by id only; the tenant is the caller's.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/ids.hpp"
#include "core/message.hpp"
#include "core/selection.hpp"

namespace mpr {

// Who calls: a socket of this gateway and the tenant it is logged in for.
struct Caller {
  SocketId socket;
  TenantId tenant;
};

struct AddRequest {
  ConnectionId connection_id;
  std::vector<RecipientDid> recipient_dids;
  Payload payload;  // JSON text of one object, valid UTF-8
  std::optional<PushToken> push_token;
  std::optional<MessageId> message_id;  // an idempotency key
  std::optional<TimePoint> received_at;
  std::optional<std::chrono::seconds> ttl;
};

struct AddReceipt {
  MessageId id;
  TimePoint received_at;

  bool operator==(const AddReceipt&) const = default;
};

struct TakeRequest {
  ConnectionId connection_id;
  std::optional<RecipientDid> recipient_did;
  std::uint64_t limit = 0;        // 0: all
  std::uint64_t limit_bytes = 0;  // 0: no bound
  TakeMode mode = TakeMode::keep;
};

// For getAvailableMessageCount, getQueueStatus and removeAllMessages.
struct QueueRequest {
  ConnectionId connection_id;
  std::optional<RecipientDid> recipient_did;
};

struct QueueReport {
  QueueStatus status;
  std::optional<std::uint64_t> longest_waited_seconds;  // age of the oldest message counted
  std::uint64_t in_flight = 0;
  bool live_delivery = false;
};

struct RemoveRequest {
  ConnectionId connection_id;
  std::vector<MessageId> message_ids;
};

struct AcknowledgeReceipt {
  std::uint64_t removed = 0;
  std::uint64_t remaining = 0;  // as getAvailableMessageCount would answer

  bool operator==(const AcknowledgeReceipt&) const = default;
};

// What a new session does to one with another id.
enum class OpenMode {
  replace,  // takes over: the newest wins
  resume,   // yields to it: the caller was away, and the phone may have moved on meanwhile
};

struct OpenSessionRequest {
  ConnectionId connection_id;
  SessionId session_id;
  OpenMode mode = OpenMode::replace;
};

struct CloseSessionRequest {
  ConnectionId connection_id;
  std::optional<SessionId> session_id;
};

}  // namespace mpr
