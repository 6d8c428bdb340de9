#include "store/embedded/commit_writer.hpp"

#include <algorithm>

#include "base/log.hpp"

namespace mpr {

namespace {

// A group that grows beyond this makes its first callers wait longer than its last ones gain.
constexpr std::size_t kGroupBytes = 1 << 20;
constexpr std::size_t kGroupOperations = 4096;
// Cleaning reads this many times what a group adds, so that it keeps up when half is alive.
constexpr std::uint64_t kCleaningPace = 4;
constexpr std::uint64_t kLeastSlice = 256 * 1024;
constexpr std::uint64_t kMostSlice = 4 << 20;
// How often an idle writer looks after things.
constexpr std::chrono::milliseconds kHousekeeping{1000};
// How long it leaves alone what the disk has just refused.
constexpr std::chrono::milliseconds kRetryAfter{100};

}  // namespace

CommitWriter::CommitWriter(CommitGroup::Store& store, const KeyedHash& hash, Clock& clock,
                           Metrics& metrics)
    : store_(store),
      clock_(clock),
      metrics_(metrics),
      cleaner_(store, hash, metrics),
      committed_(store.next_position - 1) {
  count_pending();
  // A disk that has no room does not stop the start: what is there can be read.
  make_writable();
  thread_ = std::thread([this] { run(); });
}

CommitWriter::~CommitWriter() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

Result<void> CommitWriter::submit(Operation& operation) {
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    const EmbeddedOptions& bounds = store_.options;
    if (waiting_ >= bounds.max_waiting_operations ||
        (waiting_ > 0 && waiting_bytes_ + operation.bytes > bounds.max_waiting_bytes)) {
      return fail(Errc::unavailable,
                  "the store's queue is full: the disk is too slow for what "
                  "arrives");
    }
    waiting_ += 1;
    waiting_bytes_ += operation.bytes;
    slots_[slot_of(operation.queue_key)].fetch_add(1, std::memory_order_relaxed);
    arrived_.push_back(&operation);
    wake = std::exchange(asleep_, false);
  }
  if (wake) wake_.notify_one();
  return {};
}

Result<void> CommitWriter::ready() const {
  std::lock_guard lock(mutex_);
  if (trouble_) return std::unexpected(*trouble_);
  return {};
}

void CommitWriter::run() {
  while (wait_for_work()) round();
}

// False: there is nothing left to do, ever.
bool CommitWriter::wait_for_work() {
  const auto idle = idle_time();
  std::unique_lock lock(mutex_);
  if (backlog_.empty() && arrived_.empty() && !stop_ && (!idle || idle->count() > 0)) {
    asleep_ = true;
    const auto awake = [this] { return !arrived_.empty() || stop_; };
    if (idle) {
      wake_.wait_for(lock, *idle, awake);
    } else {
      wake_.wait(lock, awake);
    }
    asleep_ = false;
  }
  backlog_.insert(backlog_.end(), arrived_.begin(), arrived_.end());
  arrived_.clear();
  return !stop_ || !backlog_.empty();
}

// How long the thread may sleep if nobody asks for anything.
std::optional<std::chrono::milliseconds> CommitWriter::idle_time() const {
  if (cleaner_.due()) {
    const bool paused = std::chrono::steady_clock::now() < next_cleaning_;
    return paused ? kRetryAfter : std::chrono::milliseconds(0);
  }
  const bool something_pends =
      !store_.log.writable() || !store_.log.has_reserve() || store_.index.next_expiry();
  if (something_pends) return kHousekeeping;
  return std::nullopt;
}

void CommitWriter::round() {
  const TimePoint now = clock_.now();
  keep_up(now);
  if (!make_writable()) return;
  CommitGroup group(store_, now);
  gather(group);
  gather_cleaning(group);
  if (group.empty() || commit(group)) {
    apply(group);
  }
  count_pending();
  group.answers.flush();
  if (store_.records.capacity() > 2 * kGroupBytes) std::string().swap(store_.records);
}

void CommitWriter::keep_up(TimePoint now) {
  if (const std::size_t expired = store_.index.drop_expired(now)) {
    metrics_.messages_expired.add(expired);
    count_pending();
  }
  const auto steady_now = std::chrono::steady_clock::now();
  if (!store_.log.has_reserve() && steady_now >= next_reserve_try_) {
    if (const auto kept = store_.log.keep_reserve(); !kept) {
      next_reserve_try_ = steady_now + kRetryAfter;
      trouble(kept.error());
    }
  }
  // Cleaning may have completed the reserve as well.
  if (in_trouble_ && store_.log.writable() && store_.log.has_reserve()) no_trouble();
}

bool CommitWriter::make_writable() {
  const bool wanted = operation_wants_segment_ || cleaning_wants_segment_;
  if (store_.log.writable() && !wanted) return true;
  if (const auto started = store_.log.start_segment(store_.next_position); !started) {
    return segment_refused(started.error());
  }
  operation_wants_segment_ = cleaning_wants_segment_ = false;
  if (const auto kept = store_.log.keep_reserve(); kept) {
    no_trouble();
  } else {
    trouble(kept.error());
  }
  return true;
}

// No new segment can be had. True: the old one still has room for whatever is smaller.
bool CommitWriter::segment_refused(const Error& error) {
  trouble(error);
  if (cleaning_wants_segment_) next_cleaning_ = std::chrono::steady_clock::now() + kRetryAfter;
  const bool goes_on = store_.log.writable();
  refuse_first(goes_on ? (operation_wants_segment_ ? 1 : 0) : backlog_.size(), error);
  operation_wants_segment_ = cleaning_wants_segment_ = false;
  return goes_on;
}

