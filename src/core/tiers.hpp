// The seam between the two tiers of a store. Messages enter the hot tier; those that stay too long
// are copied to the cold tier and then leave the hot one. The tiered store (pickup/tiered_store)
// reads both as one, the archiver (pickup/archiver) moves messages; adapters implement these ports
// and never meet.
//
// How a message is seen exactly once at every moment of its move: a queue is moved from its head
// only, so that everything in the cold tier stands in front of everything that is in the hot tier
// alone. A reader looks at the hot tier first, notes the first position it saw there, and then asks
// the cold tier for what stands in front of that position. What was removed while it was being
// copied is withdrawn: the hot tier names it until the copy is gone.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/ports.hpp"

namespace mpr {

// A message on its way from tier to tier.
struct TierMessage {
  NewMessage message;
  Position position;
};

// What the hot tier says of one queue, at the moment at which it was read.
struct HotView {
  // The oldest message of the queue that is in the hot tier (for a take: that is not in front of
  // TakeQuery::after), whether or not it matches the query. Empty: there is none.
  std::optional<Position> first;
  // Removed while they were being copied: the cold tier may show them, and nobody may see them.
  std::vector<MessageId> withdrawn;
  // Whether the cold tier may hold messages of the connection; if not, it need not be asked.
  bool cold_possible = false;
  std::string cold_mark;  // for note_cold_empty(); opaque
  // Of a removal that was done twice because the first answer was lost: what is said to be removed
  // may as well have been in the cold tier by then, which has to remove it too.
  bool removal_repeated = false;
};

template <class T>
struct HotAnswer {
  T value;
  HotView view;
};

// The right to archive one partition, until it expires or is released. The number grows with every
// lease of the partition.
struct ArchiveLease {
  std::uint32_t partition = 0;
  std::uint64_t number = 0;
};

// What finish() found out about a batch.
struct ArchiveFinish {
  // Another gateway holds the lease by now: nothing was changed in the hot tier.
  bool lease_lost = false;
  // Of the batch: removed by its owner meanwhile. Their copies have to leave the cold tier; until
  // forget() says that they have, the hot tier names them as withdrawn.
  std::vector<MessageId> withdrawn;
  std::uint64_t moved = 0;  // left the hot tier in this step
};

// The tier where messages enter. Beside the MessageStore operations, which see the hot tier alone,
// it answers the same with a view, for reads that go on in the cold tier. Thread-safe as
// MessageStore is.
class HotStore : public MessageStore {
 public:
  // Only reads, whatever TakeQuery::mode says: who wants to remove does that by id.
  virtual Task<Result<HotAnswer<std::vector<StoredMessage>>>> take_hot(TakeQuery query,
                                                                       Deadline deadline) = 0;
  virtual Task<Result<HotAnswer<std::uint64_t>>> count_hot(QueueQuery query, Deadline deadline) = 0;
  virtual Task<Result<HotAnswer<QueueStatus>>> status_hot(QueueQuery query, Deadline deadline) = 0;
  virtual Task<Result<HotAnswer<Position>>> tail_hot(Connection connection, Deadline deadline) = 0;
  virtual Task<Result<HotAnswer<std::optional<PushToken>>>> newest_push_token_hot(
      Connection connection, Deadline deadline) = 0;
  // What is removed while it is being copied is withdrawn before the answer, and so is what belongs
  // to a ghost batch (see below). The view of a removal names as withdrawn what was withdrawn
  // before this call: that tells a copy in the cold tier which somebody else removed from one which
  // this call has to remove there.
  virtual Task<Result<HotAnswer<RemoveOutcome>>> remove_hot(Connection connection,
                                                            std::vector<MessageId> ids,
                                                            Deadline deadline) = 0;
  virtual Task<Result<HotAnswer<RemoveOutcome>>> remove_all_hot(
      Connection connection, std::optional<RecipientDid> recipient_did, Deadline deadline) = 0;

  // The cold tier was found to hold nothing of the connection, after a read whose view carried
  // `cold_mark`: later views say so, until something is archived. Nothing happens if something was
  // claimed or has left the hot tier since that read.
  virtual Task<Result<void>> note_cold_empty(Connection connection, std::string cold_mark,
                                             Deadline deadline) = 0;

  // --- archiving ------------------------------------------------------------------------------
  //
  // Ghosts: a batch that is claimed under another lease than it was claimed first is a ghost batch
  // for ten minutes: whoever had the first lease may still write copies of it. What its owner
  // removes of it meanwhile is withdrawn, also if it has left the hot tier, and for ten minutes
  // from then on; when they are over, claim() names it for the last time, so that a copy that came
  // to light is erased. Earlier claims may name it too: then the removal under way may find, and
  // report, nothing, although the message is gone as it should be.

  virtual std::uint32_t partitions() const = 0;

