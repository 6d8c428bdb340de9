// The names and shapes of the wire: method names, results and events as JSON text, and which
// JSON-RPC error a failure becomes. docs/protocol.md is the prose of this file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/message.hpp"
#include "core/push_windows.hpp"
#include "core/requests.hpp"
#include "rpc/json_rpc.hpp"

namespace mpr::rpc {

inline constexpr std::string_view kMessagesReceived = "messagesReceived";
inline constexpr std::string_view kLiveSessionReplaced = "liveSessionReplaced";
inline constexpr std::string_view kPushTokenInvalid = "pushTokenInvalid";
inline constexpr std::string_view kServerDraining = "serverDraining";

// Events a socket may subscribe to. Their order is their number.
std::span<const std::string_view> event_names() noexcept;
// Every method, rpc.on, rpc.off, rpc.login and __listMethods included, as __listMethods answers.
std::span<const std::string_view> method_names() noexcept;

// The one place that turns a failure into an error object: code, message and {"details": ...}.
RpcError to_rpc_error(const Error& error);

std::string result_of(const AddReceipt& receipt);
std::string result_of(std::span<const AddReceipt> receipts);
std::string result_of(std::span<const StoredMessage> messages);
std::string result_of(const QueueReport& report);
std::string result_of(const AcknowledgeReceipt& receipt);
std::string list_methods_result();
// {"messagesReceived":"ok","x":"provided event invalid"}: pairs in the order asked for.
std::string subscription_result(
    std::span<const std::pair<std::string_view, std::string_view>> outcomes);

// Complete event frames, without id.
std::string messages_received_event(const ConnectionId& connection_id,
                                    std::span<const StoredMessage> messages);
std::string live_session_replaced_event(const ConnectionId& connection_id,
                                        const SessionId& session_id);
std::string push_token_invalid_event(const InvalidPushToken& token);
std::string server_draining_event(std::uint64_t grace_milliseconds);

}  // namespace mpr::rpc
