// Whether the user that MPR is at Redis (ACL) may do everything that MPR does there: for the start
// and for `mpr check`. Asks the server about each command without running it; changes nothing.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/task.hpp"
#include "store/redis/client.hpp"
#include "store/redis/server_checks.hpp"

namespace mpr::redis {

// One finding for each primary that would refuse something. A server that cannot be asked about
// permissions gives none. Fails if a primary does not answer.
Task<Result<std::vector<ServerFinding>>> examine_permissions(Client& client, std::string prefix,
                                                             Durability durability,
                                                             Deadline deadline);

}  // namespace mpr::redis
