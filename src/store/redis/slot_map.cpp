#include "store/redis/slot_map.hpp"

#include <algorithm>
#include <optional>

namespace mpr::redis {

namespace {

std::unexpected<Error> bad() {
  return fail(Errc::unavailable, "the answer to CLUSTER SLOTS has an unknown form");
}

// [host, port, id, [metadata]]; the host is null or empty when the node does not know its own.
std::optional<ServerAddress> parse_node(const Value& node, const ServerAddress& asked,
                                        const NatMap& nat_map) {
  if (!node.is_array() || node.items.size() < 2 || !node.items[1].is_integer()) return std::nullopt;
  const Value& host = node.items[0];
  const std::int64_t port = node.items[1].integer;
  if ((!host.is_text() && !host.is_null()) || port < 0 || port > 65'535) return std::nullopt;
  const bool unknown = host.text.empty() || host.text == "?";
  return reachable({unknown ? asked.host : host.text, static_cast<std::uint16_t>(port)}, nat_map);
}

std::uint16_t index_of(std::vector<ServerAddress>& nodes, const ServerAddress& node) {
  const auto found = std::find(nodes.begin(), nodes.end(), node);
  const auto index = static_cast<std::uint16_t>(found - nodes.begin());
  if (found == nodes.end()) nodes.push_back(node);
  return index;
}

}  // namespace

ServerAddress reachable(const ServerAddress& announced, const NatMap& nat_map) {
  if (nat_map.empty()) return announced;
  const std::string text = to_text(announced);
  for (const auto& [from, to] : nat_map) {
    if (from != text) continue;
    const auto nodes = parse_nodes(to);
    if (nodes && nodes->size() == 1) return nodes->front();
  }
  return announced;
}

std::size_t SlotMap::first_unserved() const noexcept {
  return static_cast<std::size_t>(std::find(owner.begin(), owner.end(), kNobody) - owner.begin());
}

Result<SlotMap> parse_slot_map(const Value& answer, const ServerAddress& asked,
                               const NatMap& nat_map) {
  if (!answer.is_array()) return bad();
  SlotMap map;
  map.owner.fill(SlotMap::kNobody);
  for (const Value& range : answer.items) {
    if (!range.is_array() || range.items.size() < 3 || !range.items[0].is_integer() ||
        !range.items[1].is_integer()) {
      return bad();
    }
    const std::int64_t first = range.items[0].integer;
    const std::int64_t last = range.items[1].integer;
    if (first < 0 || last < first || last >= static_cast<std::int64_t>(kSlots)) return bad();
    const auto primary = parse_node(range.items[2], asked, nat_map);
    if (!primary) return bad();
    if (primary->port == 0) continue;  // the node has no port of the kind that was used
    const std::uint16_t index = index_of(map.primaries, *primary);
    std::fill(map.owner.begin() + first, map.owner.begin() + last + 1, index);
    for (std::size_t i = 3; i < range.items.size(); ++i) {
      const auto replica = parse_node(range.items[i], asked, nat_map);
      if (!replica) return bad();
      if (replica->port != 0) index_of(map.replicas, *replica);
    }
  }
  return map;
}

}  // namespace mpr::redis
