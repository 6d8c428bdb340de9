// Ids for messages and gateways: UUIDs of version 7 (RFC 9562), so that they sort about by time and
// are unique without coordination: 48 bits of milliseconds, 74 bits from the kernel's random
// source. Any thread; each keeps a small store of random bytes. The clock outlives the source. It
// never falls back to weaker randomness: if the kernel gives none, it throws.
#pragma once

#include <string>

#include "core/ports.hpp"

namespace mpr {

class RandomIds final : public IdSource {
 public:
  explicit RandomIds(const Clock& clock) : clock_(clock) {}

  MessageId next_message_id() override { return MessageId(next()); }
  GatewayId next_gateway_id() { return GatewayId(next()); }

 private:
  std::string next() const;

  const Clock& clock_;
};

}  // namespace mpr
