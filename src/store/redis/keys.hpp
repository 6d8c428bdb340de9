// Every key and channel name that MPR uses in Redis. Keys of one connection carry the hash tag of
// its partition, so that they live on one node and move as a unit. The number of partitions is
// fixed when the first gateway starts and stored (see redis_store.hpp).
//
// A plain value; thread-safe as const.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/ids.hpp"

namespace mpr::redis {

class Keys {
 public:
  static constexpr std::uint32_t kDefaultPartitions = 1024;

  // `prefix` separates several installations on one Redis; "mpr" by default.
  Keys(std::string prefix, std::uint32_t partitions);

  std::uint32_t partitions() const noexcept { return partitions_; }
  // Stable for all time: it decides where stored data is found.
  std::uint32_t partition_of(const Connection& connection) const noexcept;

  // --- of one connection --------------------------------------------------------------------
  std::string queue(const Connection& connection) const;    // STREAM of messages
  std::string session(const Connection& connection) const;  // STRING: the live session's record
  // `part` names what else is kept of a connection; the store's own names are in redis_store.cpp.
  std::string of_connection(std::string_view part, const Connection& connection) const;

  // --- of one partition ---------------------------------------------------------------------
  std::string of_partition(std::string_view part, std::uint32_t partition) const;

  // --- of the installation ------------------------------------------------------------------
  std::string of_installation(std::string_view part) const;
  std::string gateway_channel(const GatewayId& gateway) const;

  const std::string& prefix() const noexcept { return prefix_; }

 private:
  std::string prefix_;
  std::uint32_t partitions_;
};

}  // namespace mpr::redis
