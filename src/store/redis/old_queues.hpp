// The queues that the service which MPR replaces kept in Redis: one LIST of JSON texts for each
// connection. For `mpr migrate`: reads them, and sets aside what was taken over, element by
// element, so that an interrupted migration goes on where it ended and the old data stay to be
// looked at.
//
// One thread at a time; the client outlives it. It never deletes anything.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/task.hpp"
#include "core/ids.hpp"
#include "store/redis/client.hpp"

namespace mpr {

class OldQueues {
 public:
  explicit OldQueues(redis::Client& client) : client_(client) {}

  struct Queue {
    std::string key;
    ConnectionId connection;
    std::uint64_t length = 0;
  };
  struct Found {
    std::vector<Queue> queues;
    // A sentence about each key that is named like a queue and is none; sorted.
    std::vector<std::string> foreign;
  };
  // All old queues, by a SCAN of every primary.
  Task<Result<Found>> find(Deadline deadline);

  // The first `most` elements, oldest first.
  Task<Result<std::vector<std::string>>> head(Queue queue, std::size_t most, Deadline deadline);

  // Moves the first element to the list of those taken over, or to that of those that could not be
  // read. False: it is not `element` any more, somebody else changed the list.
  enum class Fate { taken_over, unreadable };
  Task<Result<bool>> set_aside(Queue queue, std::string element, Fate fate, Deadline deadline);

  // "connectionId:<id>:queuemessages" -> the id.
  static std::optional<ConnectionId> connection_of(std::string_view key);
  // Where elements end up; in the same slot as the queue. Ends in ":taken-over" or ":unreadable".
  static std::string aside_key(std::string_view key, Fate fate);
  // A key as people are shown it: shortened in its middle, and printable.
  static std::string shown(std::string_view key);

 private:
  Task<Result<void>> scan(std::string node, std::vector<std::string>& keys, Deadline deadline);
  Task<Result<void>> measure(std::vector<std::string> keys, Found& found, Deadline deadline);

  redis::Client& client_;
};

}  // namespace mpr
