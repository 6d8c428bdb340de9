// Two tiers read as one MessageStore: the hot tier, where messages enter, and the cold tier, to
// which the archiver (archiver.hpp) moves those that stay. Every message is seen exactly once at
// every moment of its move (core/tiers.hpp says how), by these rules:
//
// - A read asks the hot tier, then the cold one for what stands in front of that, without what is
//   withdrawn; not at all if the hot tier knows that nothing is there.
// - A removal goes through the hot tier first, since messages move from there to the cold tier and
//   never back, and then through the cold one. A take that removes is a read, and a removal of what
//   was read: it returns what it removed itself, or may have removed.
// - No answer is made of one tier where two are needed: if the cold tier fails, so does the call.
//   Adds, and reads of queues that are in the hot tier alone, go on without it; ready() says that
//   it is missing.
//
// A message must not be archived while a call that began before its add still runs: the archiver's
// threshold is longer than the longest call.
//
// Order: as MessageStore promises. An add waits for nothing but a take that removes, if one of its
// connection began before it on this gateway. The predecessor that it names is the one in the hot
// tier.
//
// Any thread may call anything. The tiers outlive the store. It keeps no messages and no locks
// across waits.
#pragma once

#include <set>

#include "core/queue_turns.hpp"
#include "core/tiers.hpp"

namespace mpr {

class TieredStore final : public MessageStore {
 public:
  TieredStore(HotStore& hot, ColdStore& cold) : hot_(hot), cold_(cold) {}

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

  // Ready if both tiers are.
  Result<void> ready() const override;
  // A queue that is in both tiers counts twice.
  StoreTotals totals() const override;

 private:
  using Turn = QueueTurns::Turn;

  // What a read of both tiers found, in order.
  struct Reading {
    std::vector<StoredMessage> messages;
    std::size_t cold = 0;  // the first so many came from the cold tier
  };
  // What became of one attempt to take with removal.
  struct Taking {
    std::vector<StoredMessage> messages;
    bool again = false;  // others were faster with everything that was read
  };
  // What one removal by ids did to the two tiers.
  struct Erasure {
    std::set<Position> removed;
    std::uint64_t hot_remaining = 0;
    HotView view;                 // of the hot tier, after the removal
    std::optional<Error> failed;  // the cold tier's failure: what is in `removed` is gone still
  };

  Task<Result<Reading>> read(TakeQuery query, Deadline deadline, Turn& turn);
  Task<Result<Taking>> try_taking(TakeQuery query, Deadline deadline, Turn& turn);
  // Which of the messages this call removed; a failure of the cold tier is not one of the call.
  enum class Purpose { acknowledge, hand_out };
  Task<Result<Erasure>> erase(Connection connection, std::vector<MessageId> ids, Purpose purpose,
                              Deadline deadline, Turn& turn);
  Task<Result<std::set<Position>>> erase_cold_part(Connection connection,
                                                   std::optional<RecipientDid> recipient_did,
                                                   ColdPart part, Deadline deadline, Turn& turn);
  Task<Result<bool>> cold_goes_on(TakeQuery query, ColdPart part, Position last, Deadline deadline);
  Task<Result<std::uint64_t>> count_both(QueueQuery query, Deadline deadline, Turn& turn);
  Task<void> note_nothing_cold(Connection connection, HotView view, Deadline deadline);

  HotStore& hot_;
  ColdStore& cold_;
  QueueTurns turns_;
};

}  // namespace mpr
