// What stands in Redis about a whole installation, under <prefix>:meta: the format of the data and
// the number of partitions, which never changes (see keys.hpp). RedisStore::open() writes it first.
// It is read before it is written: a full Redis takes no writes, and gateways start on it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/task.hpp"
#include "store/redis/client.hpp"
#include "store/redis/keys.hpp"

namespace mpr::redis {

inline constexpr std::string_view kInstallationFormat = "1";

struct Installation {
  std::string format;
  std::string partitions;
};

// Nothing: no gateway has used the prefix. Changes nothing.
Task<Result<std::optional<Installation>>> read_installation(Client& client, Keys keys,
                                                            Deadline deadline);

// Whether a gateway with these keys can use it; the error says what differs.
Result<void> check_installation(const Installation& installation, const Keys& keys);

// Writes it if it is not there: nobody has used the prefix, or somebody has emptied Redis under
// running gateways. True: it was not.
Task<Result<bool>> restore_installation(Client& client, Keys keys, Deadline deadline);

}  // namespace mpr::redis
