#include "pickup/archive_round.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"

namespace mpr {

namespace {

// The outcomes of `make(member)` for all members, at most `most` of them under way at once.
template <class T, class Members, class Make>
Task<std::vector<T>> in_groups(Members members, std::size_t most, Make make) {
  std::vector<T> outcomes;
  auto next = members.begin();
  while (next != members.end()) {
    std::vector<Task<T>> group;
    for (; next != members.end() && group.size() < most; ++next) group.push_back(make(*next));
    for (auto&& outcome : co_await when_all(std::move(group))) {
      outcomes.push_back(std::move(outcome));
    }
  }
  co_return outcomes;
}

}  // namespace

Archiver::Round::Round(const Ports& ports, const Options& options, PassReport& report,
                       std::function<bool()> ends)
    : ports_(ports), options_(options), report_(report), ends_(std::move(ends)) {}

Task<bool> Archiver::Round::run(std::vector<std::uint32_t> partitions) {
  co_await look(std::move(partitions));
  while (!waiting_.empty() && healthy_ && !ends_()) {
    co_await keep_leases();
    auto items = co_await claim_bulk();
    if (!items.empty()) co_await move(std::move(items));
  }
  co_await release_all();
  co_return healthy_;
}

void Archiver::Round::failed(const Error& error) {
  ++failures_;
  ++report_.failures;
  report_.stuck = true;
  ports_.metrics.archive_failures.add();
  if (!report_.first_failure) report_.first_failure = error;
}

// --- partitions ----------------------------------------------------------------------------------

Task<void> Archiver::Round::look(std::vector<std::uint32_t> partitions) {
  using Due = Result<std::vector<Connection>>;
  const auto due = co_await in_groups<Due>(
      partitions, options_.requests_at_once, [this](std::uint32_t partition) {
        return ports_.hot.due(partition, until(), options_.connections_per_look, soon());
      });
  for (std::size_t i = 0; i < due.size(); ++i) {
    if (!due[i]) {
      failed(due[i].error());
      healthy_ = false;
    } else if (!due[i]->empty()) {
      co_await take_on(partitions[i], *due[i]);
    }
  }
}

Task<void> Archiver::Round::take_on(std::uint32_t partition, std::vector<Connection> due) {
  if (!ports_.cold && due.size() < options_.connections_per_look) co_return;
  const auto lease = co_await acquire(partition);
  if (!lease) co_return;
  if (!ports_.cold) {
    co_await put_by(partition, std::move(due));
    co_return;
  }
  for (Connection& connection : due) waiting_.push_back({partition, std::move(connection)});
}

// Nobody takes these messages out of the hot tier: out of the way, so that due() comes to the
// queues behind them and forgets the empty ones.
Task<void> Archiver::Round::put_by(std::uint32_t partition, std::vector<Connection> full_queues) {
  const ArchiveLease lease = holds(partition)->lease;
  const TimePoint again = ports_.clock.now() + options_.look_again;
  const auto outcomes = co_await in_groups<Result<void>>(
      full_queues, options_.requests_at_once, [&](const Connection& connection) {
        return ports_.hot.set_aside(lease, connection, again, soon());
      });
  for (const auto& outcome : outcomes) {
    if (!outcome) failed(outcome.error());
  }
}

Task<std::optional<ArchiveLease>> Archiver::Round::acquire(std::uint32_t partition) {
  const SteadyPoint now = ports_.clock.steady_now();
  const auto lease = co_await ports_.hot.lease(partition, std::nullopt, options_.lease, soon());
  if (!lease) {
    failed(lease.error());
    healthy_ = false;
    co_return std::nullopt;
  }
  if (*lease) held_[partition] = {**lease, now};
  co_return *lease;
}

// A lease that ran out by our own clock may be another's by now.
const Archiver::Round::Held* Archiver::Round::holds(std::uint32_t partition) const {
  const auto held = held_.find(partition);
  if (held == held_.end()) return nullptr;
  if (ports_.clock.steady_now() - held->second.since >= options_.lease) return nullptr;
  return &held->second;
}

void Archiver::Round::lose(std::uint32_t partition) {
  if (held_.erase(partition) > 0) ++report_.leases_lost;
  std::erase_if(waiting_, [&](const Waiting& w) { return w.partition == partition; });
}

Task<void> Archiver::Round::keep_leases() {
  std::vector<std::uint32_t> old;
  const SteadyPoint now = ports_.clock.steady_now();
  for (const auto& [partition, held] : held_) {
    if (now - held.since >= options_.lease / 3) old.push_back(partition);
  }
  const auto kept = co_await in_groups<bool>(
      old, options_.requests_at_once, [this](std::uint32_t partition) { return renew(partition); });
  for (std::size_t i = 0; i < old.size(); ++i) {
    if (!kept[i]) lose(old[i]);
  }
}

Task<bool> Archiver::Round::renew(std::uint32_t partition) {
  const SteadyPoint now = ports_.clock.steady_now();
  const auto renewed =
      co_await ports_.hot.lease(partition, held_.at(partition).lease, options_.lease, soon());
  if (!renewed) {
    failed(renewed.error());
    co_return holds(partition) != nullptr;
  }
  if (!*renewed) co_return false;
  held_.at(partition) = {**renewed, now};
  co_return true;
}

Task<void> Archiver::Round::release_all() {
  const auto outcomes = co_await in_groups<Result<void>>(
      held_, options_.requests_at_once,
      [this](const auto& held) { return ports_.hot.release(held.second.lease, soon()); });
  for (const auto& outcome : outcomes) {
    if (!outcome) failed(outcome.error());  // it runs out by itself
  }
  held_.clear();
}

// --- claiming ------------------------------------------------------------------------------------

Task<std::vector<Archiver::Round::Item>> Archiver::Round::claim_bulk() {
  std::vector<Item> items;
  Room room{options_.batch_messages, options_.batch_bytes};
  while (!waiting_.empty() && room.messages > 0 && room.bytes > 0 && !ends_()) {
    // An even share each: a deep queue gets its next turn after all others.
    const std::size_t heads = std::min({waiting_.size(), options_.requests_at_once, room.messages});
    const Room share{room.messages / heads, std::max<std::uint64_t>(1, room.bytes / heads)};
    std::vector<Task<std::optional<Item>>> claims;
    for (std::size_t i = 0; i < heads; ++i) {
      claims.push_back(claim(std::move(waiting_.front()), share));
      waiting_.pop_front();
    }
    const std::size_t failures = failures_;
    for (auto& item : co_await when_all(std::move(claims))) {
      if (!item) continue;
      for (const TierMessage& m : item->batch.messages) {
        room.messages -= std::min<std::size_t>(1, room.messages);
        room.bytes -= std::min(m.message.size(), room.bytes);
      }
      items.push_back(std::move(*item));
    }
    if (failures_ - failures >= heads) healthy_ = false;
    if (!healthy_) break;
  }
  co_return items;
}

Task<std::optional<Archiver::Round::Item>> Archiver::Round::claim(Waiting from, Room room) {
  const Held* const held = holds(from.partition);
  if (!held) co_return std::nullopt;
  const ArchiveLease lease = held->lease;
  auto batch =
      co_await ports_.hot.claim(lease, from.connection, until(), room.messages, room.bytes, soon());
  if (!batch) {
    failed(batch.error());
    if (batch.error().code == Errc::corrupt) {
      co_await set_aside(std::move(from), lease, MessageId(), batch.error().context);
    }
    co_return std::nullopt;
  }
  if (batch->messages.empty() && batch->withdrawn.empty()) co_return std::nullopt;
  std::uint64_t bytes = 0;
  for (const TierMessage& m : batch->messages) {
    bytes += m.message.size();
    report_.lag = std::max(report_.lag, until() - m.message.received_at);
  }
  Item item{std::move(from), lease, std::move(*batch), false};
  item.more = item.batch.messages.size() >= room.messages || bytes >= room.bytes;
  co_return item;
}

// --- moving --------------------------------------------------------------------------------------

Task<void> Archiver::Round::move(std::vector<Item> items) {
  co_await keep_leases();
  drop_stale(items);
  // Copies of earlier batches that are withdrawn go first: a new message may have the id of one.
  for (const Item& item : items) {
    if (item.batch.withdrawn.empty()) continue;
    if (!co_await erase_copies(item.from.connection, item.batch.withdrawn)) co_return;
  }
  drop_stale(items);

  std::vector<TierMessage> bulk;
  for (const Item& item : items) {
    bulk.insert(bulk.end(), item.batch.messages.begin(), item.batch.messages.end());
  }
  const std::size_t size = bulk.size();
  std::vector<CopyResult> results;
  if (!bulk.empty()) {
    auto copied = co_await ports_.cold->copy(std::move(bulk), soon());
    if (copied && copied->size() != size) {
      copied = fail(Errc::internal, "the database answered for another number of messages");
    }
    if (!copied) {
      failed(copied.error());
      healthy_ = false;
      co_return;
    }
    results = std::move(*copied);
    ++report_.bulks;
    ports_.metrics.archive_bulks.add();
  }
  std::vector<std::pair<const Item*, std::span<const CopyResult>>> parts;
  std::size_t begin = 0;
  for (const Item& item : items) {
    parts.emplace_back(&item, std::span(results).subspan(begin, item.batch.messages.size()));
    begin += item.batch.messages.size();
  }
  const auto finished = co_await in_groups<bool>(
      parts, options_.requests_at_once,
      [this](const auto& part) { return finish(*part.first, part.second); });
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (finished[i] && items[i].more) waiting_.push_back(std::move(items[i].from));
  }
}

