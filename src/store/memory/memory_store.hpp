// A MessageStore in RAM: for tests, for trying things out, and as the yardstick of what the gateway
// costs without a disk. Everything is gone when the process ends.
// Any thread may call anything; no call suspends. The clock and the metrics outlive the store.
// It never answers `unavailable`, and it looks at deadlines only when an operation begins.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include "base/metrics.hpp"
#include "core/ports.hpp"

namespace mpr {

class MemoryStore final : public MessageStore {
 public:
  struct Options {
    std::uint64_t max_queue_messages = 1'000'000;  // per connection; over it: quota_exceeded
    std::uint64_t max_queue_bytes = 4ULL << 30;    // payload bytes per connection
    std::uint64_t max_store_bytes = 0;             // payload bytes in all; 0: no bound
    std::chrono::milliseconds idempotency_window{std::chrono::minutes(10)};
    std::size_t remembered_ids =
        100'000;  // callers' ids kept after removal; oldest forgotten first
  };

  MemoryStore(Options options, Clock& clock, Metrics& metrics);
  ~MemoryStore() override;
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;

  Task<Result<AddOutcome>> add(NewMessage message, Deadline deadline) override;
  Task<Result<std::vector<StoredMessage>>> take(TakeQuery query, Deadline deadline) override;
  Task<Result<std::uint64_t>> count(QueueQuery query, Deadline deadline) override;
  Task<Result<QueueStatus>> status(QueueQuery query, Deadline deadline) override;
  Task<Result<Position>> tail(Connection connection, Deadline deadline) override;
  Task<Result<std::optional<PushToken>>> newest_push_token(Connection connection,
                                                           Deadline deadline) override;
  Task<Result<RemoveOutcome>> remove(Connection connection, std::vector<MessageId> ids,
                                     Deadline deadline) override;
  Task<Result<RemoveOutcome>> remove_all(Connection connection,
                                         std::optional<RecipientDid> recipient_did,
                                         Deadline deadline) override;
  Result<void> ready() const override { return {}; }
  StoreTotals totals() const override;

 private:
  class RememberedIds;
  class Visit;
  struct Shard;
  static constexpr std::size_t kShards = 64;

  Result<AddOutcome> add_now(NewMessage message);

  const Options options_;
  Clock& clock_;
  Metrics& metrics_;
  std::unique_ptr<Shard[]> shards_;
  std::unique_ptr<RememberedIds> remembered_;
  std::atomic<std::uint64_t> bytes_ = 0;  // of all shards, for max_store_bytes
};

}  // namespace mpr
