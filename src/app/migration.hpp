// Takes over the queues that the service which MPR replaces kept in Redis. A message is added under
// its own id and only then set aside, so an interrupted migration is simply run again.
//
// One thread. The queues and the store outlive it.
#pragma once

#include <cstdint>
#include <functional>

#include "core/ports.hpp"
#include "store/redis/old_queues.hpp"

namespace mpr {

struct MigrationProgress {
  std::uint64_t queues = 0;  // in all
  std::uint64_t queues_done = 0;
  std::uint64_t messages = 0;    // in all, when the migration began
  std::uint64_t taken_over = 0;  // stored now
  std::uint64_t known = 0;       // were stored by an earlier run
  std::uint64_t unreadable = 0;  // set aside under a name of their own
  std::uint64_t foreign = 0;     // keys that are named like a queue and are none: left alone

  bool operator==(const MigrationProgress&) const = default;
};

class Migration {
 public:
  struct Ports {
    OldQueues& queues;
    MessageStore* store;  // null: for dry_run() alone
    Clock& clock;
    std::function<void(const MigrationProgress&)> on_progress;  // after each batch
    // A sentence about an element or a key that cannot be read; without its content.
    std::function<void(std::string)> on_unreadable;
  };

  explicit Migration(Ports ports) : ports_(std::move(ports)) {}

  // Counts, reads the first hundred messages of each queue, and changes nothing.
  Task<Result<MigrationProgress>> dry_run();
  // Fails at the first refusal of a server; what was taken over by then stays so.
  Task<Result<MigrationProgress>> run();

 private:
  Task<Result<std::vector<OldQueues::Queue>>> find(MigrationProgress& progress);
  Task<Result<void>> take_over(OldQueues::Queue queue, MigrationProgress& progress);
  Task<Result<void>> take_over_one(OldQueues::Queue queue, std::string element,
                                   MigrationProgress& progress);

  const Ports ports_;
};

}  // namespace mpr
