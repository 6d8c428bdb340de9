// Bounds of the protocol itself, the same for every operator. What an operator may change stands in
// the table of options (app/options.cpp) and arrives in the component's own struct.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mpr::limits {

// connectionId, tenant, sessionId, messageId: over it the call is refused.
inline constexpr std::size_t kIdBytes = 255;
// DIDs are longer than ids when they carry keys (did:peer:2 with services).
inline constexpr std::size_t kRecipientDidBytes = 2048;
inline constexpr std::size_t kRecipientDids = 256;  // per message
inline constexpr std::size_t kMessageIdsPerCall = 100'000;
inline constexpr std::size_t kMessagesPerCall = 10'000;  // addMessages
inline constexpr std::size_t kPushTokenBytes = 4096;
inline constexpr std::size_t kBatchMembers = 10'000;  // JSON-RPC batch; more: invalid request
inline constexpr std::size_t kJsonDepth = 128;        // deeper: parse error
inline constexpr std::size_t kRequestIdBytes =
    1024;                                          // JSON-RPC id as written; more: invalid request
inline constexpr std::size_t kEventsPerCall = 64;  // rpc.on and rpc.off
inline constexpr std::size_t kLoginTokenBytes = 8192;  // rpc.login
// A caller's messageId needs this many consecutive characters of [-_./a-zA-Z0-9]: pickup v1 wallets
// drop a whole batch over a shorter one.
inline constexpr std::size_t kMessageIdRun = 8;
inline constexpr std::uint64_t kTtlSeconds = 10ULL * 365 * 24 * 3600;

}  // namespace mpr::limits
