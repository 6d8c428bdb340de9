// MessageQueues: adding, with positions given here.
#include <algorithm>
#include <set>

#include "store/mongo/message_queues.hpp"

namespace mpr::mongo {

namespace {

// MongoDB takes documents up to 16 MiB.
constexpr std::size_t kMostDocumentBytes = (16U << 20) - 1024;
// So many adds of one round: more are not faster, and the first ones wait for the last.
constexpr std::size_t kRoundBytes = 8U << 20;
// Others took the position again and again: then the database answers what is not so.
constexpr int kMostConflicts = 100;

using Key = std::pair<Connection, std::string>;

}  // namespace

// One attempt at what is not answered yet.
struct MessageQueues::AddRound {
  Adds left;
  Deadline deadline;
  Resumptions& resumptions;
  std::vector<Staged> staged;
  int conflicts = 0;

  void drop_answered() {
    std::erase_if(left, [](const auto& add) { return add->answered(); });
  }
  void refuse_all(const Error& error) {
    for (const auto& add : left) add->refuse(error, resumptions);
    left.clear();
  }
};

void MessageQueues::add(Adds adds, Resumptions& resumptions) {
  Deadline last{std::chrono::steady_clock::time_point::min()};
  for (const auto& add : adds) last.at = std::max(last.at, bounded(add->deadline).at);
  AddRound round{std::move(adds), last, resumptions, {}, 0};
  std::chrono::milliseconds pause{20};
  for (;;) {
    round.drop_answered();
    if (round.left.empty()) return;
    const auto done = add_round(round);
    if (done) continue;
    // Whether the staged ones are in is open: they look for themselves in the next round.
    for (const Staged& staged : round.staged) {
      queues_.erase(staged.add->message.connection);
      staged.add->tried = staged.position;
    }
    const bool again = done.error().code == Errc::unavailable && !state_.closing() &&
                       !last.passed(std::chrono::steady_clock::now() + pause);
    if (!again) {
      state_.failed(done.error());
      return round.refuse_all(done.error());
    }
    state_.pause(pause);
    pause = std::min(2 * pause, std::chrono::milliseconds(320));
  }
}

Result<void> MessageQueues::add_round(AddRound& round) {
  round.staged.clear();
  // First the ends of the queues, then the ids: what is added in between takes a position that an
  // insert of ours would need, and is found in the next round.
  if (auto fresh = refresh_tails(round.left, round.deadline); !fresh) return fresh;
  for (const auto& add : round.left) {
    const auto queue = queue_of(add->message.connection, round.deadline);
    if (!queue) return std::unexpected(queue.error());
  }
  if (auto known = answer_known(round); !known) return known;
  round.drop_answered();
  if (auto staged = stage(round); !staged) return staged;
  return insert_staged(round);
}

Result<void> MessageQueues::answer_known(AddRound& round) {
  const bool asked = std::any_of(round.left.begin(), round.left.end(), [](const auto& add) {
    return add->message.id_origin == IdOrigin::caller || add->tried.value != 0;
  });
  if (!asked) return {};
  // In this order: an id that is removed in between is remembered before its message goes.
  std::vector<Placed> own;
  if (auto pending = answer_pending(round, own); !pending) return pending;
  if (auto settled = settle(std::move(own), round.deadline, round.resumptions); !settled) {
    return settled;
  }
  round.drop_answered();
  if (auto removed = answer_removed(round); !removed) return removed;
  round.drop_answered();
  return refuse_unclear(round.left, round.deadline, round.resumptions);
}

// What an earlier attempt of this very add has stored is not answered yet: it is `own`.
Result<void> MessageQueues::answer_pending(AddRound& round, std::vector<Placed>& own) {
  std::map<Connection, Array> ids;
  std::map<Key, Adds> waiting;
  for (const auto& add : round.left) {
    const NewMessage& message = add->message;
    if (message.id_origin == IdOrigin::server && add->tried.value == 0) continue;
    ids[message.connection].any_text(message.id.value);
    waiting[{message.connection, message.id.value}].push_back(add);
  }
  const TimePoint now = state_.clock.now();
  Array branches;
  Document only;
  for (const auto& [connection, list] : ids) {
    Document in;
    in.array("$in", list.done());
    only = pending_filter(connection, now);
    only.document("messageId", in);
    branches.document(only);
  }
  Database::Query query;
  query.projection = figures_projection();
  if (branches.size() == 1) {
    query.filter = std::move(only);
  } else {
    query.filter.array("$or", branches.done());
  }
  return patiently(round.deadline, [&] {
    own.clear();
    return database_.find(Table::messages, query, round.deadline, [&](const bson_t& found) {
      const auto adds = waiting.find({connection_of(found), message_id_of(found).value});
      if (adds == waiting.end()) return true;
      const std::string id = read_any_text(found, "_id").value_or("");
      const Position position = position_of(found);
      for (const auto& add : adds->second) {
        const NewMessage& message = add->message;
        if (message.id_origin == IdOrigin::server ||
            (add->tried.value != 0 && id == added_id(message.connection, add->tried))) {
          own.push_back({add, id, position, std::nullopt});
        } else {
          add->answer(AddOutcome{message.id, received_at_of(found), position, {}, {}, true},
                      round.resumptions);
        }
      }
      return true;
    });
  });
}

Result<void> MessageQueues::answer_removed(AddRound& round) {
  std::map<std::string, std::vector<AddOperation*>> waiting;
  Array ids;
  for (const auto& add : round.left) {
    if (add->message.id_origin == IdOrigin::server) continue;
    const std::string id = copied_id(add->message.connection, add->message.id);
    ids.any_text(id);
    waiting[id].push_back(add.get());
  }
  if (ids.size() == 0) return {};
  Document in;
  in.array("$in", ids.done());
  Database::Query query;
  query.filter.document("_id", in);
  const TimePoint now = state_.clock.now();
  return patiently(round.deadline, [&] {
    return database_.find(Table::removed_ids, query, round.deadline, [&](const bson_t& found) {
      const auto adds = waiting.find(read_any_text(found, "_id").value_or(""));
      const auto removed_at = read_time(found, "removedAt");
      if (adds == waiting.end() || !removed_at ||
          *removed_at + state_.options.idempotency_window <= now) {
        return true;
      }
      for (AddOperation* add : adds->second) {
        add->answer(AddOutcome{add->message.id,
                               read_time(found, "receivedAt").value_or(now),
                               position_of(found),
                               {},
                               {},
                               true},
                    round.resumptions);
      }
      return true;
    });
  });
}

// Yields whether the add was refused. A queue that seems full is looked at again: others may have
// removed from it.
Result<bool> MessageQueues::over_quota(const AddOperation& add, Queue*& queue, AddRound& round) {
  const MongoOptions& bounds = state_.options;
  const NewMessage& message = add.message;
  const auto full = [&] {
    return queue->messages >= bounds.max_queue_messages ||
           queue->bytes + message.size() > bounds.max_queue_bytes;
  };
  const bool staged_here =
      std::any_of(round.staged.begin(), round.staged.end(),
                  [&](const auto& s) { return s.add->message.connection == message.connection; });
  if (full() && !staged_here) {
    queues_.erase(message.connection);
    auto fresh = queue_of(message.connection, round.deadline);
    if (!fresh) return std::unexpected(fresh.error());
    queue = *fresh;
  }
  return full();
}

namespace {

Error quota_error(const MongoOptions& bounds, bool by_messages) {
  return {Errc::quota_exceeded,
          "the queue of this connection is full: it may hold " +
              (by_messages ? std::to_string(bounds.max_queue_messages) + " messages"
                           : std::to_string(bounds.max_queue_bytes) + " bytes")};
}

}  // namespace

// Gives positions. What cannot be decided in this round stays for the next one, with everything
// behind it in the same queue.
Result<void> MessageQueues::stage(AddRound& round) {
  const MongoOptions& bounds = state_.options;
  std::set<Connection> held;
  std::set<Key> ids;
  std::size_t bytes = 0;
  std::uint64_t store_bytes = state_.totals().bytes;
  for (const auto& add : round.left) {
    const NewMessage& message = add->message;
    if (bytes >= kRoundBytes) break;
    if (held.contains(message.connection)) continue;
    if (!ids.insert({message.connection, message.id.value}).second) {
      held.insert(message.connection);
      continue;
    }
    auto found = queue_of(message.connection, round.deadline);
    if (!found) return std::unexpected(found.error());
    Queue* queue = *found;
    const auto full = over_quota(*add, queue, round);
    if (!full) return std::unexpected(full.error());
    if (*full) {
      add->refuse(quota_error(bounds, queue->messages >= bounds.max_queue_messages),
                  round.resumptions);
      continue;
    }
    if (bounds.max_store_bytes != 0 && store_bytes + message.size() > bounds.max_store_bytes) {
      add->refuse({Errc::quota_exceeded, "the store is full: it may hold " +
                                             std::to_string(bounds.max_store_bytes) + " bytes"},
                  round.resumptions);
      continue;
    }
    std::optional<Position> previous;
    if (message.answer == AddAnswer::with_previous) {
      const auto newest = newest_of(message.connection, *queue, round.deadline);
      if (!newest) return std::unexpected(newest.error());
      previous = *newest;
    }
    const Position position{queue->last.value + 1};
    Document document =
        document_of(message, position, added_id(message.connection, position), state_.clock.now());
    if (document.size() > kMostDocumentBytes) {
      add->refuse({Errc::too_large, "the message is larger than the database takes: 16 MiB"},
                  round.resumptions);
      continue;
    }
    bytes += document.size();
    store_bytes += message.size();
    queue->last = position;
    queue->messages += 1;
    queue->bytes += message.size();
    queue->newest = position;
    queue->newest_expires = message.expires_at;
    round.staged.push_back({add, position, previous, std::move(document)});
  }
  return {};
}

Result<void> MessageQueues::insert_staged(AddRound& round) {
  if (round.staged.empty()) return {};
  std::vector<const Document*> documents;
  for (const Staged& staged : round.staged) documents.push_back(&staged.document);
  const auto refused = database_.insert(Table::messages, documents, InsertOrder::strict);
  if (!refused) return std::unexpected(refused.error());
  state_.healthy();
  const std::size_t done = refused->empty() ? documents.size() : refused->front().index;
  std::vector<Placed> placed;
  for (std::size_t i = 0; i < done; ++i) {
    const Staged& staged = round.staged[i];
    placed.push_back({staged.add, added_id(staged.add->message.connection, staged.position),
                      staged.position, staged.previous});
  }
  if (auto settled = settle(std::move(placed), round.deadline, round.resumptions); !settled) {
    return settled;
  }
  if (refused->empty()) return {};
  // What was staged for others of these queues has not come in: they are looked at again.
  for (std::size_t i = done; i < documents.size(); ++i) {
    queues_.erase(round.staged[i].add->message.connection);
  }
  const Refusal& refusal = refused->front();
  if (!refusal.duplicate) {
    round.staged[done].add->refuse(
        {Errc::invalid_argument, "MongoDB refuses the message: " + refusal.reason},
        round.resumptions);
  } else if (++round.conflicts > kMostConflicts) {
    return fail(Errc::unavailable, "MongoDB: a position is taken that it does not show");
  }
  return {};
}

}  // namespace mpr::mongo
