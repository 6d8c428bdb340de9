// A pipelining client for one Redis server or a Redis Cluster. Every io thread has connections of
// its own and resumes its callers in place: what one thread starts on one key takes effect in the
// order in which it was started, over redirections too. Callers on other executors (subcommands,
// tests, background threads) share the connections of a thread that the client owns.
//
// Any executor thread may call. The client outlives every call; it is destroyed after the io
// threads that used it have ended. It never retries a request that may have been executed, unless
// the request says that it may be repeated.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/metrics.hpp"
#include "base/task.hpp"
#include "store/redis/outcome.hpp"
#include "store/redis/request.hpp"
#include "store/redis/server_address.hpp"
#include "store/redis/value.hpp"

namespace mpr::redis {

struct ClientOptions {
  // Single: exactly one server. Cluster: some of its nodes, to learn the others from.
  enum class Mode { single, cluster };
  Mode mode = Mode::single;
  std::vector<ServerAddress> servers;
  // Announced address -> reachable address, "host:port" both (REDIS_NATMAP).
  std::vector<std::pair<std::string, std::string>> nat_map;
  Login login;  // user, password, database number, TLS: the same for every node
  std::chrono::milliseconds connect_timeout{1000};
  // A connection from which nothing came for so long, while requests wait, is closed.
  std::chrono::milliseconds silence_limit{1000};
  // How long a flush waits for a replica at most (Durability::replicated), half of the limit above
  // if that is less: what is behind it on the connection, reads too, waits as long.
  std::chrono::milliseconds replica_wait{500};
  std::chrono::milliseconds reconnect_at_least{50};  // doubles up to the next, with jitter
  std::chrono::milliseconds reconnect_at_most{2000};
  // Bytes of requests that wait on one connection; beyond it requests fail at once.
  std::size_t most_waiting_bytes = 256ULL << 20;
};

class Client {
 public:
  // Starts connecting; does not wait. Metrics outlive the client.
  Client(ClientOptions options, Metrics& metrics);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Runs the commands of one request on the node that serves its key; one value for each command,
  // in order. An error that the server answers to a command is a Value of kind error: MOVED, ASK,
  // TRYAGAIN, CLUSTERDOWN, LOADING and READONLY never reach the caller, they are followed or tried
  // again until the deadline.
  Task<Outcome<std::vector<Value>>> run(Request request, Deadline deadline);

  // The same for a request of one command: its value.
  Task<Outcome<Value>> run_one(Request request, Deadline deadline);

  // One script: EVALSHA, and EVAL when the server does not know it.
  // All keys belong to one slot; the first one routes.
  Task<Outcome<Value>> eval(const Script& script, std::vector<std::string> keys,
                            std::vector<std::string> arguments, Repeat repeat, Deadline deadline);

  // The same request on every primary, for checks and scans: the values by node address.
  struct NodeAnswer {
    std::string node;
    Outcome<std::vector<Value>> values;
  };
  Task<Outcome<std::vector<NodeAnswer>>> run_everywhere(Request request, Deadline deadline);
  // The same on one of them, as run_everywhere() names it: for scans, which go on node by node.
  Task<Outcome<std::vector<Value>>> run_on(std::string node, Request request, Deadline deadline);

  // Listens to a channel, on a connection of its own that lives as long as the client. `on_message`
  // runs on the client's thread with each payload. `on_connected` runs there whenever the
  // subscription stands anew (the first time too): what was published in between went unheard.
  // Sharded pub/sub in a cluster, classic on a single server. Set up before traffic; what the
  // functions refer to outlives the client.
  void subscribe(std::string channel, std::function<void(std::string_view payload)> on_message,
                 std::function<void()> on_connected);

  // Publishes; yields how many listeners the node that serves the channel handed it to.
  Task<Outcome<std::int64_t>> publish(std::string channel, std::string payload, Deadline deadline);

  // Whether the servers can be reached: all slots are served by connected primaries. Never blocks.
  Result<void> ready() const;

  // Waits until ready() or the deadline; for the start.
  Task<Result<void>> connect(Deadline deadline);

  ClientOptions::Mode mode() const noexcept;

 private:
  class Parts;
  std::unique_ptr<Parts> parts_;
};

// What a command's error answer means to the callers of a store: OOM and the like become
// `unavailable` or `quota_exceeded` with a plain reason; anything unforeseen is `internal`.
Error error_of(const Value& error_answer);

}  // namespace mpr::redis
