// What an operator has to know of the Redis servers before messages are entrusted to them: for the
// log at start and for `mpr check`. Asks every primary; changes nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/task.hpp"
#include "store/redis/client.hpp"

namespace mpr::redis {

struct ServerFinding {
  enum class Severity { note, warning, error };
  Severity severity = Severity::note;
  std::string sentence;  // names the server and, if there is one, the remedy

  bool operator==(const ServerFinding&) const = default;
};

struct ServerReport {
  std::vector<ServerFinding> findings;
  std::vector<std::string> versions;  // "Redis 7.0.15", each once
  std::string mode;                   // "single server" or "cluster"
  std::size_t primaries = 0;
  std::size_t replicas = 0;

  // Whether nothing stands against starting.
  bool fit() const;
};

// The settings of one primary. What a managed service does not tell is empty.
struct ServerSettings {
  std::string node;
  std::string info;  // the answer to INFO
  std::string maxmemory_policy;
  std::string maxmemory;
  std::string appendonly;
  std::string save;
  bool config_forbidden = false;
};

// Judges one primary; adds to the report. Pure.
void examine_server(const ServerSettings& settings, ClientOptions::Mode mode, Durability durability,
                    ServerReport& report);

// Fails if a primary cannot be asked.
Task<Result<ServerReport>> examine_servers(Client& client, Durability durability,
                                           Deadline deadline);

}  // namespace mpr::redis
