// Distinct types for distinct ids. All are opaque text; limits.hpp bounds their length.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace mpr {

template <class Tag>
struct TextId {
  std::string value;

  TextId() = default;
  explicit TextId(std::string v) : value(std::move(v)) {}
  explicit TextId(std::string_view v) : value(v) {}
  explicit TextId(const char* v) : value(v) {}

  bool empty() const noexcept { return value.empty(); }
  auto operator<=>(const TextId&) const = default;
};

using TenantId = TextId<struct TenantTag>;  // who may see a connection; empty by default
using ConnectionId =
    TextId<struct ConnectionTag>;  // a DIDComm connection between mediator and phone
using MessageId = TextId<struct MessageTag>;
using RecipientDid = TextId<struct RecipientTag>;
using SessionId = TextId<struct SessionTag>;  // a live session, named by the mediator
using GatewayId = TextId<struct GatewayTag>;  // one MPR process, a new one at each start

// What every queue and session belongs to. A connection id alone never identifies anything.
struct Connection {
  TenantId tenant;
  ConnectionId id;

  auto operator<=>(const Connection&) const = default;
};

// Hashes tenant and id together, so that ("a", "b") and ("ab", "") differ.
std::uint64_t hash_of(const Connection& connection) noexcept;
std::uint64_t hash_of(std::string_view tenant, std::string_view connection_id) noexcept;

struct ConnectionHash {
  std::size_t operator()(const Connection& c) const noexcept { return hash_of(c); }
};

// A message's place in its queue: larger means accepted later. Only positions of one connection may
// be compared. The store assigns them; 0 stands before every message.
struct Position {
  std::uint64_t value = 0;
  auto operator<=>(const Position&) const = default;
};

// One open socket of this gateway; never reused while the process lives. 0 is no socket.
struct SocketId {
  std::uint64_t value = 0;
  auto operator<=>(const SocketId&) const = default;
};

// The fencing number of a live session: of two sessions of one connection, the newer has the
// larger.
struct Epoch {
  std::uint64_t value = 0;
  auto operator<=>(const Epoch&) const = default;
};

}  // namespace mpr
