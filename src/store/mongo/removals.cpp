// MessageQueues: removing. Before a document goes, what has to outlive it is written: the caller's
// id, and the tail of the queue.
#include <algorithm>

#include "store/mongo/message_queues.hpp"

namespace mpr::mongo {

namespace {

constexpr std::size_t kAtOnce = 1000;       // documents of one removal
constexpr std::size_t kIdsAtOnce = 10'000;  // ids of one search: a command holds 16 MiB

}  // namespace

MessageQueues::Doomed MessageQueues::doomed_of(const bson_t& document) const {
  Doomed doomed;
  doomed.connection = connection_of(document);
  doomed.id = message_id_of(document);
  doomed.position = position_of(document);
  doomed.size =
      static_cast<std::uint64_t>(read_integer(document, "encryptedMessageByteCount").value_or(0));
  doomed.received_at = received_at_of(document);
  const auto expires = read_time(document, "expiresAt");
  doomed.expired = expires && *expires <= state_.clock.now();
  doomed.callers_id = find(document, "callerId").has_value();
  if (const auto id = find(document, "_id")) doomed.key.value("_id", *id);
  return doomed;
}

Result<void> MessageQueues::find_doomed(const Document& filter, std::size_t most, Deadline deadline,
                                        std::vector<Doomed>& doomed) {
  std::vector<Doomed> found;
  const auto done = patiently(deadline, [&] {
    found.clear();
    Database::Query query;
    query.filter = Document(*filter.get());
    query.projection = figures_projection();
    query.limit = static_cast<std::int64_t>(most);
    return database_.find(Table::messages, query, deadline, [&](const bson_t& d) {
      found.push_back(doomed_of(d));
      return true;
    });
  });
  std::move(found.begin(), found.end(), std::back_inserter(doomed));
  return done;
}

Result<void> MessageQueues::remember_ids(const std::vector<Doomed>& doomed, Deadline deadline) {
  const TimePoint now = state_.clock.now();
  std::vector<Database::Change> changes;
  for (const Doomed& one : doomed) {
    if (!one.callers_id || one.expired) continue;
    Database::Change& change = changes.emplace_back();
    change.key.text("_id", copied_id(one.connection, one.id));
    Document fields;
    fields.integer("position", static_cast<std::int64_t>(one.position.value))
        .time("receivedAt", one.received_at)
        .time("removedAt", now)
        .time("forgetAt", now + state_.options.idempotency_window)
        .integer("order", ++removals_);
    change.update.document("$set", fields);
  }
  if (changes.empty()) return {};
  auto done = patiently(deadline, [&] { return database_.upsert(Table::removed_ids, changes); });
  if (!done || state_.options.remembered_ids == 0) return done;
  return bound_removed_ids(deadline);
}

// The oldest are forgotten first.
Result<void> MessageQueues::bound_removed_ids(Deadline deadline) {
  const auto kept = database_.count(Table::removed_ids, Document(), deadline);
  if (!kept) return std::unexpected(kept.error());
  if (*kept <= state_.options.remembered_ids) return {};
  Database::Query query;
  query.sort.small("removedAt", 1).small("order", 1);
  query.projection.small("_id", 1);
  query.limit = static_cast<std::int64_t>(*kept - state_.options.remembered_ids);
  Array ids;
  const auto found = database_.find(Table::removed_ids, query, deadline, [&](const bson_t& d) {
    ids.value(*find(d, "_id"));
    return true;
  });
  if (!found) return found;
  Document in;
  in.array("$in", ids.done());
  Document filter;
  filter.document("_id", in);
  const auto removed = database_.remove_many(Table::removed_ids, filter);
  if (!removed) return std::unexpected(removed.error());
  return {};
}

// The tail of a queue has to outlive its messages. It leaves after days: by then the clock alone
// gives later positions, see first_position().
Result<void> MessageQueues::write_tails(const std::vector<Doomed>& doomed, Deadline deadline) {
  constexpr std::chrono::days kTailStays{7};
  if (state_.options.positions == PositionsFrom::hot_tier) return {};
  Tails tails;
  for (const Doomed& one : doomed) {
    Position& position = tails[one.connection];
    position = std::max(position, one.position);
  }
  std::erase_if(tails, [&](const auto& tail) {
    const Queue* const queue = remembered(tail.first);
    return queue && queue->written >= tail.second;
  });
  std::vector<Database::Change> changes;
  for (const auto& [connection, position] : tails) {
    Database::Change& change = changes.emplace_back();
    change.key.text("_id", tail_id(connection));
    Document largest;
    largest.integer("position", static_cast<std::int64_t>(position.value));
    Document fields;
    fields.time("forgetAt", state_.clock.now() + kTailStays);
    change.update.document("$max", largest).document("$set", fields);
  }
  const auto done = patiently(deadline, [&] { return database_.upsert(Table::tails, changes); });
  if (!done) return done;
  for (const auto& [connection, position] : tails) {
    if (Queue* const queue = remembered(connection)) queue->written = position;
  }
  return {};
}

Result<void> MessageQueues::remove_keys(const std::vector<Doomed>& doomed, Deadline deadline) {
  for (std::size_t from = 0; from < doomed.size(); from += kAtOnce) {
    Array ids;
    for (std::size_t i = from; i < std::min(doomed.size(), from + kAtOnce); ++i) {
      ids.value(*find(*doomed[i].key.get(), "_id"));
    }
    Document in;
    in.array("$in", ids.done());
    Document filter;
    filter.document("_id", in);
    const auto done =
        patiently(deadline, [&] { return database_.remove_many(Table::messages, filter); });
    if (!done) return std::unexpected(done.error());
  }
  return {};
}

Result<void> MessageQueues::prepare_removal(const std::vector<Doomed>& doomed, Deadline deadline) {
  if (auto remembered_ids = remember_ids(doomed, deadline); !remembered_ids) return remembered_ids;
  return write_tails(doomed, deadline);
}

void MessageQueues::forget_figures(const Doomed& doomed) {
  Queue* const queue = remembered(doomed.connection);
  if (!queue) return;
  if (!doomed.expired) {
    queue->messages -= std::min<std::uint64_t>(queue->messages, 1);
    queue->bytes -= std::min(queue->bytes, doomed.size);
  }
  if (queue->newest == doomed.position) queue->newest.reset();
  if (queue->messages == 0) queue->newest = Position{};
}

Result<void> MessageQueues::erase(const std::vector<Doomed>& doomed, Deadline deadline) {
  if (doomed.empty()) return {};
  if (auto ready = prepare_removal(doomed, deadline); !ready) return ready;
  if (auto removed = remove_keys(doomed, deadline); !removed) return removed;
  std::int64_t bytes = 0;
  for (const Doomed& one : doomed) {
    forget_figures(one);
    bytes += static_cast<std::int64_t>(one.size);
    if (one.expired) state_.metrics.messages_expired.add();
  }
  state_.count(-static_cast<std::int64_t>(doomed.size()), -bytes, 0);
  return {};
}

Result<std::uint64_t> MessageQueues::remaining(const Connection& connection, Deadline deadline,
                                               bool removed_some) {
  const auto left = count({connection, std::nullopt, {}}, {}, deadline);
  if (left && *left == 0 && removed_some) state_.count(0, 0, -1);
  return left;
}

Result<std::vector<RemoveOutcome>> MessageQueues::remove_together(const Removes& removes,
                                                                  Deadline deadline) {
  std::vector<Doomed> doomed;
  std::vector<RemoveOutcome> outcomes(removes.size());
  for (std::size_t i = 0; i < removes.size(); ++i) {
    const RemoveOperation& remove = *removes[i];
    const std::size_t first = doomed.size();
    for (std::size_t from = 0; from < remove.ids.size(); from += kIdsAtOnce) {
      Array ids;
      for (std::size_t n = from; n < std::min(remove.ids.size(), from + kIdsAtOnce); ++n) {
        ids.any_text(remove.ids[n].value);
      }
      Document in;
      in.array("$in", ids.done());
      Document filter = connection_filter(remove.connection);
      filter.document("messageId", in);
      if (auto found = find_doomed(filter, 0, deadline, doomed); !found) {
        return std::unexpected(found.error());
      }
    }
    for (std::size_t n = first; n < doomed.size(); ++n) {
      if (!doomed[n].expired) outcomes[i].removed.push_back(doomed[n].position);
    }
  }
  if (auto erased = erase(doomed, deadline); !erased) return std::unexpected(erased.error());
  for (std::size_t i = 0; i < removes.size(); ++i) {
    const auto left = remaining(removes[i]->connection, deadline, !outcomes[i].removed.empty());
    if (!left) return std::unexpected(left.error());
    outcomes[i].remaining = *left;
  }
  return outcomes;
}

void MessageQueues::remove(const Removes& removes, Resumptions& resumptions) {
  Deadline last{std::chrono::steady_clock::time_point::min()};
  for (const auto& remove : removes) last.at = std::max(last.at, bounded(remove->deadline).at);
  auto outcomes = remove_together(removes, last);
  for (std::size_t i = 0; i < removes.size(); ++i) {
    if (outcomes) {
      removes[i]->answer(std::move((*outcomes)[i]), resumptions);
    } else {
      removes[i]->refuse(outcomes.error(), resumptions);
    }
  }
}

Result<RemoveOutcome> MessageQueues::remove_all(const Connection& connection,
                                                const std::optional<RecipientDid>& recipient_did,
                                                Deadline deadline) {
  RemoveOutcome outcome;
  std::vector<Doomed> doomed;
  Document filter = connection_filter(connection);
  if (recipient_did) filter.any_text("recipientKeys", recipient_did->value);
  if (auto found = find_doomed(filter, 0, deadline, doomed); !found) {
    return std::unexpected(found.error());
  }
  if (auto erased = erase(doomed, deadline); !erased) return std::unexpected(erased.error());
  for (const Doomed& one : doomed) {
    if (!one.expired) outcome.removed.push_back(one.position);
  }
  const auto left = remaining(connection, deadline, !doomed.empty());
  if (!left) return std::unexpected(left.error());
  outcome.remaining = *left;
  return outcome;
}

Result<std::uint64_t> MessageQueues::remove_expired(std::size_t most, Deadline deadline) {
  Document past;
  past.time("$lte", state_.clock.now());
  Document filter;
  filter.document("expiresAt", past);
  std::vector<Doomed> doomed;
  if (auto found = find_doomed(filter, most, deadline, doomed); !found) {
    return std::unexpected(found.error());
  }
  if (auto erased = erase(doomed, deadline); !erased) return std::unexpected(erased.error());
  return doomed.size();
}

}  // namespace mpr::mongo
