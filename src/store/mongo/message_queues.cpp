#include "store/mongo/message_queues.hpp"

namespace mpr::mongo {

namespace {
// Written tails leave after days; whoever remembers a queue for longer could overlook that.
constexpr std::chrono::hours kRememberFor{1};
}  // namespace

Deadline MessageQueues::bounded(Deadline deadline) const {
  return {std::min(deadline.at, std::chrono::steady_clock::now() + state_.options.patience)};
}

MessageQueues::Queue* MessageQueues::remembered(const Connection& connection) {
  const auto found = queues_.find(connection);
  return found == queues_.end() ? nullptr : &found->second;
}

// The queue's end, looked up if it is not known.
Result<MessageQueues::Queue*> MessageQueues::queue_of(const Connection& connection,
                                                      Deadline deadline) {
  const auto now = std::chrono::steady_clock::now();
  if (Queue* known = remembered(connection); known && now - known->loaded_at < kRememberFor) {
    return known;
  }
  Queue fresh;
  fresh.loaded_at = now;
  fresh.tail_read_at = now;
  fresh.newest = Position{};
  if (auto loaded = load(connection, fresh, deadline); !loaded) {
    return std::unexpected(loaded.error());
  }
  const auto tails = read_tails({connection}, deadline);
  if (!tails) return std::unexpected(tails.error());
  if (!tails->empty()) fresh.written = tails->begin()->second.removed;
  fresh.last = std::max(fresh.last, fresh.written);
  if (fresh.last.value == 0) {
    fresh.last = Position{first_position(state_.clock.now()).value - 1};
  }
  if (queues_.size() >= state_.options.remembered_queues) queues_.erase(queues_.begin());
  Queue& kept = queues_[connection];
  kept = std::move(fresh);
  return &kept;
}

Result<MessageQueues::Tails> MessageQueues::read_tails(const std::set<Connection>& connections,
                                                       Deadline deadline) {
  Array ids;
  std::map<std::string, std::pair<const Connection*, Position Tail::*>> by_id;
  for (const Connection& connection : connections) {
    by_id[tail_id(connection)] = {&connection, &Tail::removed};
    by_id[moved_id(connection)] = {&connection, &Tail::moved};
  }
  for (const auto& [id, meaning] : by_id) ids.any_text(id);
  Document in;
  in.array("$in", ids.done());
  Database::Query query;
  query.filter.document("_id", in);
  return patiently(deadline, [&]() -> Result<Tails> {
    Tails tails;
    const auto done = database_.find(Table::tails, query, deadline, [&](const bson_t& d) {
      const auto found = by_id.find(read_any_text(d, "_id").value_or(""));
      if (found == by_id.end()) return true;
      const auto& [connection, field] = found->second;
      tails[*connection].*field = position_of(d);
      return true;
    });
    if (!done) return std::unexpected(done.error());
    return tails;
  });
}

// Looks at what is in the queue.
Result<void> MessageQueues::load(const Connection& connection, Queue& queue, Deadline deadline) {
  return patiently(deadline, [&]() -> Result<void> {
    Database::Query query;
    query.filter = connection_filter(connection);
    query.projection = figures_projection();
    Queue loaded = queue;
    const TimePoint now = state_.clock.now();
    auto done = database_.find(Table::messages, query, deadline, [&](const bson_t& document) {
      const Position position = position_of(document);
      loaded.last = std::max(loaded.last, position);
      const auto expires = read_time(document, "expiresAt");
      if (expires && *expires <= now) return true;
      loaded.messages += 1;
      loaded.bytes += static_cast<std::uint64_t>(
          read_integer(document, "encryptedMessageByteCount").value_or(0));
      if (loaded.newest && position > *loaded.newest) {
        loaded.newest = position;
        loaded.newest_expires = expires;
      }
      return true;
    });
    if (done) queue = std::move(loaded);
    return done;
  });
}

// The newest pending message of the queue; 0: there is none.
Result<std::optional<Position>> MessageQueues::newest_of(const Connection& connection, Queue& queue,
                                                         Deadline deadline) {
  const TimePoint now = state_.clock.now();
  const bool expired = queue.newest_expires && *queue.newest_expires <= now;
  if (queue.newest && !expired) return queue.newest;
  Position newest;
  std::optional<TimePoint> expires;
  const auto found = patiently(deadline, [&] {
    Database::Query query;
    query.filter = pending_filter(connection, now);
    query.sort.small("position", -1);
    query.projection = figures_projection();
    query.limit = 1;
    return database_.find(Table::messages, query, deadline, [&](const bson_t& document) {
      newest = position_of(document);
      expires = read_time(document, "expiresAt");
      return false;
    });
  });
  if (!found) return std::unexpected(found.error());
  queue.newest = newest;
  queue.newest_expires = expires;
  return queue.newest;
}

Result<MessageQueues::End> MessageQueues::end_of(const Connection& connection, Deadline deadline) {
  End end;
  // First the messages: one that is removed in between has its tail written before.
  const auto found = patiently(deadline, [&] {
    Database::Query query;
    query.filter = connection_filter(connection);
    query.sort.small("position", -1).small("createdAt", -1).small("_id", -1);
    query.projection = figures_projection();
    query.limit = 1;
    return database_.find(Table::messages, query, deadline, [&](const bson_t& d) {
      end.newest = position_of(d);
      return false;
    });
  });
  if (!found) return std::unexpected(found.error());
  const auto tails = read_tails({connection}, deadline);
  if (!tails) return std::unexpected(tails.error());
  if (!tails->empty()) end.tail = tails->begin()->second;
  return end;
}

Result<Position> MessageQueues::tail(const Connection& connection, Deadline deadline) {
  const auto end = end_of(connection, deadline);
  if (!end) return std::unexpected(end.error());
  if (end->last().value != 0) return end->last();
  return Position{first_position(state_.clock.now()).value - 1};
}

Result<void> MessageQueues::ping() {
  Document command;
  command.small("ping", 1);
  const auto answer = database_.command(command);
  if (!answer) {
    state_.failed(answer.error());
    return std::unexpected(answer.error());
  }
  state_.healthy();
  return {};
}

// Counts everything. A large collection is estimated from its beginning.
Result<void> MessageQueues::survey() {
  constexpr std::int64_t kSample = 10'000;
  StoreTotals sample;
  std::uint64_t documents = 0;
  std::set<Connection> queues;
  Database::Query query;
  query.projection = figures_projection();
  query.limit = kSample;
  const TimePoint now = state_.clock.now();
  const auto read = database_.find(
      Table::messages, query, Deadline::after(state_.options.patience), [&](const bson_t& d) {
        ++documents;
        const auto expires = read_time(d, "expiresAt");
        if (expires && *expires <= now) return true;
        sample.messages += 1;
        sample.bytes +=
            static_cast<std::uint64_t>(read_integer(d, "encryptedMessageByteCount").value_or(0));
        queues.insert(connection_of(d));
        return true;
      });
  if (!read) return read;
  sample.queues = queues.size();
  if (documents == kSample) {
    Document everything;
    const auto all = database_.count(Table::messages, everything, Deadline::never());
    if (!all) return std::unexpected(all.error());
    const auto scale = [&](std::uint64_t n) { return n * *all / documents; };
    sample = {scale(sample.messages), scale(sample.bytes), scale(sample.queues)};
  }
  state_.surveyed(sample);
  return {};
}

Result<void> MessageQueues::look_for_old_documents() {
  bool found = false;
  Database::Query query;
  Document type;
  type.text("$type", "objectId");
  query.filter.document("_id", type);
  query.projection.small("_id", 1);
  query.limit = 1;
  const auto read = database_.find(Table::messages, query, Deadline::after(state_.options.patience),
                                   [&](const bson_t&) { return found = true; });
  if (read) state_.old_documents.store(found);
  return read;
}

Result<void> MessageQueues::forget_old_notes() {
  Document past;
  past.time("$lte", state_.clock.now());
  Document filter;
  filter.document("forgetAt", past);
  for (const Table table : {Table::removed_ids, Table::tails}) {
    const auto removed = database_.remove_many(table, filter);
    if (!removed) return std::unexpected(removed.error());
  }
  return {};
}

}  // namespace mpr::mongo
