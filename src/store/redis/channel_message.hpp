// What gateways say to each other over pub/sub, as bytes: a format number, what kind it is, who
// says it, and the content. Push tokens stay at home: they are secrets.
//
// Plain values; thread-safe as const.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/ports.hpp"

namespace mpr::redis {

// One object that sends: a gateway, and a number that tells it from others with the same id.
struct Speaker {
  GatewayId gateway;
  std::uint64_t incarnation = 0;

  auto operator<=>(const Speaker&) const = default;
};

// --- on the channel of one gateway; numbered, so that what is lost is missed -------------------

struct Announced {
  std::uint64_t number = 0;
  Connection connection;
  Position position;
  bool operator==(const Announced&) const = default;
};

// A newer session of the connection stands.
struct Superseded {
  std::uint64_t number = 0;  // 0: not numbered, on the common channel
  Connection connection;
  Epoch newer;
  bool operator==(const Superseded&) const = default;
};

// The speaker took this gateway for dead, or did not know it, until now: it announced nothing to
// it.
struct Overlooked {
  std::uint64_t number = 0;
  bool operator==(const Overlooked&) const = default;
};

// The last number that was used for this gateway.
struct Beacon {
  std::uint64_t last = 0;
  bool operator==(const Beacon&) const = default;
};

// --- on the common channel ---------------------------------------------------------------------

struct OrphanMessage {
  Connection connection;
  Epoch orphan;
  StoredMessage message;  // without its push token
};

struct ListenerCame {
  TenantId tenant;
  bool operator==(const ListenerCame&) const = default;
};

struct Left {
  bool operator==(const Left&) const = default;
};

using ChannelContent =
    std::variant<Announced, Superseded, Overlooked, Beacon, OrphanMessage, ListenerCame, Left>;

struct ChannelMessage {
  Speaker speaker;
  ChannelContent content;
};

std::string encode(const ChannelMessage& message);

// Nothing: cut off, or of a format or kind that this version does not know.
std::optional<ChannelMessage> decode_channel_message(std::string_view bytes);

}  // namespace mpr::redis
