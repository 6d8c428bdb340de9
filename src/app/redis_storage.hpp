// Redis and MongoDB as the storage of any number of gateways.
//
// MPR_DURABILITY decides who keeps messages: fast and replicated use Redis as the hot tier, and
// MongoDB, if there is one, as the cold one; durable uses MongoDB alone. Sessions are always in
// Redis.
#pragma once

#include "app/storage.hpp"
#include "store/mongo/options.hpp"
#include "store/redis/client.hpp"

namespace mpr {

Result<std::unique_ptr<Storage>> open_redis_storage(const Settings& settings, const GatewayId& self,
                                                    Storage::Ports ports);

// What the client needs to know of the servers; the error names the option that is wrong.
Result<redis::ClientOptions> redis_client_options(const Settings& settings);

// The client and the store that `mpr migrate` fills: where a gateway with these settings would put
// a message.
class MigrationTarget {
 public:
  static Result<std::unique_ptr<MigrationTarget>> open(const Settings& settings, Clock& clock,
                                                       Metrics& metrics);
  virtual ~MigrationTarget() = default;
  virtual redis::Client& client() = 0;
  virtual MessageStore& store() = 0;
};

MongoOptions mongo_options(const Settings& settings);
redis::Durability durability_of(const Settings& settings);

}  // namespace mpr