void CommitWriter::gather(CommitGroup& group) {
  staged_.clear();
  partly_staged_ = false;
  const auto began = std::chrono::steady_clock::now();
  while (!backlog_.empty() && staged_.size() < kGroupOperations &&
         group.records().size() < kGroupBytes && !partly_staged_) {
    Operation& operation = *backlog_.front();
    if (operation.deadline.passed(began)) {
      const Error late{Errc::deadline_exceeded, "the deadline passed before the store began"};
      drop_front();
      operation.refuse(late, group.answers);
      continue;
    }
    switch (operation.stage(group)) {
      case Staged::in_group:
        staged_.push_back(&operation);
        backlog_.pop_front();
        break;
      case Staged::in_part:
        staged_.push_back(&operation);
        partly_staged_ = true;
        break;
      case Staged::refused:
        drop_front();
        break;
      case Staged::needs_room:
        operation_wants_segment_ = true;
        return;
      case Staged::later:
        return;
    }
  }
}

void CommitWriter::gather_cleaning(CommitGroup& group) {
  const auto now = std::chrono::steady_clock::now();
  if (operation_wants_segment_ || now < next_cleaning_ || !cleaner_.due()) return;
  const std::uint64_t slice =
      std::clamp(kCleaningPace * group.records().size(), kLeastSlice, kMostSlice);
  if (const auto staged = cleaner_.stage(group, slice); !staged) {
    log::error("a log segment cannot be cleaned", {{"reason", staged.error().context}});
    next_cleaning_ = now + kRetryAfter;
  }
  cleaning_wants_segment_ = cleaner_.needs_room();
}

bool CommitWriter::commit(CommitGroup& group) {
  const auto began = std::chrono::steady_clock::now();
  const auto written = store_.log.append(group.records());
  if (written) {
    metrics_.store_commits.add();
    metrics_.store_commit_seconds.observe(std::chrono::steady_clock::now() - began);
    return true;
  }
  trouble(written.error());
  group.undo();
  cleaner_.undo();
  if (partly_staged_) backlog_.pop_front();
  for (Operation* operation : staged_) {
    slots_[slot_of(operation->queue_key)].fetch_sub(1, std::memory_order_release);
    operation->refuse(written.error(), group.answers);
  }
  metrics_.store_errors.add(staged_.size());
  std::lock_guard lock(mutex_);
  for (const Operation* operation : staged_) waiting_bytes_ -= operation->bytes;
  waiting_ -= staged_.size();
  staged_.clear();
  return false;
}

void CommitWriter::apply(CommitGroup& group) {
  for (Operation* operation : staged_) operation->apply(group);
  if (const auto cleaned = cleaner_.apply(group); !cleaned) {
    log::error("a log segment cannot be removed", {{"reason", cleaned.error().context}});
    next_cleaning_ = std::chrono::steady_clock::now() + kRetryAfter;
  }
  committed_.store(store_.next_position - 1, std::memory_order_release);
  if (partly_staged_) staged_.pop_back();
  std::size_t bytes = 0;
  for (const Operation* operation : staged_) {
    bytes += operation->bytes;
    slots_[slot_of(operation->queue_key)].fetch_sub(1, std::memory_order_release);
  }
  if (staged_.empty()) return;
  std::lock_guard lock(mutex_);
  waiting_ -= staged_.size();
  waiting_bytes_ -= bytes;
}

// The first of the backlog is answered without having been in a group.
void CommitWriter::drop_front() {
  const Operation& operation = *backlog_.front();
  backlog_.pop_front();
  slots_[slot_of(operation.queue_key)].fetch_sub(1, std::memory_order_release);
  std::lock_guard lock(mutex_);
  waiting_ -= 1;
  waiting_bytes_ -= operation.bytes;
}

void CommitWriter::refuse_first(std::size_t count, const Error& error) {
  Resumptions answers;
  metrics_.store_errors.add(count);
  for (std::size_t i = 0; i < count; ++i) {
    Operation& operation = *backlog_.front();
    drop_front();
    operation.refuse(error, answers);
  }
  answers.flush();
}

void CommitWriter::trouble(const Error& error) {
  if (!in_trouble_) log::error("the store cannot take messages", {{"reason", error.context}});
  in_trouble_ = true;
  std::lock_guard lock(mutex_);
  trouble_ = error;
}

void CommitWriter::no_trouble() {
  if (!std::exchange(in_trouble_, false)) return;
  log::info("the store takes messages again");
  std::lock_guard lock(mutex_);
  trouble_.reset();
}

void CommitWriter::count_pending() {
  const StoreTotals totals = store_.index.totals();
  const std::uint64_t live = store_.index.live_bytes();
  metrics_.messages_pending.add(static_cast<std::int64_t>(totals.messages - counted_.messages));
  metrics_.bytes_pending.add(static_cast<std::int64_t>(totals.bytes - counted_.bytes));
  metrics_.queues.add(static_cast<std::int64_t>(totals.queues - counted_.queues));
  metrics_.store_live_bytes.add(static_cast<std::int64_t>(live - counted_live_));
  counted_ = totals;
  counted_live_ = live;
}

}  // namespace mpr
