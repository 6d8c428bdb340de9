// MessageQueues: taking, counting, status. Documents of the existing service come first, in the
// order in which it stored them; then ours, by position.
#include <algorithm>
#include <tuple>

#include "base/log.hpp"
#include "store/mongo/message_queues.hpp"

namespace mpr::mongo {

namespace {

void exclude(Document& filter, const QueueQuery& query, const Array& ids) {
  if (ids.size() != 0) {
    Document none_of;
    none_of.array("$nin", ids.done());
    filter.document("messageId", none_of);
  }
  if (query.recipient_did) filter.any_text("recipientKeys", query.recipient_did->value);
}

Array ids_of(const std::vector<MessageId>& list) {
  Array ids;
  for (const MessageId& id : list) ids.any_text(id.value);
  return ids;
}

// For a document of ours; those of the existing service give their _id to nobody else.
Document under_own_id(const bson_t& document) {
  Document renamed;
  renamed.text("_id", copied_id(connection_of(document), message_id_of(document)));
  bson_copy_to_excluding_noinit(&document, renamed.get(), "_id", nullptr);
  return renamed;
}

bool excluded(const QueueQuery& query, Position position) {
  return std::any_of(query.exclude.begin(), query.exclude.end(),
                     [&](const MessageRef& ref) { return ref.position == position; });
}

}  // namespace

Document MessageQueues::ours_filter(const Wanted& wanted) const {
  Document filter = pending_filter(wanted.query.connection, state_.clock.now());
  Array without = ids_of(wanted.part.without);
  // By id: a message in flight may have been moved since it was seen.
  for (const MessageRef& ref : wanted.query.exclude) without.any_text(ref.id.value);
  exclude(filter, wanted.query, without);
  Document position;
  position.integer("$gt", static_cast<std::int64_t>(wanted.after.value));
  if (wanted.part.before) {
    position.integer("$lt", static_cast<std::int64_t>(wanted.part.before->value));
  }
  filter.document("position", position);
  return filter;
}

Result<void> MessageQueues::read_ours(const Wanted& wanted, Deadline deadline, const Offer& offer) {
  Database::Query query;
  query.filter = ours_filter(wanted);
  query.sort.small("position", 1);
  query.limit = wanted.limit;
  if (!wanted.whole) query.projection = figures_projection();
  return database_.find(Table::messages, query, deadline,
                        [&](const bson_t& d) { return offer(d, position_of(d)); });
}

Result<void> MessageQueues::read_old(const Wanted& wanted, Deadline deadline, const Offer& offer,
                                     bool& goes_on) {
  Database::Query query;
  query.filter = pending_filter(wanted.query.connection, state_.clock.now());
  exclude(query.filter, wanted.query, ids_of(wanted.part.without));
  query.filter.null("position");  // means that it is absent, too
  query.sort.small("createdAt", 1).small("_id", 1);
  struct Old {
    Position position;
    std::size_t order;
    Document document;
  };
  std::vector<Old> found;
  const auto read = database_.find(Table::messages, query, deadline, [&](const bson_t& d) {
    const Position position = position_of(d);
    const bool inside = position > wanted.after &&
                        (!wanted.part.before || position < *wanted.part.before) &&
                        !excluded(wanted.query, position);
    if (inside) found.push_back({position, found.size(), Document(d)});
    return wanted.limit == 0 || std::cmp_less(found.size(), wanted.limit);
  });
  if (!read) return read;
  std::sort(found.begin(), found.end(), [](const Old& a, const Old& b) {
    return std::tie(a.position, a.order) < std::tie(b.position, b.order);
  });
  for (const auto& [position, order, document] : found) {
    goes_on = goes_on && offer(*document.get(), position);
    if (!goes_on) break;
  }
  return {};
}

// Offers what is pending in queue order until the offer is declined.
Result<void> MessageQueues::read(const Wanted& wanted, Deadline deadline, const Offer& offer) {
  bool goes_on = true;
  if (state_.old_documents.load()) {
    if (auto old = read_old(wanted, deadline, offer, goes_on); !old) return old;
  }
  if (!goes_on) return {};
  return read_ours(wanted, deadline, offer);
}

Result<MessageQueues::Taken> MessageQueues::take(const TakeQuery& query, const ColdPart& part,
                                                 const Operation& operation) {
  Taken taken;
  std::vector<Doomed> doomed;
  const Deadline deadline = operation.deadline;
  const bool removing = query.mode == TakeMode::remove;
  const Wanted wanted{query.queue, part, query.after, static_cast<std::int64_t>(query.limit)};
  const auto done = patiently(deadline, [&] {
    taken = {};
    doomed.clear();
    Selection selection(query);
    return read(wanted, deadline, [&](const bson_t& document, Position) {
      StoredMessage message = message_of(document);
      if (!selection.admit(message.size())) return false;
      taken.messages.push_back(std::move(message));
      if (removing) {
        doomed.push_back(doomed_of(document));
        taken.documents.emplace_back(document);
      }
      return !selection.full();
    });
  });
  if (!done) return std::unexpected(done.error());
  if (!removing || taken.messages.empty()) return taken;
  return take_away(std::move(taken), std::move(doomed), operation);
}

// One by one: of two gateways that take at the same time each message goes to one. What comes too
// late stays.
Result<MessageQueues::Taken> MessageQueues::take_away(Taken found, std::vector<Doomed> doomed,
                                                      const Operation& operation) {
  if (auto ready = prepare_removal(doomed, operation.deadline); !ready) {
    return std::unexpected(ready.error());
  }
  Taken taken;
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < doomed.size() && !operation.answered(); ++i) {
    const Got got = get(doomed[i], operation.deadline);
    forget_figures(doomed[i]);
    if (!got.it) continue;
    bytes += static_cast<std::int64_t>(doomed[i].size);
    taken.messages.push_back(std::move(found.messages[i]));
    taken.documents.push_back(std::move(found.documents[i]));
    if (got.failed) break;
  }
  const auto count = static_cast<std::int64_t>(taken.messages.size());
  const Queue* queue = remembered(operation.connection);
  state_.count(-count, -bytes, count > 0 && queue && queue->messages == 0 ? -1 : 0);
  return taken;
}

