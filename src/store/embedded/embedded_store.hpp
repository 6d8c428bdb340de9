// The MessageStore of a single node: a directory with a log of segments (docs/storage.md), and an
// index of it in RAM. An operation that was answered is on disk.
//
// Any executor thread may call anything. Reads are answered at once, on the calling thread, unless
// the disk has to be asked or changes of the same queue still wait: then they take their place in
// line. Changes wait for the group commit they are in. Clock, metrics, file system and the
// executors of waiting callers outlive the store; nothing may be waiting when it is destroyed but
// what the destructor can still answer. It never answers a change before the disk has it, and never
// opens a directory that is in use.
#pragma once

#include <memory>

#include "base/metrics.hpp"
#include "core/ports.hpp"
#include "store/embedded/file_system.hpp"
#include "store/embedded/options.hpp"

namespace mpr {

class EmbeddedStore final : public MessageStore {
 public:
  using Options = EmbeddedOptions;

  // Creates the directory if need be and recovers what is in it. Fails, naming the directory, when
  // another process holds it, when it cannot be written, or when its format is not this version's.
  static Result<std::unique_ptr<EmbeddedStore>> open(Options options, Clock& clock,
                                                     Metrics& metrics,
                                                     FileSystem& files = system_files());
  ~EmbeddedStore() override;
  EmbeddedStore(const EmbeddedStore&) = delete;
  EmbeddedStore& operator=(const EmbeddedStore&) = delete;

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

 private:
  struct Parts;
  explicit EmbeddedStore(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace mpr
