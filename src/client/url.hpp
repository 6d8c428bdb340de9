// Where a gateway listens, as a ws:// or wss:// URL names it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace mpr::client {

enum class Transport { plain, tls };

struct Url {
  std::string host;  // a name or an address; an IPv6 address without its brackets
  std::uint16_t port = 80;
  std::string target = "/";  // path and query
  Transport transport = Transport::plain;

  bool operator==(const Url&) const = default;
};

// Reads ws://host[:port][/path] and wss://..., whose port is 443 unless it says otherwise. Anything
// else is an error that says why.
Result<Url> parse_url(std::string_view text);

// Whether `host` is "localhost" or a literal loopback address, 127.0.0.0/8 or ::1.
bool is_loopback(std::string_view host);

}  // namespace mpr::client
