// The hot MessageStore of several gateways: one Redis server or a Redis Cluster.
//
// A queue is a stream; its entries' ids, given by Redis, are the positions. A plain add is a few
// pipelined commands and a take of a few messages is one; whatever has to see several things at one
// moment is a script (scripts/*.lua, with scripts/queue.lua in front). docs/storage.md lists the
// keys.
//
// Any executor thread may call anything. What one thread starts on one connection takes effect in
// the order in which it was started, except that a read or removal of more than about a thousand
// messages goes in steps: it sees what was added or removed between them. A take that removes reads
// first and removes by id what it read, which may be repeated when the answer was lost; what the
// thread starts behind it on the connection waits for it.
//
// The client, the clock and the metrics outlive the store; no call may be under way when it is
// destroyed. The store never uses KEYS, and it deletes no queue that holds messages. SCAN serves
// the patrol for lost queues alone.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log_limit.hpp"
#include "base/metrics.hpp"
#include "core/queue_turns.hpp"
#include "core/tiers.hpp"
#include "store/redis/client.hpp"
#include "store/redis/keys.hpp"
#include "store/redis/message_ids.hpp"
#include "store/redis/queue_answers.hpp"
#include "store/redis/stored_entry.hpp"

namespace mpr {

namespace redis {
class QueueCensus;
class QueuePatrol;
}  // namespace redis

struct TakeProgress;  // known only to store_reads.cpp

class RedisStore final : public HotStore {
 public:
  struct Options {
    std::string prefix = "mpr";  // of every key
    // Of a new installation; an existing one has to have the same number.
    std::uint32_t partitions = redis::Keys::kDefaultPartitions;
    redis::Durability durability = redis::Durability::primary;  // of adds and removals
    std::uint64_t max_queue_messages = 1'000'000;  // per connection; over it: quota_exceeded
    std::uint64_t max_queue_bytes = 4ULL << 30;    // payload bytes per connection
    std::chrono::milliseconds idempotency_window{std::chrono::minutes(10)};
    // Callers' ids of messages that were moved into the cold tier are known for this long at least;
    // each costs some 150 bytes meanwhile.
    std::chrono::milliseconds archived_id_window{std::chrono::hours(24)};
    // How long a queue has to be empty before due() forgets it. Longer than the clocks of any two
    // Redis servers differ, because positions come from there.
    std::chrono::milliseconds forget_after{std::chrono::minutes(10)};
    std::chrono::milliseconds census_interval{std::chrono::seconds(10)};  // 0: totals stay 0
    // How often one of the gateways looks for queues that no index names; 0: never.
    std::chrono::milliseconds patrol_interval{0};
  };

  // Checks that the installation is one that this program understands, and makes it if there is
  // none: the first of several gateways that start together decides.
  static Task<Result<std::unique_ptr<RedisStore>>> open(redis::Client& client, Options options,
                                                        Clock& clock, Metrics& metrics,
                                                        Deadline deadline);
  ~RedisStore() override;
  RedisStore(const RedisStore&) = delete;
  RedisStore& operator=(const RedisStore&) = delete;

  // --- MessageStore: the hot tier alone -------------------------------------------------------

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
  // The client's, and whether Redis refused to store something in the last seconds.
  Result<void> ready() const override;
  // Queues that have, or lately had, messages; as of the last census. The others are not known.
  StoreTotals totals() const override;

  // --- HotStore -------------------------------------------------------------------------------

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
  // With a recipient, copies of messages that have left the hot tier are not withdrawn.
  Task<Result<HotAnswer<RemoveOutcome>>> remove_all_hot(Connection connection,
                                                        std::optional<RecipientDid> recipient_did,
                                                        Deadline deadline) override;
  Task<Result<void>> note_cold_empty(Connection connection, std::string cold_mark,
                                     Deadline deadline) override;

  std::uint32_t partitions() const override { return keys_.partitions(); }
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

  const redis::Keys& keys() const noexcept { return keys_; }

 private:
  using Words = std::vector<std::string>;
  template <class T>
  using Answer = Task<Result<HotAnswer<T>>>;

  RedisStore(redis::Client& client, Options options, Clock& clock, Metrics& metrics);

