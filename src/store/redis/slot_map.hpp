// Which node serves which slot of a Redis Cluster, read from CLUSTER SLOTS. A plain value.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "store/redis/server_address.hpp"
#include "store/redis/slot.hpp"
#include "store/redis/value.hpp"

namespace mpr::redis {

// Announced address -> reachable address, "host:port" both.
using NatMap = std::vector<std::pair<std::string, std::string>>;

// The address under which an announced node is reached.
ServerAddress reachable(const ServerAddress& announced, const NatMap& nat_map);

struct SlotMap {
  static constexpr std::uint16_t kNobody = 0xFFFF;

  std::vector<ServerAddress> primaries;
  std::vector<ServerAddress> replicas;
  std::array<std::uint16_t, kSlots> owner{};  // index into primaries, or kNobody

  bool operator==(const SlotMap&) const = default;

  // The first slot that nobody serves; kSlots if there is none.
  std::size_t first_unserved() const noexcept;
};

// `answer` is what `asked` said to CLUSTER SLOTS; `asked` is its reachable address, which stands
// for nodes that announce no host.
Result<SlotMap> parse_slot_map(const Value& answer, const ServerAddress& asked,
                               const NatMap& nat_map);

}  // namespace mpr::redis
