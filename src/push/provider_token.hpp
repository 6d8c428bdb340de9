// The token by which Apple knows us: signed here, used for 50 minutes, and not signed anew more
// often than Apple allows.
//
// For one thread. The identity and the clock outlive it.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "core/ports.hpp"
#include "push/apns_identity.hpp"

namespace mpr {

class ProviderToken {
 public:
  ProviderToken(const ApnsIdentity& identity, Clock& clock);

  const std::string& get();

  // Apple called this token expired, so one of the clocks is wrong: makes another, unless that was
  // done already, or less than 20 minutes ago. True: get() now yields another than `token`.
  bool expired(const std::string& token);

 private:
  using SteadyPoint = std::chrono::steady_clock::time_point;
  void renew();

  const ApnsIdentity& identity_;
  Clock& clock_;
  std::string token_;
  SteadyPoint made_{};
  std::optional<SteadyPoint> forced_;  // when one was made before its time
};

}  // namespace mpr
