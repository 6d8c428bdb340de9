// The two tiers in RAM, as core/tiers.hpp describes them and as plainly as possible: one mutex
// each, every operation one step under it. For tests of the tiered store and of the archiver.
//
// Any thread may call anything; no call suspends. Clock and ledger outlive the tiers. Quotas bound
// what is in the hot tier.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <set>

#include "base/metrics.hpp"
#include "core/tiers.hpp"

namespace mpr::test {

// Counts a message that expired once, although it may be in both tiers. Thread-safe.
class ExpiryLedger {
 public:
  explicit ExpiryLedger(Metrics& metrics) : metrics_(metrics) {}
  void count(Position position) {
    std::lock_guard lock(mutex_);
    if (seen_.insert(position).second) metrics_.messages_expired.add();
  }

 private:
  Metrics& metrics_;
  std::mutex mutex_;
  std::set<Position> seen_;  // guarded by mutex_
};

class MemoryHotStore final : public HotStore {
 public:
  struct Options {
    std::uint32_t partitions = 4;
    std::uint64_t max_queue_messages = 1'000'000;
    std::uint64_t max_queue_bytes = 1ULL << 30;
    std::uint64_t max_store_bytes = 0;
    std::chrono::milliseconds idempotency_window{std::chrono::minutes(10)};
    std::size_t remembered_ids = 100'000;
    std::chrono::milliseconds ghost_life{std::chrono::minutes(10)};
  };

  MemoryHotStore(Options options, Clock& clock, ExpiryLedger& expired);

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

  Task<Result<HotAnswer<std::vector<StoredMessage>>>> take_hot(TakeQuery query,
                                                               Deadline deadline) override;
  Task<Result<HotAnswer<std::uint64_t>>> count_hot(QueueQuery query, Deadline deadline) override;
  Task<Result<HotAnswer<QueueStatus>>> status_hot(QueueQuery query, Deadline deadline) override;
  Task<Result<HotAnswer<Position>>> tail_hot(Connection connection, Deadline deadline) override;
  Task<Result<HotAnswer<std::optional<PushToken>>>> newest_push_token_hot(
      Connection connection, Deadline deadline) override;
  Task<Result<HotAnswer<RemoveOutcome>>> remove_hot(Connection connection,
                                                    std::vector<MessageId> ids,
                                                    Deadline deadline) override;
  Task<Result<HotAnswer<RemoveOutcome>>> remove_all_hot(Connection connection,
                                                        std::optional<RecipientDid> recipient_did,
                                                        Deadline deadline) override;
  Task<Result<void>> note_cold_empty(Connection connection, std::string cold_mark,
                                     Deadline deadline) override;

  std::uint32_t partitions() const override { return options_.partitions; }
  Task<Result<std::optional<ArchiveLease>>> lease(std::uint32_t partition,
                                                  std::optional<ArchiveLease> held,
                                                  std::chrono::milliseconds duration,
                                                  Deadline deadline) override;
  Task<Result<void>> release(ArchiveLease lease, Deadline deadline) override;
  Task<Result<std::vector<Connection>>> due(std::uint32_t partition, TimePoint until,
                                            std::size_t most, Deadline deadline) override;
  Task<Result<Batch>> claim(ArchiveLease lease, Connection connection, TimePoint until,
                            std::size_t most, std::uint64_t most_bytes, Deadline deadline) override;
  Task<Result<ArchiveFinish>> finish(ArchiveLease lease, Connection connection,
                                     std::vector<MessageId> copied, Deadline deadline) override;
  Task<Result<void>> forget(ArchiveLease lease, Connection connection, Deadline deadline) override;
  Task<Result<std::vector<MessageId>>> still_hot(Connection connection, std::vector<MessageId> ids,
                                                 Deadline deadline) override;
  Task<Result<void>> set_aside(ArchiveLease lease, Connection connection, TimePoint again,
                               Deadline deadline) override;

  // What a test looks at.
  std::size_t queues_known() const;  // queues that due() has not forgotten
  bool knows_cold_empty(const Connection& connection) const;

