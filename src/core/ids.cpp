#include "core/ids.hpp"

namespace mpr {

std::uint64_t hash_of(std::string_view tenant, std::string_view connection_id) noexcept {
  // The usual multiply-xor mix of two string hashes (constants of splitmix64).
  std::uint64_t h = std::hash<std::string_view>{}(connection_id);
  if (!tenant.empty()) h ^= std::hash<std::string_view>{}(tenant) * 0x9e3779b97f4a7c15ULL;
  h ^= h >> 30;
  h *= 0xbf58476d1ce4e5b9ULL;
  return h ^ (h >> 27);
}

std::uint64_t hash_of(const Connection& connection) noexcept {
  return hash_of(connection.tenant.value, connection.id.value);
}

}  // namespace mpr
