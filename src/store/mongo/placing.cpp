// MessageQueues: what was inserted gets a place behind everything that anybody may have seen.
//
// A message that filled a gap is moved in place, by an update that names the document as it was
// inserted: if it was removed meanwhile, which somebody may have been told, nothing is put back.
// Its new position has to be behind all positions that any reader has passed, and nobody may get
// one behind it before it is there:
//   1. A note says how far the move goes: far behind everything that is known. Whoever inserts in
//      front of that looks whether something has appeared behind; if so, he has filled a gap too.
//   2. The messages are moved.
//   3. If nothing stands, or was removed, behind them, that was it. Otherwise another move may have
//      been seen there before: once more.
// The note is a document of its own: not every server changes one and the same document for two
// writers at a time without losing what one of them wrote.
#include <algorithm>

#include "store/mongo/message_queues.hpp"

namespace mpr::mongo {

namespace {

// A tail that was read so recently is believed before an insert.
constexpr std::chrono::milliseconds kTailFresh{20};
// From what is known to where a message is moved: more than anybody adds between two steps. As much
// again is spread over by the message's id, so that two moves at the same moment do not meet.
constexpr std::uint64_t kStride = 1U << 20;
// A tail leaves after days: by then the clock alone gives later positions, see first_position().
constexpr std::chrono::days kTailStays{7};

}  // namespace

// A queue of which others removed what was not known here is looked at again.
Result<void> MessageQueues::refresh_tails(const Adds& adds, Deadline deadline) {
  const auto now = std::chrono::steady_clock::now();
  std::set<Connection> old;
  for (const auto& add : adds) {
    const Queue* const queue = remembered(add->message.connection);
    if (queue && now - queue->tail_read_at > kTailFresh) old.insert(add->message.connection);
  }
  if (old.empty()) return {};
  const auto tails = read_tails(old, deadline);
  if (!tails) return std::unexpected(tails.error());
  for (const Connection& connection : old) {
    Queue* const queue = remembered(connection);
    const auto tail = tails->find(connection);
    if (tail != tails->end() && tail->second.removed > queue->last) {
      queues_.erase(connection);
    } else {
      queue->tail_read_at = now;
    }
  }
  return {};
}

// An insert without an answer whose message is not there: if nothing was removed at its position or
// behind it, it never came in. Otherwise it may have been delivered and acknowledged, and must not
// come once more.
Result<void> MessageQueues::refuse_unclear(const Adds& adds, Deadline deadline,
                                           Resumptions& resumptions) {
  std::set<Connection> connections;
  for (const auto& add : adds) {
    if (add->tried.value != 0) connections.insert(add->message.connection);
  }
  if (connections.empty()) return {};
  const auto tails = read_tails(connections, deadline);
  if (!tails) return std::unexpected(tails.error());
  for (const auto& add : adds) {
    const bool by_id = add->message.id_origin == IdOrigin::caller;  // its removal is remembered
    const auto tail = tails->find(add->message.connection);
    if (by_id || add->tried.value == 0 || tail == tails->end()) continue;
    if (tail->second.removed < add->tried) continue;
    Error unclear{Errc::unavailable,
                  "MongoDB has not answered, and whether it has stored the "
                  "message cannot be told any more"};
    unclear.effect = Error::Effect::unknown;
    add->refuse(unclear, resumptions);
  }
  return {};
}

// Answers what is in, where it is in the end.
Result<void> MessageQueues::settle(std::vector<Placed> placed, Deadline deadline,
                                   Resumptions& resumptions) {
  if (placed.empty()) return {};
  std::map<Connection, std::vector<Placed>> queues;
  std::set<Connection> connections;
  for (Placed& one : placed) {
    connections.insert(one.add->message.connection);
    queues[one.add->message.connection].push_back(std::move(one));
  }
  const auto now = std::chrono::steady_clock::now();
  const auto tails = read_tails(connections, deadline);
  if (!tails) return std::unexpected(tails.error());
  for (auto& [connection, queue] : queues) {
    std::sort(queue.begin(), queue.end(),
              [](const Placed& a, const Placed& b) { return a.position < b.position; });
    const auto tail = tails->find(connection);
    const auto gap = tail == tails->end() ? false : fills_gap(queue, tail->second, deadline);
    if (!gap) return std::unexpected(gap.error());
    if (*gap) {
      queues_.erase(connection);
      if (auto moved = move_behind(queue, deadline); !moved) return moved;
    } else if (Queue* const known = remembered(connection)) {
      known->tail_read_at = now;
    }
    for (const Placed& one : queue) inserted(one, resumptions);
  }
  return {};
}

Result<bool> MessageQueues::fills_gap(PlacedSpan queue, const Tail& tail, Deadline deadline) {
  const Position first = queue.front().position;
  if (tail.removed >= first) return true;
  if (tail.moved < first) return false;
  const auto end = end_of(queue.front().add->message.connection, deadline);
  if (!end) return std::unexpected(end.error());
  return end->last() > queue.back().position;
}

Result<void> MessageQueues::move_behind(PlacedSpan queue, Deadline deadline) {
  const NewMessage& message = queue.front().add->message;
  const Connection& connection = message.connection;
  const std::uint64_t spread = std::hash<std::string>()(message.id.value) % kStride;
  while (!deadline.passed()) {
    const auto end = end_of(connection, deadline);
    if (!end) return std::unexpected(end.error());
    const std::uint64_t behind = std::max(end->last(), end->tail.moved).value;
    const std::uint64_t by = behind + kStride + spread - queue.front().position.value;
    const Position last{queue.back().position.value + by};
    if (auto noted = write_note(moved_id(connection), last, deadline); !noted) return noted;
    const auto shifted = shift(queue, by, deadline);
    if (!shifted) return std::unexpected(shifted.error());
    for (Placed& one : queue) {
      one.position.value += by;
      one.previous.reset();
    }
    if (*shifted < queue.size()) {
      // Some were removed: where they would be now nobody need look for them.
      if (auto noted = write_note(tail_id(connection), last, deadline); !noted) return noted;
    }
    const auto after = end_of(connection, deadline);
    if (!after) return std::unexpected(after.error());
    if (after->last() <= last && after->tail.moved >= last) return {};
  }
  return fail(Errc::unavailable, "MongoDB: other gateways take every place in the queue");
}

Database::Change MessageQueues::note_position(const std::string& id, Position position) const {
  Database::Change change;
  change.key.text("_id", id);
  Document largest;
  largest.integer("position", static_cast<std::int64_t>(position.value));
  Document fields;
  fields.time("forgetAt", state_.clock.now() + kTailStays);
  change.update.document("$max", largest).document("$set", fields);
  return change;
}

Result<void> MessageQueues::write_note(const std::string& id, Position position,
                                       Deadline deadline) {
  std::vector<Database::Change> changes;
  changes.push_back(note_position(id, position));
  return patiently(deadline, [&] { return database_.upsert(Table::tails, changes); });
}

// Yields how many were there to be moved. Whoever is where it was is moved; nobody twice.
Result<std::uint64_t> MessageQueues::shift(PlacedSpan queue, std::uint64_t by, Deadline deadline) {
  Array ids;
  Array message_ids;
  Array positions;
  for (const Placed& one : queue) {
    ids.any_text(one.id);
    message_ids.any_text(one.add->message.id.value);
    positions.integer(static_cast<std::int64_t>(one.position.value));
  }
  Document filter = connection_filter(queue.front().add->message.connection);
  for (const auto& [field, values] :
       {std::pair{"_id", &ids}, {"messageId", &message_ids}, {"position", &positions}}) {
    Document in;
    in.array("$in", values->done());
    filter.document(field, in);
  }
  Document distance;
  distance.integer("position", static_cast<std::int64_t>(by));
  Document update;
  update.document("$inc", distance);
  return patiently(deadline,
                   [&] { return database_.update_many(Table::messages, filter, update); });
}

void MessageQueues::inserted(const Placed& placed, Resumptions& resumptions) {
  const NewMessage& message = placed.add->message;
  // Whether it is the first of its queue is known only where somebody asked for the one before.
  const bool new_queue = placed.previous && placed.previous->value == 0;
  state_.count(1, static_cast<std::int64_t>(message.size()), new_queue ? 1 : 0);
  placed.add->answer(
      AddOutcome{message.id, message.received_at, placed.position, placed.previous, {}, false},
      resumptions);
}

}  // namespace mpr::mongo
