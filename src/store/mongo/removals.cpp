// MessageQueues: removing. Before a document goes, what has to outlive it is written: the caller's
// id, and the tail of the queue.
#include <algorithm>

#include "store/mongo/message_queues.hpp"

namespace mpr::mongo {

namespace {

constexpr std::size_t kAtOnce = 1000;       // documents of one removal
constexpr std::size_t kIdsAtOnce = 10'000;  // ids of one search: a command holds 16 MiB

// A document of the existing service that has no messageId goes by its _id: message_id_of().
void filter_by_ids(Document& filter, std::span<const MessageId> list, bool old_documents) {
  Array ids;
  Array object_ids;
  for (const MessageId& id : list) {
    ids.any_text(id.value);
    if (!old_documents || id.value.size() != 24) continue;
    if (!bson_oid_is_valid(id.value.data(), id.value.size())) continue;
    bson_oid_t object_id;
    bson_oid_init_from_string(&object_id, id.value.c_str());
    object_ids.object_id(object_id);
  }
  Document in;
  in.array("$in", ids.done());
  if (object_ids.size() == 0) {
    filter.document("messageId", in);
    return;
  }
  Document object_in;
  object_in.array("$in", object_ids.done());
  Document named;
  named.document("messageId", in);
  Document nameless;
  nameless.document("_id", object_in).null("messageId");
  filter.array("$or", Array().document(named).document(nameless).done());
}

// What a failure has to say when something was removed before it.
template <class Removed>
std::unexpected<Error> after_removing(const Removed& removed, Error error) {
  if (!removed.empty()) error.effect = Error::Effect::unknown;
  return std::unexpected(std::move(error));
}

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
  for (const char* field : {"_id", "messageId", "position"}) {
    if (const auto value = find(document, field)) doomed.key.value(field, *value);
  }
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

// The tail of a queue has to outlive its messages.
Result<void> MessageQueues::write_tails(const std::vector<Doomed>& doomed, Deadline deadline) {
  if (state_.options.positions == PositionsFrom::hot_tier) return {};
  std::map<Connection, Position> tails;
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
    changes.push_back(note_position(tail_id(connection), position));
  }
  const auto done = patiently(deadline, [&] { return database_.upsert(Table::tails, changes); });
  if (!done) return done;
  for (const auto& [connection, position] : tails) {
    if (Queue* const queue = remembered(connection)) queue->written = position;
  }
  return {};
}

// With a filter on all that is known of them: none is removed that was moved meanwhile, or that
// took the place of another.
Result<std::uint64_t> MessageQueues::remove_keys(const std::vector<Doomed>& doomed,
                                                 Deadline deadline) {
  std::uint64_t removed = 0;
  for (std::size_t from = 0; from < doomed.size(); from += kAtOnce) {
    const auto part = std::span(doomed).subspan(from, std::min(kAtOnce, doomed.size() - from));
    Document filter;
    for (const char* field : {"_id", "messageId", "position"}) {
      Array values;
      for (const Doomed& one : part) {
        const auto value = find(*one.key.get(), field);
        value ? values.value(*value) : values.null();  // null stands for absent, too
      }
      Document in;
      in.array("$in", values.done());
      filter.document(field, in);
    }
    const auto done =
        patiently(deadline, [&] { return database_.remove_many(Table::messages, filter); });
    if (!done) return std::unexpected(done.error());
    removed += *done;
  }
  return removed;
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

Result<std::uint64_t> MessageQueues::erase(const std::vector<Doomed>& doomed, Deadline deadline) {
  if (doomed.empty()) return 0;
  if (auto ready = prepare_removal(doomed, deadline); !ready) {
    return std::unexpected(ready.error());
  }
  auto removed = remove_keys(doomed, deadline);
  if (!removed) {
    removed.error().effect = Error::Effect::unknown;
    return removed;
  }
  std::int64_t bytes = 0;
  for (const Doomed& one : doomed) {
    forget_figures(one);
    bytes += static_cast<std::int64_t>(one.size);
    if (one.expired) state_.metrics.messages_expired.add();
  }
  state_.count(-static_cast<std::int64_t>(doomed.size()), -bytes, 0);
  return removed;
}

Result<std::vector<MessageQueues::Doomed>> MessageQueues::erase_found(const Find& find,
                                                                      Deadline deadline) {
  std::vector<Doomed> all;
  for (;;) {
    std::vector<Doomed> found;
    if (auto done = find(found); !done) return after_removing(all, done.error());
    if (found.empty()) return all;
    const auto erased = erase(found, deadline);
    if (!erased) return after_removing(all, erased.error());
    const bool missed = *erased < found.size();
    // What was moved is found a second time.
    std::erase_if(all, [&](const Doomed& one) {
      return std::any_of(found.begin(), found.end(), [&](const Doomed& again) {
        return one.connection == again.connection && one.id == again.id;
      });
    });
    std::move(found.begin(), found.end(), std::back_inserter(all));
    if (!missed) return all;
    if (deadline.passed()) {
      return after_removing(all,
                            {Errc::unavailable, "MongoDB: messages move while they are removed"});
    }
  }
}

Result<std::uint64_t> MessageQueues::remaining(const Connection& connection, Deadline deadline,
                                               bool removed_some) {
  const auto left = count({connection, std::nullopt, {}}, {}, deadline);
  if (left && *left == 0 && removed_some) state_.count(0, 0, -1);
  return left;
}

Result<void> MessageQueues::find_named(const Connection& connection,
                                       const std::vector<MessageId>& ids, Deadline deadline,
                                       std::vector<Doomed>& doomed) {
  for (std::size_t from = 0; from < ids.size(); from += kIdsAtOnce) {
    const auto part = std::span(ids).subspan(from);
    Document filter = connection_filter(connection);
    filter_by_ids(filter, part.first(std::min(kIdsAtOnce, part.size())),
                  state_.old_documents.load());
    if (auto found = find_doomed(filter, 0, deadline, doomed); !found) return found;
  }
  return {};
}

Result<std::vector<RemoveOutcome>> MessageQueues::remove_together(const Removes& removes,
                                                                  Deadline deadline) {
  const Find find_all = [&](std::vector<Doomed>& found) -> Result<void> {
    for (const auto& remove : removes) {
      auto done = find_named(remove->connection, remove->ids, deadline, found);
      if (!done) return done;
    }
    return {};
  };
  const auto doomed = erase_found(find_all, deadline);
  if (!doomed) return std::unexpected(doomed.error());
  std::map<Connection, std::vector<Position>> removed;
  for (const Doomed& one : *doomed) {
    if (!one.expired) removed[one.connection].push_back(one.position);
  }
  std::vector<RemoveOutcome> outcomes(removes.size());
  for (std::size_t i = 0; i < removes.size(); ++i) {
    outcomes[i].removed = std::move(removed[removes[i]->connection]);
    const auto left = remaining(removes[i]->connection, deadline, !outcomes[i].removed.empty());
    if (!left) return after_removing(*doomed, left.error());
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
  Document filter = connection_filter(connection);
  if (recipient_did) filter.any_text("recipientKeys", recipient_did->value);
  const auto doomed = erase_found(
      [&](std::vector<Doomed>& found) { return find_doomed(filter, 0, deadline, found); },
      deadline);
  if (!doomed) return std::unexpected(doomed.error());
  for (const Doomed& one : *doomed) {
    if (!one.expired) outcome.removed.push_back(one.position);
  }
  const auto left = remaining(connection, deadline, !doomed->empty());
  if (!left) return after_removing(*doomed, left.error());
  outcome.remaining = *left;
  return outcome;
}

MessageQueues::Got MessageQueues::get(const Doomed& doomed, Deadline deadline) {
  const auto remove = [&] { return database_.remove_one(Table::messages, doomed.key); };
  const auto removed = remove();
  if (removed) return {*removed > 0, {}};
  // Whether an attempt without an answer was the one that removed it cannot be known. To be
  // returned twice is better than to be lost.
  const auto again = patiently(deadline, remove);
  return {true, again ? std::nullopt : std::optional(again.error())};
}

// What comes too late stays.
Result<RemoveOutcome> MessageQueues::claim_and_remove(const Connection& connection,
                                                      const std::vector<MessageId>& ids,
                                                      Deadline deadline) {
  std::vector<Doomed> doomed;
  if (auto found = find_named(connection, ids, deadline, doomed); !found) {
    return std::unexpected(found.error());
  }
  std::erase_if(doomed, [](const Doomed& one) { return one.expired; });
  if (auto ready = prepare_removal(doomed, deadline); !ready) return std::unexpected(ready.error());
  RemoveOutcome outcome;
  std::int64_t bytes = 0;
  for (const Doomed& one : doomed) {
    if (deadline.passed()) break;
    Got got = get(one, deadline);
    if (got.failed) {
      got.failed->effect = Error::Effect::unknown;
      return std::unexpected(std::move(*got.failed));
    }
    forget_figures(one);
    if (!got.it) continue;
    bytes += static_cast<std::int64_t>(one.size);
    outcome.removed.push_back(one.position);
  }
  state_.count(-static_cast<std::int64_t>(outcome.removed.size()), -bytes, 0);
  const auto left = remaining(connection, deadline, !outcome.removed.empty());
  if (!left) return after_removing(outcome.removed, left.error());
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
