// One worker's share of an archiver's pass: a group of partitions that it looks at, leases, and
// moves messages out of, bulk by bulk across all queues of the group.
//
// A bulk: claim heads of queues until it is full, copy all in one go, finish each queue. Whatever
// fails stays claimed, and visible in the hot tier; the leases are given back, so that the next
// claim is one under another lease and what this one may still write is reckoned with.
//
// For the archiver's thread; used once. Everything that it is given outlives it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <span>

#include "pickup/archiver.hpp"

namespace mpr {

class Archiver::Round {
 public:
  // `ends` says that nothing new is to be started.
  Round(const Ports& ports, const Options& options, PassReport& report, std::function<bool()> ends);

  // False: a backend failed, so that going on makes no sense for now.
  Task<bool> run(std::vector<std::uint32_t> partitions);

 private:
  using SteadyPoint = std::chrono::steady_clock::time_point;

  struct Held {
    ArchiveLease lease;
    SteadyPoint since;  // taken or renewed
  };
  struct Waiting {
    std::uint32_t partition = 0;
    Connection connection;
  };
  // One queue's part of a bulk.
  struct Item {
    Waiting from;
    ArchiveLease lease;  // under which it was claimed
    HotStore::Batch batch;
    bool more = false;  // the queue gave as much as was asked for
  };
  struct Room {
    std::size_t messages = 0;
    std::uint64_t bytes = 0;
  };

  Task<void> look(std::vector<std::uint32_t> partitions);
  Task<void> take_on(std::uint32_t partition, std::vector<Connection> due);
  Task<void> put_by(std::uint32_t partition, std::vector<Connection> full_queues);
  Task<std::optional<ArchiveLease>> acquire(std::uint32_t partition);
  Task<void> keep_leases();
  Task<bool> renew(std::uint32_t partition);
  Task<void> release_all();
  void lose(std::uint32_t partition);
  const Held* holds(std::uint32_t partition) const;

  Task<std::vector<Item>> claim_bulk();
  Task<std::optional<Item>> claim(Waiting from, Room room);
  Task<void> move(std::vector<Item> items);
  void drop_stale(std::vector<Item>& items) const;
  Task<bool> erase_copies(Connection connection, std::vector<MessageId> ids);
  Task<bool> finish(const Item& item, std::span<const CopyResult> results);
  Task<void> set_aside(Waiting from, ArchiveLease lease, MessageId id, std::string reason);

  Deadline soon() const { return Deadline::after(options_.call_timeout); }
  TimePoint until() const { return ports_.clock.now() - options_.threshold; }
  void failed(const Error& error);

  const Ports& ports_;
  const Options& options_;
  PassReport& report_;
  const std::function<bool()> ends_;
  std::map<std::uint32_t, Held> held_;
  std::deque<Waiting> waiting_;  // queues with something due
  std::size_t failures_ = 0;
  bool healthy_ = true;
};

}  // namespace mpr
