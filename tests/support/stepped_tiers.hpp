// The tiers as one gateway sees them while a test decides about every step: each operation stops
// before it takes effect and again before its answer is heard, until the test lets it go on. A
// gateway may also be dead, so that nothing of it takes effect any more, or suffer failures.
//
// For one thread, which must be an executor.
#pragma once

#include <coroutine>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/task.hpp"
#include "core/tiers.hpp"

namespace mpr::test {

// Where the operations of one gateway, or of one of its threads, stop.
class Stepper {
 public:
  // What a failing step does: nothing, its work without telling, or its work at some later time.
  enum class Fault { none, refused, unheard, late };

  bool waiting() const { return !waiting_.empty(); }
  std::size_t size() const { return waiting_.size(); }
  std::string_view next_name(std::size_t index = 0) const { return waiting_[index].name; }

  void let_go(std::size_t index) {
    const auto handle = waiting_[index].handle;
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(index));
    handle.resume();
  }

  void kill() { dead_ = true; }
  bool dead() const { return dead_; }
  // Off: operations do not stop.
  void stop_at_steps(bool yes) { stops_ = yes; }
  void faults(std::function<Fault(std::string_view)> choose) { choose_ = std::move(choose); }

  template <class T>
  Task<Result<T>> around(std::string_view name, Task<Result<T>> operation) {
    co_await Stop{*this, name};
    if (dead_) co_return fail(Errc::unavailable, "this gateway is dead");
    const Fault fault = choose_ ? choose_(name) : Fault::none;
    if (fault == Fault::refused) co_return fail(Errc::unavailable, "refused by the test");
    if (fault == Fault::late) {
      late_.spawn(finish_late(name, std::move(operation)));
      co_return std::unexpected(unheard("not heard of in time"));
    }
    auto outcome = co_await operation;
    co_await Stop{*this, name};
    if (dead_) co_return fail(Errc::unavailable, "this gateway is dead");
    if (fault == Fault::unheard) co_return std::unexpected(unheard("unheard of"));
    co_return outcome;
  }

 private:
  struct Waiting {
    std::string_view name;
    std::coroutine_handle<> handle;
  };
  struct Stop {
    Stepper& stepper;
    std::string_view name;
    bool await_ready() const noexcept { return stepper.dead_ || !stepper.stops_; }
    void await_suspend(std::coroutine_handle<> handle) const {
      stepper.waiting_.push_back({name, handle});
    }
    void await_resume() const noexcept {}
  };

  static Error unheard(std::string context) {
    return {Errc::deadline_exceeded, std::move(context), Error::Effect::unknown};
  }

  template <class T>
  Task<void> finish_late(std::string_view name, Task<Result<T>> operation) {
    co_await Stop{*this, name};
    if (!dead_) (void)co_await operation;
  }

  TaskGroup late_{[](const std::exception_ptr& e) { std::rethrow_exception(e); }};
  std::vector<Waiting> waiting_;
  std::function<Fault(std::string_view)> choose_;
  bool stops_ = true;
  bool dead_ = false;
};

class SteppedHotStore final : public HotStore {
 public:
  SteppedHotStore(HotStore& inner, Stepper& stepper) : inner_(inner), stepper_(stepper) {}

  Task<Result<AddOutcome>> add(NewMessage m, Deadline d) override {
    return stepper_.around("add", inner_.add(std::move(m), d));
  }
  Task<Result<std::vector<StoredMessage>>> take(TakeQuery q, Deadline d) override {
    return stepper_.around("take", inner_.take(std::move(q), d));
  }
  Task<Result<std::uint64_t>> count(QueueQuery q, Deadline d) override {
    return stepper_.around("count", inner_.count(std::move(q), d));
  }
  Task<Result<QueueStatus>> status(QueueQuery q, Deadline d) override {
    return stepper_.around("status", inner_.status(std::move(q), d));
  }
  Task<Result<Position>> tail(Connection c, Deadline d) override {
    return stepper_.around("tail", inner_.tail(std::move(c), d));
  }
  Task<Result<std::optional<PushToken>>> newest_push_token(Connection c, Deadline d) override {
    return stepper_.around("token", inner_.newest_push_token(std::move(c), d));
  }
  Task<Result<RemoveOutcome>> remove(Connection c, std::vector<MessageId> ids,
                                     Deadline d) override {
    return stepper_.around("remove", inner_.remove(std::move(c), std::move(ids), d));
  }
  Task<Result<RemoveOutcome>> remove_all(Connection c, std::optional<RecipientDid> did,
                                         Deadline d) override {
    return stepper_.around("remove_all", inner_.remove_all(std::move(c), std::move(did), d));
  }
  Result<void> ready() const override { return inner_.ready(); }
  StoreTotals totals() const override { return inner_.totals(); }