  // Takes the lease, or renews `held`. Nothing: another gateway has it.
  virtual Task<Result<std::optional<ArchiveLease>>> lease(std::uint32_t partition,
                                                          std::optional<ArchiveLease> held,
                                                          std::chrono::milliseconds duration,
                                                          Deadline deadline) = 0;
  virtual Task<Result<void>> release(ArchiveLease lease, Deadline deadline) = 0;

  // Connections of the partition whose oldest message in the hot tier was accepted at or before
  // `until`, the oldest first, and those with something withdrawn that claim() would name. Those
  // whose queue is empty by now are forgotten on the way.
  virtual Task<Result<std::vector<Connection>>> due(std::uint32_t partition, TimePoint until,
                                                    std::size_t most, Deadline deadline) = 0;

  // Starts the move of the queue's head: messages accepted at or before `until`, `most` of them and
  // about `most_bytes` at most, oldest first. From here on their removal is noted. A batch that an
  // earlier lease left unfinished is part of the answer. Fails with `unavailable` if the lease is
  // lost. An empty batch means that there is nothing to move and nothing to clean up.
  struct Batch {
    std::vector<TierMessage> messages;
    std::vector<MessageId> withdrawn;  // of an unfinished batch, see ArchiveFinish; of ghosts
  };
  virtual Task<Result<Batch>> claim(ArchiveLease lease, Connection connection, TimePoint until,
                                    std::size_t most, std::uint64_t most_bytes,
                                    Deadline deadline) = 0;

  // Ends the move of what was claimed and is now in the cold tier (`copied`, a prefix of the
  // batch): what is still here leaves the hot tier. The rest of the batch stays claimed, its
  // removal noted: parts of it may be in the cold tier already.
  virtual Task<Result<ArchiveFinish>> finish(ArchiveLease lease, Connection connection,
                                             std::vector<MessageId> copied, Deadline deadline) = 0;

  // The copies of what finish() and claim() named as withdrawn are gone. The names of a ghost batch
  // stay in the views until their time has come.
  virtual Task<Result<void>> forget(ArchiveLease lease, Connection connection,
                                    Deadline deadline) = 0;

  // Which of these messages the hot tier still holds.
  virtual Task<Result<std::vector<MessageId>>> still_hot(Connection connection,
                                                         std::vector<MessageId> ids,
                                                         Deadline deadline) = 0;

  // The head of the queue cannot be archived: due() names the connection no more until that message
  // has left the hot tier or `again` has come.
  virtual Task<Result<void>> set_aside(ArchiveLease lease, Connection connection, TimePoint again,
                                       Deadline deadline) = 0;
};

// The part of a queue that a tiered read wants from the cold tier.
struct ColdPart {
  std::optional<Position> before;  // only messages in front of it
  std::vector<MessageId> without;  // withdrawn ones
};

enum class CopyOutcome {
  copied,
  known,    // this message, by id and position, was there already: copied before
  refused,  // the database will not take this message, now or later
};

struct CopyResult {
  CopyOutcome outcome = CopyOutcome::copied;
  std::string reason;  // of a refusal
};

// The tier where messages end up that stay long. It is a MessageStore of its own as well.
class ColdStore : public MessageStore {
 public:
  virtual Task<Result<std::vector<StoredMessage>>> take_cold(TakeQuery query, ColdPart part,
                                                             Deadline deadline) = 0;
  virtual Task<Result<std::uint64_t>> count_cold(QueueQuery query, ColdPart part,
                                                 Deadline deadline) = 0;
  virtual Task<Result<QueueStatus>> status_cold(QueueQuery query, ColdPart part,
                                                Deadline deadline) = 0;

  // The push token of the newest message of the part that has one, looking at the newest `most`.
  virtual Task<Result<std::optional<PushToken>>> newest_push_token_cold(Connection connection,
                                                                        ColdPart part,
                                                                        std::size_t most,
                                                                        Deadline deadline) = 0;

  // Like remove(), for messages that are to be handed out: of several callers that remove one at
  // the same time, at whatever gateway, one alone is told that it did. A step for each message.
  virtual Task<Result<RemoveOutcome>> claim_and_remove(Connection connection,
                                                       std::vector<MessageId> ids,
                                                       Deadline deadline) = 0;

  // Copies messages of any connections, as durably as the database promises; one result each, in
  // the same order. A failure as a whole means that any of them may or may not be there: copy
  // again. An expired message with the same id gives way to the new one.
  virtual Task<Result<std::vector<CopyResult>>> copy(std::vector<TierMessage> messages,
                                                     Deadline deadline) = 0;

  // Removes messages that expired, `most` at most; yields how many there were.
  virtual Task<Result<std::uint64_t>> remove_expired(std::size_t most, Deadline deadline) = 0;
};

}  // namespace mpr