  // --- calls (redis_store.cpp) ----------------------------------------------------------------
  std::string now() const;
  redis::Request script_request(const redis::Script& script, const Connection& connection,
                                Words more_keys, const Words& arguments, redis::Repeat repeat,
                                redis::Durability durability) const;
  Task<redis::Outcome<redis::Value>> run_script(redis::Request request, Deadline deadline);
  // A script that only reads, or does no harm when it is repeated.
  Task<Result<redis::Value>> ask(std::reference_wrapper<const redis::Script> script,
                                 Connection connection, Words more_keys, Words arguments,
                                 Deadline deadline);
  redis::Failure note_failure(redis::Failure failure);
  redis::Failure note_refusal(const redis::Value& error_answer);
  // Not ready for so long.
  void remember_refusal(const Error& refusal, std::chrono::seconds how_long);
  Task<void> purge(Connection connection, Deadline deadline);
  // An operation on the hot tier alone, behind takes that remove.
  template <class T>
  Task<Result<T>> in_turn(Connection connection, Answer<T> operation);
  void count_expired(std::int64_t how_many);

  // --- adding (store_adds.cpp) ----------------------------------------------------------------
  std::string next_nonce();
  redis::Request plain_add(const NewMessage& message, const std::string& description) const;
  Task<Result<AddOutcome>> finish_add(NewMessage message, std::vector<redis::Value> values,
                                      Deadline deadline);
  Task<Result<AddOutcome>> add_once(NewMessage message, std::string description, std::string nonce,
                                    std::chrono::steady_clock::time_point began, Deadline deadline);
  Task<Result<void>> settle_quota(Connection connection, Position position, Deadline deadline);
  Task<Result<Position>> find_previous(Connection connection, Position position, Deadline deadline);
  Error quota_error(std::int64_t kind) const;

  // --- reading (store_reads.cpp) --------------------------------------------------------------
  Task<Result<std::vector<StoredMessage>>> take_away(TakeQuery query, Deadline deadline);
  Task<std::optional<Result<HotAnswer<std::vector<StoredMessage>>>>> take_plain(
      std::reference_wrapper<const TakeQuery> query, Deadline deadline);
  Answer<std::vector<StoredMessage>> take_in_steps(TakeQuery query, Deadline deadline);
  Words take_arguments(const TakeQuery& query, const TakeProgress& progress) const;

  // Removes what was read; yields what this call removed, or may have removed.
  Task<Result<std::vector<StoredMessage>>> remove_taken(Connection connection,
                                                        std::vector<StoredMessage> read,
                                                        Deadline deadline);

  // --- removing (store_removals.cpp) ----------------------------------------------------------
  enum class Wanted { outcome, view };  // a view may cost another round trip
  using OwnIds = std::vector<redis::ServerMessageId>;
  Answer<RemoveOutcome> remove_ids(Connection connection, std::vector<MessageId> ids, Wanted wanted,
                                   Deadline deadline);
  redis::Request plain_removal(const Connection& connection, const OwnIds& own) const;
  Task<std::optional<Result<HotAnswer<RemoveOutcome>>>> remove_plain(Connection connection,
                                                                     std::vector<MessageId> ids,
                                                                     OwnIds own, Wanted wanted,
                                                                     Deadline deadline);
  // `xdel`: what a plain removal was answered for each id; empty: there was none. Again: an earlier
  // attempt may have removed them.
  enum class Attempt { first, again };
  Answer<RemoveOutcome> remove_by_script(Connection connection, std::vector<MessageId> ids,
                                         std::vector<bool> xdel, Attempt attempt,
                                         Deadline deadline);

  // --- archiving (store_archive.cpp) ----------------------------------------------------------
  std::string lease_key(std::uint32_t partition) const;
  std::string due_key(std::uint32_t partition) const;
  std::string aside_key(std::uint32_t partition) const;
  std::string remembered_prefix(const Connection& connection) const;

  redis::Client& client_;
  const Options options_;
  const redis::Keys keys_;
  Clock& clock_;
  Metrics& metrics_;

  const std::string nonce_base_;
  std::atomic<std::uint64_t> nonces_ = 0;

  log::Limit refusals_logged_{std::chrono::seconds(30)};
  mutable std::mutex refusal_mutex_;
  Error refusal_;                                          // guarded by refusal_mutex_
  std::chrono::steady_clock::time_point refused_until_{};  // guarded by refusal_mutex_

  QueueTurns turns_;

  std::unique_ptr<redis::QueueCensus> census_;  // null: no census
  std::unique_ptr<redis::QueuePatrol> patrol_;  // null: nobody looks
};

template <class T>
Task<Result<T>> RedisStore::in_turn(Connection connection, Answer<T> operation) {
  std::optional<QueueTurns::Turn> turn;
  if (turns_.holds_single()) {
    turn.emplace(turns_, connection, QueueTurns::Kind::single);
    co_await turn->first_step();
  }
  auto answer = co_await operation;
  if (!answer) co_return std::unexpected(std::move(answer).error());
  co_return std::move(answer->value);
}

}  // namespace mpr
