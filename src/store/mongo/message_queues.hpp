// The queues in the database as one worker sees them: every operation of the store, blocking, tried
// again until its deadline where that is safe. Belongs to one thread. All operations of a
// connection go through the same one, so it may remember how a queue ends; other gateways are met
// at the database only.
//
// Order (PositionsFrom::store): a message takes the position behind the last one of its queue, by
// an insert whose _id no other message can have; whoever is overtaken looks again. So messages
// appear in the order of their positions, whichever gateways add them, and a look at the ids behind
// the last position seen is not overtaken either, which makes callers' ids unique. Where a message
// was removed its position would be free again. Before it goes, the tail of its queue is written
// down; after an insert the tails are read: whoever finds that his position lies in front of the
// tail has filled such a gap, and moves the message behind it, see placing.cpp. The tails are read
// before an insert as well, unless that was done a moment ago, so that gaps are filled rarely.
//
// A message is one document under one _id from its insert to its removal, wherever it is moved: who
// removes it names its _id, its id and the position at which it was seen, and looks again if that
// was not there any more. So nothing is removed that was not looked at, and the tail that was
// written covers it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "store/mongo/message_document.hpp"
#include "store/mongo/operation.hpp"
#include "store/mongo/store_state.hpp"

namespace mpr::mongo {

class MessageQueues {
 public:
  explicit MessageQueues(StoreState& state) : state_(state), database_(state.pool) {}

  using Adds = std::vector<std::shared_ptr<AddOperation>>;
  using Removes = std::vector<std::shared_ptr<RemoveOperation>>;
  using Copies = std::vector<std::shared_ptr<CopyOperation>>;

  // Each answers all of its operations.
  void add(Adds adds, Resumptions& resumptions);
  // No two of one connection.
  void remove(const Removes& removes, Resumptions& resumptions);
  void copy(const Copies& copies, Resumptions& resumptions);

  // A take; with TakeMode::remove, what it removed can be put back if nobody gets the answer.
  struct Taken {
    std::vector<StoredMessage> messages;
    std::vector<Document> documents;
  };
  Result<Taken> take(const TakeQuery& query, const ColdPart& part, const Operation& operation);
  void put_back(const Taken& taken);

  Result<std::uint64_t> count(const QueueQuery& query, const ColdPart& part, Deadline deadline);
  Result<QueueStatus> status(const QueueQuery& query, const ColdPart& part, Deadline deadline);
  Result<Position> tail(const Connection& connection, Deadline deadline);
  // Looking at the newest `most` of the part.
  Result<std::optional<PushToken>> newest_push_token(const Connection& connection,
                                                     const ColdPart& part, std::size_t most,
                                                     Deadline deadline);
  Result<RemoveOutcome> remove_all(const Connection& connection,
                                   const std::optional<RecipientDid>& recipient_did,
                                   Deadline deadline);
  Result<RemoveOutcome> claim_and_remove(const Connection& connection,
                                         const std::vector<MessageId>& ids, Deadline deadline);
  Result<std::uint64_t> remove_expired(std::size_t most, Deadline deadline);

  // Housekeeping.
  Result<void> ping();
  Result<void> survey();
  Result<void> look_for_old_documents();
  Result<void> forget_old_notes();  // removed ids and tails
  Database& database() { return database_; }

  // Tries until it succeeds, fails for good, or the deadline comes.
  template <class Attempt>
  auto patiently(Deadline deadline, Attempt attempt) -> decltype(attempt());

 private:
  // How a queue ends, and what it holds. Adds by others are noticed, as a conflict; removals by
  // others are not: the figures are upper bounds.
  struct Queue {
    Position last;  // of all messages that there have been
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    std::optional<Position> newest;  // pending; 0: there is none; empty: not known
    std::optional<TimePoint> newest_expires;
    Position written;  // its tail stands in the database as this, at least
    std::chrono::steady_clock::time_point loaded_at;
    std::chrono::steady_clock::time_point tail_read_at;
  };
  // What is written down of the end of a queue.
  struct Tail {
    Position removed;  // nothing behind it was removed
    Position moved;    // nothing was moved, or is about to be, to behind it
  };
  // A document that is going to be removed.
  struct Doomed {
    Connection connection;
    MessageId id;
    Position position;
    std::uint64_t size = 0;
    TimePoint received_at;
    bool expired = false;
    bool callers_id = false;
    Document key;  // {_id, messageId, position}, as far as the document has them
  };
  struct Staged {
    std::shared_ptr<AddOperation> add;
    Position position;
    std::optional<Position> previous;
    Document document;
  };
  // What is in the collection, and not answered yet.
  struct Placed {
    std::shared_ptr<AddOperation> add;
    std::string id;  // the document's
    Position position;
    std::optional<Position> previous;
  };
  struct AddRound;

  // message_queues.cpp
  Deadline bounded(Deadline deadline) const;
  Result<Queue*> queue_of(const Connection& connection, Deadline deadline);
  Result<void> load(const Connection& connection, Queue& queue, Deadline deadline);
  Queue* remembered(const Connection& connection);
  using Tails = std::map<Connection, Tail>;
  // Those that are written down, of these connections.
  Result<Tails> read_tails(const std::set<Connection>& connections, Deadline deadline);
  struct End {
    Position newest;  // of the documents; 0: there is none
    Tail tail;
    Position last() const { return std::max(newest, tail.removed); }
  };
  Result<End> end_of(const Connection& connection, Deadline deadline);
  Result<std::optional<Position>> newest_of(const Connection& connection, Queue& queue,
                                            Deadline deadline);

