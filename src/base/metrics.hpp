// All metrics of the process, in one struct. Names, types and help texts stand once, in
// Metrics::render(); tests/golden/metrics.txt holds what operators see. Any thread may count.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

namespace mpr {

class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

class Gauge {
 public:
  void add(std::int64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  void set(std::int64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
  std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_ = 0;
};

// Durations in buckets from 50 us to 5 s.
class Histogram {
 public:
  static constexpr std::array<double, 14> kBoundsSeconds = {
      0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 2.0, 5.0};

  // How many durations fell into each bucket; the last one is everything over 5 s.
  using Snapshot = std::array<std::uint64_t, kBoundsSeconds.size() + 1>;

  void observe(std::chrono::nanoseconds duration) noexcept;
  Snapshot snapshot() const noexcept;

  // The duration in seconds that `share` (0 to 1) of the counted ones do not exceed, estimated by
  // spreading each bucket's evenly; 0 of none, at most 5.
  static double quantile_of(const Snapshot& counts, double share) noexcept;

 private:
  friend struct Metrics;
  std::array<std::atomic<std::uint64_t>, kBoundsSeconds.size() + 1> buckets_{};
  std::atomic<std::uint64_t> sum_nanoseconds_ = 0;
};

// How a push notification ended.
enum class PushResult {
  accepted,       // the provider took it
  token_dead,     // the provider knows nobody by this token
  known_dead,     // it said so before: not tried
  doubted,        // it said so about a time before the token was given again: not believed yet
  rejected,       // this one will never be taken
  misconfigured,  // the provider takes none until the operator acts
  no_sender,      // no sender is configured for its type
  unneeded,       // by the time it could be sent, nothing waited any more
  given_up,       // too old, or the process ended
  dropped,        // the queue was full
};
inline constexpr std::size_t kPushResults = 10;
inline constexpr std::size_t kPushProviders = 3;  // fcm, apns, webhook

struct Metrics {
  // Sockets
  Gauge sockets_open;
  Counter sockets_accepted;
  Counter sockets_refused;         // over the connection limit, or a bad handshake
  Counter sockets_lost_keepalive;  // closed because the peer stopped answering pings
  Counter protocol_errors;         // closed with 1002, 1007 or 1009
  Counter bytes_received;
  Counter bytes_sent;
  Gauge outbound_bytes;  // waiting in outbound buffers
  // Calls
  Counter calls;
  Counter calls_failed;    // answered with a JSON-RPC error
  Counter calls_rejected;  // the part of calls_failed that was bad input
  Counter calls_timed_out;
  Histogram call_seconds;
  // Messages
  Counter messages_added;
  Counter messages_deduplicated;  // the same messageId again
  Counter messages_delivered;     // put into a messagesReceived event
  Counter messages_acknowledged;  // removed by id, or taken with deleteMessages
  Counter messages_expired;
  Counter deliveries_postponed;  // a slow reader's message stayed pending
  Counter acknowledgements_overdue;
  Gauge messages_pending;
  Gauge bytes_pending;
  Gauge queues;
  // Live sessions
  Gauge live_sessions;
  Gauge live_sessions_orphaned;
  Counter live_sessions_replaced;
  Counter live_sessions_adopted;
  Counter live_sessions_expired;  // the grace of an orphan ran out
  // Push notifications
  Counter pushes_due;
  Counter pushes_collapsed;  // covered by another push
  Counter push_retries;
  std::array<std::array<Counter, kPushResults>, kPushProviders> pushes;  // [provider][PushResult]
  Gauge pushes_waiting;    // tokens with a push due, planned or under way
  Histogram push_seconds;  // from due to accepted
  // Several gateways
  Gauge gateways_alive;
  Counter announcements;         // to other gateways
  Counter announcements_failed;  // nobody listened, or Redis did not answer
  Counter directory_gaps;        // everything here was looked through, as something may be unheard
  // Store
  Counter store_errors;
  Counter store_commits;  // groups written and synced
  Histogram store_commit_seconds;
  Gauge store_disk_bytes;
  Gauge store_live_bytes;
  Counter store_relocated_bytes;  // live records moved so that an old segment could go

  // Archiver
  Counter messages_archived;  // moved to the cold tier
  Counter archive_bulks;      // copied to the cold tier
  Counter archive_failures;   // steps that a backend refused; they are done again
  Counter archive_set_aside;  // the head of a queue could not be archived
  Gauge archive_lag_seconds;  // by which the oldest message found was overdue in the last pass

  // The Prometheus text exposition format, version 0.0.4.
  // `pending`: whether messages_pending and its like are of the whole store; if not, they are left
  // out.
  enum class Pending { known, unknown };
  std::string render(Pending pending = Pending::known) const;
};

}  // namespace mpr