  Task<Result<HotAnswer<std::vector<StoredMessage>>>> take_hot(TakeQuery q, Deadline d) override {
    return stepper_.around("take", inner_.take_hot(std::move(q), d));
  }
  Task<Result<HotAnswer<std::uint64_t>>> count_hot(QueueQuery q, Deadline d) override {
    return stepper_.around("count", inner_.count_hot(std::move(q), d));
  }
  Task<Result<HotAnswer<QueueStatus>>> status_hot(QueueQuery q, Deadline d) override {
    return stepper_.around("status", inner_.status_hot(std::move(q), d));
  }
  Task<Result<HotAnswer<Position>>> tail_hot(Connection c, Deadline d) override {
    return stepper_.around("tail", inner_.tail_hot(std::move(c), d));
  }
  Task<Result<HotAnswer<std::optional<PushToken>>>> newest_push_token_hot(Connection c,
                                                                          Deadline d) override {
    return stepper_.around("token", inner_.newest_push_token_hot(std::move(c), d));
  }
  Task<Result<HotAnswer<RemoveOutcome>>> remove_hot(Connection c, std::vector<MessageId> ids,
                                                    Deadline d) override {
    return stepper_.around("remove", inner_.remove_hot(std::move(c), std::move(ids), d));
  }
  Task<Result<HotAnswer<RemoveOutcome>>> remove_all_hot(Connection c,
                                                        std::optional<RecipientDid> did,
                                                        Deadline d) override {
    return stepper_.around("remove_all", inner_.remove_all_hot(std::move(c), std::move(did), d));
  }
  Task<Result<void>> note_cold_empty(Connection c, std::string mark, Deadline d) override {
    return stepper_.around("note", inner_.note_cold_empty(std::move(c), std::move(mark), d));
  }

  std::uint32_t partitions() const override { return inner_.partitions(); }
  Task<Result<std::optional<ArchiveLease>>> lease(std::uint32_t partition,
                                                  std::optional<ArchiveLease> held,
                                                  std::chrono::milliseconds duration,
                                                  Deadline d) override {
    return stepper_.around("lease", inner_.lease(partition, held, duration, d));
  }
  Task<Result<void>> release(ArchiveLease lease, Deadline d) override {
    return stepper_.around("release", inner_.release(lease, d));
  }
  Task<Result<std::vector<Connection>>> due(std::uint32_t partition, TimePoint until,
                                            std::size_t most, Deadline d) override {
    return stepper_.around("due", inner_.due(partition, until, most, d));
  }
  Task<Result<Batch>> claim(ArchiveLease lease, Connection c, TimePoint until, std::size_t most,
                            std::uint64_t most_bytes, Deadline d) override {
    return stepper_.around("claim", inner_.claim(lease, std::move(c), until, most, most_bytes, d));
  }
  Task<Result<ArchiveFinish>> finish(ArchiveLease lease, Connection c,
                                     std::vector<MessageId> copied, Deadline d) override {
    return stepper_.around("finish", inner_.finish(lease, std::move(c), std::move(copied), d));
  }
  Task<Result<void>> forget(ArchiveLease lease, Connection c, Deadline d) override {
    return stepper_.around("forget", inner_.forget(lease, std::move(c), d));
  }
  Task<Result<std::vector<MessageId>>> still_hot(Connection c, std::vector<MessageId> ids,
                                                 Deadline d) override {
    return stepper_.around("still_hot", inner_.still_hot(std::move(c), std::move(ids), d));
  }
  Task<Result<void>> set_aside(ArchiveLease lease, Connection c, TimePoint again,
                               Deadline d) override {
    return stepper_.around("set_aside", inner_.set_aside(lease, std::move(c), again, d));
  }