  // adds.cpp
  Result<void> add_round(AddRound& round);
  Result<void> answer_known(AddRound& round);
  Result<void> answer_pending(AddRound& round, std::vector<Placed>& own);
  Result<void> answer_removed(AddRound& round);
  Result<void> stage(AddRound& round);
  Result<bool> over_quota(const AddOperation& add, Queue*& queue, AddRound& round);
  Result<void> insert_staged(AddRound& round);

  // placing.cpp
  Result<void> refresh_tails(const Adds& adds, Deadline deadline);
  Result<void> refuse_unclear(const Adds& adds, Deadline deadline, Resumptions& resumptions);
  Result<void> settle(std::vector<Placed> placed, Deadline deadline, Resumptions& resumptions);
  using PlacedSpan = std::span<Placed>;  // of one queue, by position
  Result<bool> fills_gap(PlacedSpan queue, const Tail& tail, Deadline deadline);
  Result<void> move_behind(PlacedSpan queue, Deadline deadline);
  Database::Change note_position(const std::string& id, Position position) const;
  Result<void> write_note(const std::string& id, Position position, Deadline deadline);
  Result<std::uint64_t> shift(PlacedSpan queue, std::uint64_t by, Deadline deadline);
  void inserted(const Placed& placed, Resumptions& resumptions);

  // reads.cpp
  using Offer = std::function<bool(const bson_t&, Position)>;
  struct Wanted {
    const QueueQuery& query;
    const ColdPart& part;
    Position after;
    std::int64_t limit = 0;
    bool whole = true;  // with payloads
  };
  Result<void> read(const Wanted& wanted, Deadline deadline, const Offer& offer);
  Result<void> read_old(const Wanted& wanted, Deadline deadline, const Offer& offer, bool& goes_on);
  Result<void> read_ours(const Wanted& wanted, Deadline deadline, const Offer& offer);
  Document ours_filter(const Wanted& wanted) const;
  Result<std::vector<std::size_t>> not_there(const Taken& taken,
                                             const std::vector<Refusal>& refused);
  Result<Taken> take_away(Taken found, std::vector<Doomed> doomed, const Operation& operation);

  // removals.cpp
  Doomed doomed_of(const bson_t& document) const;
  Result<void> find_doomed(const Document& filter, std::size_t most, Deadline deadline,
                           std::vector<Doomed>& doomed);
  // What has to stand in the database before these documents may go.
  Result<void> prepare_removal(const std::vector<Doomed>& doomed, Deadline deadline);
  Result<void> remember_ids(const std::vector<Doomed>& doomed, Deadline deadline);
  Result<void> bound_removed_ids(Deadline deadline);
  Result<void> write_tails(const std::vector<Doomed>& doomed, Deadline deadline);
  // Yields how many were still where they were seen; the others were removed or moved meanwhile.
  Result<std::uint64_t> erase(const std::vector<Doomed>& doomed, Deadline deadline);
  Result<std::uint64_t> remove_keys(const std::vector<Doomed>& doomed, Deadline deadline);
  using Find = std::function<Result<void>(std::vector<Doomed>&)>;
  // Finds and erases until nothing is found that was missed; yields what there was.
  Result<std::vector<Doomed>> erase_found(const Find& find, Deadline deadline);
  void forget_figures(const Doomed& doomed);
  Result<std::uint64_t> remaining(const Connection& connection, Deadline deadline,
                                  bool removed_some);
  Result<void> find_named(const Connection& connection, const std::vector<MessageId>& ids,
                          Deadline deadline, std::vector<Doomed>& doomed);
  // Removes it if it is still there. Of several that do so, at whatever gateway, one gets it.
  struct Got {
    bool it = false;
    std::optional<Error> failed;  // whether it is removed is open
  };
  Got get(const Doomed& doomed, Deadline deadline);
  Result<std::vector<RemoveOutcome>> remove_together(const Removes& removes, Deadline deadline);

  // copies.cpp
  struct Copied {
    const TierMessage* message = nullptr;
    CopyResult* result = nullptr;
    Document document;
  };
  Result<void> copy_documents(std::span<Copied> copied, Deadline deadline);
  Result<void> replace_expired(std::span<const Copied* const> known, Deadline deadline);

  StoreState& state_;
  Database database_;
  std::unordered_map<Connection, Queue, ConnectionHash> queues_;
  std::int64_t removals_ = 0;  // orders what is removed in the same moment
};

template <class Attempt>
auto MessageQueues::patiently(Deadline deadline, Attempt attempt) -> decltype(attempt()) {
  deadline = bounded(deadline);
  std::chrono::milliseconds pause{20};
  for (;;) {
    auto outcome = attempt();
    if (outcome) {
      state_.healthy();
      return outcome;
    }
    const bool again = outcome.error().code == Errc::unavailable && !state_.closing() &&
                       !deadline.passed(std::chrono::steady_clock::now() + pause);
    if (!again) {
      state_.failed(outcome.error());
      return outcome;
    }
    state_.pause(pause);
    pause = std::min(2 * pause, std::chrono::milliseconds(320));
  }
}

}  // namespace mpr::mongo