// What another gateway may have taken over is left to it.
void Archiver::Round::drop_stale(std::vector<Item>& items) const {
  std::erase_if(items, [this](const Item& item) {
    const Held* const held = holds(item.from.partition);
    return !held || held->lease.number != item.lease.number;
  });
}

Task<bool> Archiver::Round::erase_copies(Connection connection, std::vector<MessageId> ids) {
  const auto removed = co_await ports_.cold->remove(std::move(connection), std::move(ids), soon());
  if (removed) co_return true;
  failed(removed.error());
  healthy_ = false;
  co_return false;
}

// Ends one queue's part of a bulk; true: all of it is done.
Task<bool> Archiver::Round::finish(const Item& item, std::span<const CopyResult> results) {
  const ArchiveLease lease = item.lease;
  const Connection connection = item.from.connection;
  const auto refused = std::find_if(results.begin(), results.end(), [](const CopyResult& r) {
    return r.outcome == CopyOutcome::refused;
  });
  const auto moving = static_cast<std::size_t>(refused - results.begin());
  std::vector<MessageId> copied;
  for (std::size_t i = 0; i < moving; ++i) copied.push_back(item.batch.messages[i].message.id);

  bool erased = !item.batch.withdrawn.empty();
  if (!copied.empty()) {
    auto finished = co_await ports_.hot.finish(lease, connection, std::move(copied), soon());
    if (!finished) {
      failed(finished.error());
      co_return false;
    }
    if (finished->lease_lost) {
      // Our copies are the other's now, and what is withdrawn of them the hot tier knows.
      lose(item.from.partition);
      co_return false;
    }
    report_.archived += finished->moved;
    ports_.metrics.messages_archived.add(finished->moved);
    if (!finished->withdrawn.empty()) {
      if (!co_await erase_copies(connection, std::move(finished->withdrawn))) co_return false;
      erased = true;
    }
  }
  if (erased) {
    const auto forgotten = co_await ports_.hot.forget(lease, connection, soon());
    if (!forgotten) {
      failed(forgotten.error());
      co_return false;
    }
  }
  if (refused == results.end()) co_return true;
  // What stands behind it may be copied too: it stays claimed, so that its removal is noted.
  co_await set_aside(item.from, lease, item.batch.messages[moving].message.id, refused->reason);
  co_return false;
}

Task<void> Archiver::Round::set_aside(Waiting from, ArchiveLease lease, MessageId id,
                                      std::string reason) {
  const TimePoint again = ports_.clock.now() + options_.refused_again;
  ++report_.set_aside;
  ports_.metrics.archive_set_aside.add();
  log::warn("a message cannot be archived; it stays in the hot tier, and what is behind it",
            {{"connection", from.connection.id.value},
             {"message", id.value},
             {"reason", reason},
             {"again_seconds",
              std::chrono::duration_cast<std::chrono::seconds>(options_.refused_again).count()}});
  const auto aside = co_await ports_.hot.set_aside(lease, from.connection, again, soon());
  if (!aside) failed(aside.error());
}

}  // namespace mpr