 private:
  HotStore& inner_;
  Stepper& stepper_;
};

class SteppedColdStore final : public ColdStore {
 public:
  SteppedColdStore(ColdStore& inner, Stepper& stepper) : inner_(inner), stepper_(stepper) {}

  Task<Result<AddOutcome>> add(NewMessage m, Deadline d) override {
    return stepper_.around("cold add", inner_.add(std::move(m), d));
  }
  Task<Result<std::vector<StoredMessage>>> take(TakeQuery q, Deadline d) override {
    return stepper_.around("cold take", inner_.take(std::move(q), d));
  }
  Task<Result<std::uint64_t>> count(QueueQuery q, Deadline d) override {
    return stepper_.around("cold count", inner_.count(std::move(q), d));
  }
  Task<Result<QueueStatus>> status(QueueQuery q, Deadline d) override {
    return stepper_.around("cold status", inner_.status(std::move(q), d));
  }
  Task<Result<Position>> tail(Connection c, Deadline d) override {
    return stepper_.around("cold tail", inner_.tail(std::move(c), d));
  }
  Task<Result<std::optional<PushToken>>> newest_push_token(Connection c, Deadline d) override {
    return stepper_.around("cold token", inner_.newest_push_token(std::move(c), d));
  }
  Task<Result<RemoveOutcome>> remove(Connection c, std::vector<MessageId> ids,
                                     Deadline d) override {
    return stepper_.around("cold remove", inner_.remove(std::move(c), std::move(ids), d));
  }
  Task<Result<RemoveOutcome>> remove_all(Connection c, std::optional<RecipientDid> did,
                                         Deadline d) override {
    return stepper_.around("cold remove_all", inner_.remove_all(std::move(c), std::move(did), d));
  }
  Result<void> ready() const override { return inner_.ready(); }
  StoreTotals totals() const override { return inner_.totals(); }

  Task<Result<std::vector<StoredMessage>>> take_cold(TakeQuery q, ColdPart part,
                                                     Deadline d) override {
    return stepper_.around("cold take", inner_.take_cold(std::move(q), std::move(part), d));
  }
  Task<Result<std::uint64_t>> count_cold(QueueQuery q, ColdPart part, Deadline d) override {
    return stepper_.around("cold count", inner_.count_cold(std::move(q), std::move(part), d));
  }
  Task<Result<QueueStatus>> status_cold(QueueQuery q, ColdPart part, Deadline d) override {
    return stepper_.around("cold status", inner_.status_cold(std::move(q), std::move(part), d));
  }
  Task<Result<std::optional<PushToken>>> newest_push_token_cold(Connection c, ColdPart part,
                                                                std::size_t most,
                                                                Deadline d) override {
    return stepper_.around("cold token",
                           inner_.newest_push_token_cold(std::move(c), std::move(part), most, d));
  }
  Task<Result<std::vector<CopyResult>>> copy(std::vector<TierMessage> messages,
                                             Deadline d) override {
    return stepper_.around("copy", inner_.copy(std::move(messages), d));
  }
  Task<Result<RemoveOutcome>> claim_and_remove(Connection c, std::vector<MessageId> ids,
                                               Deadline d) override {
    return stepper_.around("cold remove", inner_.claim_and_remove(std::move(c), std::move(ids), d));
  }
  Task<Result<std::uint64_t>> remove_expired(std::size_t most, Deadline d) override {
    return stepper_.around("sweep", inner_.remove_expired(most, d));
  }

 private:
  ColdStore& inner_;
  Stepper& stepper_;
};

}  // namespace mpr::test