 private:
  struct Entry {
    NewMessage message;
    TimePoint accepted_at;
  };
  struct Known {  // a caller's id of a message that is in the cold tier, or was removed
    Position position;
    TimePoint received_at;
    std::optional<TimePoint> expires_at;
    TimePoint removed_at;
  };
  struct Withdrawn {
    bool erase = false;  // to be named at the next claim
    bool named = false;  // so that forget() is about it
    TimePoint ends;      // when it need not be hidden any more: at once, or a ghost's end
  };
  struct Queue {
    std::map<Position, Entry> entries;
    std::map<MessageId, Position> by_id;
    std::uint64_t bytes = 0;
    std::size_t expiring = 0;            // entries that will expire
    bool indexed = false;                // known to due()
    std::map<MessageId, Position> open;  // claimed and not finished
    std::uint64_t claimed_under = 0;
    std::map<MessageId, TimePoint> ghosts;  // batches that were claimed under two leases
    std::map<MessageId, Withdrawn> withdrawn;
    bool cold_empty = false;
    std::uint64_t mark = 0;
    std::map<MessageId, Known> moved;
    std::optional<std::pair<Position, TimePoint>> aside;
  };
  struct Partition {
    std::uint64_t number = 0;
    std::optional<TimePoint> until;
  };
  class Visit;

  std::uint32_t partition_of(const Connection& connection) const;
  bool holds(const ArchiveLease& lease) const;
  std::optional<Known> find_known(Queue& queue, const NewMessage& message);
  void remember(const Connection& connection, const MessageId& id, Known known);
  void erase(Queue& queue, std::map<Position, Entry>::iterator place);
  void remove_entry(const Connection& connection, Queue& queue,
                    std::map<Position, Entry>::iterator place);
  void withdraw(Queue& queue, const MessageId& id) const;
  bool has_to_erase(const Queue& queue) const;
  HotView view_of(const Queue& queue, Position after = {}) const;
  template <class T>
  HotAnswer<T> answer(T value, const Queue& queue, Position after = {}) const;

  const Options options_;
  Clock& clock_;
  ExpiryLedger& expired_;
  mutable std::mutex mutex_;  // guards everything below
  std::map<Connection, Queue> queues_;
  std::vector<Partition> partitions_;
  std::map<std::pair<Connection, MessageId>, Known> removed_ids_;
  std::deque<std::pair<Connection, MessageId>> removed_order_;
  Position last_;
  std::uint64_t bytes_ = 0;
};

class MemoryColdStore final : public ColdStore {
 public:
  MemoryColdStore(Clock& clock, ExpiryLedger& expired) : clock_(clock), expired_(expired) {}

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
  Result<void> ready() const override;
  StoreTotals totals() const override;

  Task<Result<std::vector<StoredMessage>>> take_cold(TakeQuery query, ColdPart part,
                                                     Deadline deadline) override;
  Task<Result<std::uint64_t>> count_cold(QueueQuery query, ColdPart part,
                                         Deadline deadline) override;
  Task<Result<QueueStatus>> status_cold(QueueQuery query, ColdPart part,
                                        Deadline deadline) override;
  Task<Result<std::optional<PushToken>>> newest_push_token_cold(Connection connection,
                                                                ColdPart part, std::size_t most,
                                                                Deadline deadline) override;
  Task<Result<std::vector<CopyResult>>> copy(std::vector<TierMessage> messages,
                                             Deadline deadline) override;
  Task<Result<RemoveOutcome>> claim_and_remove(Connection connection, std::vector<MessageId> ids,
                                               Deadline deadline) override {
    return remove(std::move(connection), std::move(ids), deadline);
  }
  Task<Result<std::uint64_t>> remove_expired(std::size_t most, Deadline deadline) override;

  // From now on every call fails, or none does. Counts the calls that came meanwhile.
  void fail_all(bool yes);
  std::uint64_t refused_calls() const;
  // copy() refuses messages with this id.
  void refuse(const MessageId& id);
  void refuse_nothing();
  std::vector<std::size_t> bulks() const;  // sizes of the copies that came, in order
  std::uint64_t asked() const;             // reads and removals that came

 private:
  using Queue = std::map<Position, NewMessage>;

  std::optional<Error> enter(Deadline deadline);  // mutex_ held
  Queue& queue_of(const Connection& connection);  // without what has expired
  Queue part_of(const Connection& connection, const ColdPart& part);

  Clock& clock_;
  ExpiryLedger& expired_;
  mutable std::mutex mutex_;  // guards everything below
  std::map<Connection, Queue> queues_;
  std::set<MessageId> poison_;
  std::vector<std::size_t> bulks_;
  bool failing_ = false;
  std::uint64_t refused_calls_ = 0;
  std::uint64_t asked_ = 0;
  Position last_;
};

}  // namespace mpr::test
