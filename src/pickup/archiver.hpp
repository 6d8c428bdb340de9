// Moves messages that have stayed in the hot tier for the threshold to the cold tier: claims the
// heads of queues, copies them in bulks, and takes them out of the hot tier when the copies are
// there (core/tiers.hpp describes the steps, and why readers see each message once). Each gateway
// runs one; leases keep them off each other's partitions. It also drops from the cold tier what has
// expired. Without a cold tier it only lets the hot tier forget queues that are empty.
//
// tick(), begin_stop() and idle() belong to the thread that owns the archiver, which is an
// executor; it does not wait. Ports outlive the archiver; it is destroyed when idle() after
// begin_stop(). What is in hand when a gateway dies is left claimed, and taken over by whoever gets
// the lease next. It never logs a payload, and never deletes a message that is not safely elsewhere
// or withdrawn.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "base/metrics.hpp"
#include "base/task.hpp"
#include "core/tiers.hpp"

namespace mpr {

class Archiver {
 public:
  struct Options {
    // How long a message stays in the hot tier. Longer than any call takes, see tiered_store.hpp.
    std::chrono::milliseconds threshold{60'000};
    std::chrono::milliseconds interval{1'000};  // between the starts of passes
    std::chrono::milliseconds lease{10'000};    // renewed while a pass works
    std::chrono::milliseconds call_timeout{5'000};
    std::size_t batch_messages = 500;  // of one bulk
    std::uint64_t batch_bytes = 4 << 20;
    std::size_t bulks_at_once = 2;                // being claimed, copied or finished
    std::size_t partitions_at_once = 64;          // looked at, and leased, by one of them
    std::size_t requests_at_once = 16;            // to the hot tier, of one of them
    std::size_t connections_per_look = 200;       // due ones of one partition taken on in a pass
    std::chrono::milliseconds pass_time{10'000};  // a pass starts nothing new after this
    // A pass that failed is followed by a pause that doubles from one failure to the next.
    std::chrono::milliseconds shortest_pause{500};
    std::chrono::milliseconds longest_pause{30'000};
    // When a message that the database refused is offered again.
    std::chrono::milliseconds refused_again{std::chrono::hours(1)};
    // Without a cold tier: when a queue that is not empty is looked at again, if there are many.
    std::chrono::milliseconds look_again{std::chrono::minutes(10)};
    std::chrono::milliseconds sweep_interval{10'000};
    std::size_t sweep_messages = 1'000;  // expired ones removed in one sweep
    std::uint64_t seed = 0;  // differs from gateway to gateway: their order of partitions does too
  };

  struct Ports {
    HotStore& hot;
    ColdStore* cold;  // null: messages stay in the hot tier
    Clock& clock;
    Metrics& metrics;
  };

  struct PassReport {
    std::uint64_t archived = 0;   // messages that left the hot tier
    std::uint64_t bulks = 0;      // copied
    std::uint64_t failures = 0;   // steps that a backend refused
    std::uint64_t set_aside = 0;  // connections whose head the database refused
    std::uint64_t leases_lost = 0;
    std::uint64_t expired = 0;
    // How much longer than the threshold the oldest message found had waited.
    std::chrono::milliseconds lag{0};
    bool stuck = false;  // a step of the move failed
    std::optional<Error> first_failure;
  };

  Archiver(Ports ports, Options options);
  ~Archiver();
  Archiver(const Archiver&) = delete;
  Archiver& operator=(const Archiver&) = delete;

  // Looks once at every partition and moves all that is due, or as much as there is time for. On an
  // executor thread; one at a time.
  Task<PassReport> pass(Deadline deadline);

  // Starts a pass if it is time for one; called every few tens of milliseconds.
  void tick();
  // No more passes; one that is under way ends after its present step and releases its leases.
  void begin_stop() noexcept { stopping_ = true; }
  bool idle() const noexcept { return background_.running() == 0; }

 private:
  class Round;  // what one of a pass's workers has in hand

  Task<void> pass_in_background();
  // Works off groups of partitions until there are none left; false: a backend failed.
  Task<bool> work(std::vector<std::uint32_t>& partitions, PassReport& report, Deadline deadline);
  Task<void> sweep(PassReport& report);
  std::vector<std::uint32_t> partitions_in_order();
  void plan_next_pass(const PassReport& report);
  void note_lag(const PassReport& report);
  bool ends(Deadline deadline) const { return stopping_ || deadline.passed(); }

  const Ports ports_;
  const Options options_;

  // The owner's thread only.
  std::mt19937_64 dice_;
  std::chrono::steady_clock::time_point next_pass_{};
  std::chrono::steady_clock::time_point next_sweep_{};
  std::chrono::milliseconds pause_{0};                           // after the last failure
  std::chrono::milliseconds lag_{0};                             // as of the end of the last pass
  std::optional<std::chrono::steady_clock::time_point> lag_at_;  // that end
  bool stopping_ = false;
  TaskGroup background_;
};

}  // namespace mpr
