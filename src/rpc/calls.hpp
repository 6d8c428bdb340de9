// JSON-RPC calls as they stand after decoding: typed, validated, owning their data.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "core/requests.hpp"

namespace mpr::rpc {

// The raw JSON text of a request's id (`"a"`, `7`), echoed as it came. Empty: a notification.
struct RequestId {
  std::string raw;

  bool is_notification() const noexcept { return raw.empty(); }
  bool operator==(const RequestId&) const = default;
};

struct Ping {};
struct ListMethods {};
struct Subscribe {
  std::vector<std::string> events;
};
struct Unsubscribe {
  std::vector<std::string> events;
};
struct Login {
  std::string token;
};
struct AddMessage {
  AddRequest request;
};
struct AddMessages {
  std::vector<AddRequest> requests;
};
struct TakeFromQueue {
  TakeRequest request;
};
struct GetAvailableMessageCount {
  QueueRequest request;
};
struct GetQueueStatus {
  QueueRequest request;
};
struct RemoveMessages {
  RemoveRequest request;
};
struct Acknowledge {
  RemoveRequest request;
};
struct RemoveAllMessages {
  QueueRequest request;
};
struct AddLiveSession {
  OpenSessionRequest request;
};
struct RemoveLiveSession {
  CloseSessionRequest request;
};
struct GetLiveSession {
  ConnectionId connection_id;
};

using Call =
    std::variant<Ping, ListMethods, Subscribe, Unsubscribe, Login, AddMessage, AddMessages,
                 TakeFromQueue, GetAvailableMessageCount, GetQueueStatus, RemoveMessages,
                 Acknowledge, RemoveAllMessages, AddLiveSession, RemoveLiveSession, GetLiveSession>;

// The connection a call is about: calls of one socket for one connection are applied in order.
// Null for calls about none; addMessages counts as about every connection (a barrier of its own).
const ConnectionId* connection_of(const Call& call) noexcept;

}  // namespace mpr::rpc