// Another gateway's message may have got the _id meanwhile: then it goes back under one of its own.
void MessageQueues::put_back(const Taken& taken) {
  std::vector<const Document*> documents;
  std::vector<Document> renamed;
  std::int64_t bytes = 0;
  for (const Document& document : taken.documents) {
    documents.push_back(&document);
    renamed.push_back(under_own_id(*document.get()));
    bytes += static_cast<std::int64_t>(size_of(*document.get()));
    queues_.erase(connection_of(*document.get()));
  }
  const auto insert = [&] {
    return patiently(Deadline::never(), [&] {
      return database_.insert(Table::messages, documents, InsertOrder::any);
    });
  };
  auto refused = insert();
  if (refused && !refused->empty()) {
    const auto missing = not_there(taken, *refused);
    if (!missing) {
      refused = std::unexpected(missing.error());
    } else {
      documents.clear();
      for (const std::size_t i : *missing) documents.push_back(&renamed[i]);
      refused = insert();
    }
  }
  if (refused) return state_.count(static_cast<std::int64_t>(taken.documents.size()), bytes, 0);
  log::error("messages that were taken for nobody could not be put back",
             {{"messages", taken.documents.size()}, {"reason", refused.error().context}});
}

// Of those that were refused: whose message is not there. An insert that was tried again may have
// met what it had inserted itself.
Result<std::vector<std::size_t>> MessageQueues::not_there(const Taken& taken,
                                                          const std::vector<Refusal>& refused) {
  std::vector<std::size_t> missing;
  for (const Refusal& refusal : refused) {
    const bson_t& document = *taken.documents[refusal.index].get();
    Database::Query query;
    query.filter = connection_filter(connection_of(document));
    query.filter.any_text("messageId", message_id_of(document).value);
    query.projection = figures_projection();
    bool there = false;
    const auto done = patiently(Deadline::never(), [&] {
      return database_.find(Table::messages, query, Deadline::never(),
                            [&](const bson_t&) { return there = true; });
    });
    if (!done) return std::unexpected(done.error());
    if (!there) missing.push_back(refusal.index);
  }
  return missing;
}

Result<std::uint64_t> MessageQueues::count(const QueueQuery& query, const ColdPart& part,
                                           Deadline deadline) {
  const Wanted wanted{query, part, Position{}, 0, false};
  return patiently(deadline, [&]() -> Result<std::uint64_t> {
    // On a sharded cluster the command counts what is on the move twice; and old documents have no
    // position to compare.
    if (!state_.old_documents.load() && !state_.sharded.load()) {
      return database_.count(Table::messages, ours_filter(wanted), deadline);
    }
    std::uint64_t counted = 0;
    const auto done = read(wanted, deadline, [&](const bson_t&, Position) {
      ++counted;
      return true;
    });
    if (!done) return std::unexpected(done.error());
    return counted;
  });
}

Result<QueueStatus> MessageQueues::status(const QueueQuery& query, const ColdPart& part,
                                          Deadline deadline) {
  const Wanted wanted{query, part, Position{}, 0, false};
  return patiently(deadline, [&]() -> Result<QueueStatus> {
    QueueStatus status;
    const auto done = read(wanted, deadline, [&](const bson_t& document, Position) {
      const TimePoint at = received_at_of(document);
      status.message_count += 1;
      status.total_bytes += size_of(document);
      status.oldest_received = std::min(status.oldest_received.value_or(at), at);
      status.newest_received = std::max(status.newest_received.value_or(at), at);
      return true;
    });
    if (!done) return std::unexpected(done.error());
    return status;
  });
}

Result<std::optional<PushToken>> MessageQueues::newest_push_token(const Connection& connection,
                                                                  const ColdPart& part,
                                                                  std::size_t most,
                                                                  Deadline deadline) {
  const QueueQuery all{connection, std::nullopt, {}};
  return patiently(deadline, [&]() -> Result<std::optional<PushToken>> {
    std::optional<PushToken> newest;
    Database::Query query;
    // Documents of the existing service have no tokens.
    query.filter = ours_filter({all, part, Position{}});
    query.sort.small("position", -1);
    query.projection.small("pushToken", 1);
    query.limit = static_cast<std::int64_t>(most);
    const auto done = database_.find(Table::messages, query, deadline, [&](const bson_t& d) {
      newest = push_token_of(d);
      return !newest;
    });
    if (!done) return std::unexpected(done.error());
    return newest;
  });
}

}  // namespace mpr::mongo
