// Where a Redis server is and how to log in there, and how operators write both.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace mpr::redis {

struct ServerAddress {
  std::string host;
  std::uint16_t port = 6379;

  bool operator==(const ServerAddress&) const = default;
};

enum class Tls { off, on };

struct Login {
  std::string user;      // empty: the default user
  std::string password;  // empty: none. A secret: never logged
  unsigned database = 0;
  Tls tls = Tls::off;
  std::filesystem::path ca_file;  // empty: the system's certificates

  bool operator==(const Login&) const = default;
};

struct ServerUrl {
  ServerAddress address;
  Login login;
};

// "host:port", "[::1]:port" of an IPv6 address.
std::string to_text(const ServerAddress& address);

// "redis://user:password@host:port/database", "rediss://" for TLS; percent-encoded where needed.
// The error names what is wrong without repeating the password.
Result<ServerUrl> parse_server_url(std::string_view url);

// "host:port,host:port" or "redis://host:port,..." as in REDIS_NODES; spaces are ignored.
Result<std::vector<ServerAddress>> parse_nodes(std::string_view nodes);

// "announced:port=reachable:port,..." or JSON {"announced:port":{"host":"h","port":1}}, as in
// REDIS_NATMAP.
Result<std::vector<std::pair<std::string, std::string>>> parse_nat_map(std::string_view text);

}  // namespace mpr::redis
