// Keeps messages in MongoDB, or in a server that speaks its protocol: as the cold tier, or alone.
// An answered change is confirmed by a majority of the servers. Any number of gateways may share a
// database.
//
// Callable from any executor thread; the driver's blocking calls are made on threads of its own,
// those of one connection always on the same. The clock and the metrics outlive the store; callers
// that wait are answered before it is gone. It never holds a caller beyond its deadline, and never
// shows the URI.
#pragma once

#include <memory>
#include <vector>

#include "base/metrics.hpp"
#include "core/tiers.hpp"
#include "store/mongo/options.hpp"

namespace mpr {

namespace mongo {
class Operation;
class Worker;
}  // namespace mongo

class MongoStore final : public ColdStore {
 public:
  using Options = MongoOptions;

  // Waits for the database as long as one attempt takes; if it does not answer the store is opened
  // all the same, says so in ready(), and works as soon as it does. The error is a URI that cannot
  // be used.
  static Result<std::unique_ptr<MongoStore>> open(Options options, Clock& clock, Metrics& metrics);
  ~MongoStore() override;
  MongoStore(const MongoStore&) = delete;
  MongoStore& operator=(const MongoStore&) = delete;

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
  // Of the whole database as far as this gateway knows: its own changes at once, those of others
  // after Options::totals_every. Large databases are estimated.
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
  Task<Result<RemoveOutcome>> claim_and_remove(Connection connection, std::vector<MessageId> ids,
                                               Deadline deadline) override;
  Task<Result<std::vector<CopyResult>>> copy(std::vector<TierMessage> messages,
                                             Deadline deadline) override;
  Task<Result<std::uint64_t>> remove_expired(std::size_t most, Deadline deadline) override;

 private:
  struct Parts;
  MongoStore();

  mongo::Worker& worker_of(const Connection& connection);
  mongo::Worker& copy_worker();
  template <class Asked>
  Task<Result<typename Asked::Outcome>> ask(std::shared_ptr<Asked> operation,
                                            mongo::Worker& worker);

  std::unique_ptr<Parts> parts_;
};

}  // namespace mpr
