// Redis and MongoDB as the storage of any number of gateways.
//
// MPR_DURABILITY decides who keeps messages: fast and replicated use Redis as the hot tier, and
// MongoDB, if there is one, as the cold one; durable uses MongoDB alone. Sessions are always in
// Redis.
#pragma once

#include "app/storage.hpp"
#include "store/mongo/options.hpp"
#include "store/redis/client.hpp"
#include "store/redis/server_checks.hpp"

namespace mpr {

Result<std::unique_ptr<Storage>> open_redis_storage(const Settings& settings, const GatewayId& self,
                                                    Storage::Ports ports);

// Waits for the servers; the error says what to set if they are not of the kind that was
// configured.
Task<Result<void>> connect_redis(redis::Client& client, Deadline deadline);

// What `mpr check` and the start have to know of Redis, in this order: the servers, what the user
// may do there, and whether the data there fits the settings. Ends at the first of these that does
// not fit. Changes nothing.
Task<Result<redis::ServerReport>> examine_redis(redis::Client& client, Settings settings,
                                                Deadline deadline);

// What the client needs to know of the servers; the error names the option that is wrong.
Result<redis::ClientOptions> redis_client_options(const Settings& settings);

// The client and the store that `mpr migrate` fills: where a gateway with these settings would put
// a message.
class MigrationTarget {
 public:
  enum class Purpose { look, fill };  // to look changes nothing at the servers
  static Result<std::unique_ptr<MigrationTarget>> open(const Settings& settings, Purpose purpose,
                                                       Clock& clock, Metrics& metrics);
  virtual ~MigrationTarget() = default;
  virtual redis::Client& client() = 0;
  virtual MessageStore* store_to_fill() = 0;  // null: opened to look
};

MongoOptions mongo_options(const Settings& settings);
redis::Durability durability_of(const Settings& settings);

}  // namespace mpr
