// The one thread that changes the store. It takes whatever operations have arrived, writes their
// records as one group, syncs, changes the index and answers them: while one group is synced the
// next one gathers. Between operations it drops what has expired and cleans old segments.
//
// submit(), busy(), ready() and committed() are for any thread. Callers that wait for an answer
// outlive neither the writer nor their executors: the destructor answers everything first.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/metrics.hpp"
#include "store/embedded/cleaner.hpp"
#include "store/embedded/operations.hpp"

namespace mpr {

class CommitWriter {
 public:
  CommitWriter(CommitGroup::Store& store, const KeyedHash& hash, Clock& clock, Metrics& metrics);
  ~CommitWriter();
  CommitWriter(const CommitWriter&) = delete;
  CommitWriter& operator=(const CommitWriter&) = delete;

  // Queues an operation behind all that were queued before. The error is that the queue is full;
  // then the operation is not answered.
  Result<void> submit(Operation& operation);

  // Whether operations on the queue, or on one of the few that share its slot, still wait. False
  // means: whatever this thread submitted for the queue has taken effect.
  bool busy(const Hash128& queue_key) const {
    return slots_[slot_of(queue_key)].load(std::memory_order_acquire) != 0;
  }

  // Every message with a position up to this one is either visible or gone.
  Position committed() const { return Position{committed_.load(std::memory_order_acquire)}; }

  Result<void> ready() const;

 private:
  static constexpr std::size_t kSlots = 16'384;
  static std::size_t slot_of(const Hash128& key) { return (key.low >> 8) % kSlots; }

  void run();
  bool wait_for_work();
  std::optional<std::chrono::milliseconds> idle_time() const;
  void round();
  bool make_writable();
  bool segment_refused(const Error& error);
  void gather(CommitGroup& group);
  void gather_cleaning(CommitGroup& group);
  bool commit(CommitGroup& group);
  void apply(CommitGroup& group);
  void refuse_first(std::size_t count, const Error& error);
  void drop_front();
  void keep_up(TimePoint now);
  void trouble(const Error& error);
  void no_trouble();
  void count_pending();

  CommitGroup::Store& store_;
  Clock& clock_;
  Metrics& metrics_;
  Cleaner cleaner_;

  // The writer thread's own.
  std::deque<Operation*> backlog_;
  std::vector<Operation*> staged_;
  bool partly_staged_ = false;            // the last of staged_ is still the first of backlog_
  bool operation_wants_segment_ = false;  // the first of backlog_ does not fit
  bool cleaning_wants_segment_ = false;
  bool in_trouble_ = false;
  std::chrono::steady_clock::time_point next_reserve_try_;
  std::chrono::steady_clock::time_point next_cleaning_;
  StoreTotals counted_;
  std::uint64_t counted_live_ = 0;

  std::array<std::atomic<std::uint32_t>, kSlots> slots_{};
  std::atomic<std::uint64_t> committed_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Operation*> arrived_;  // guarded by mutex_
  std::size_t waiting_ = 0;          // operations not yet answered; guarded by mutex_
  std::size_t waiting_bytes_ = 0;    // guarded by mutex_
  bool asleep_ = false;              // guarded by mutex_
  bool stop_ = false;                // guarded by mutex_
  std::optional<Error> trouble_;     // why nothing can be added now; guarded by mutex_

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace mpr
