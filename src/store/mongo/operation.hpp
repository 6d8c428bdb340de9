// What callers ask of the database's threads. An operation owns what it needs and is shared between
// the queue of a worker and the watchdog: whoever comes first answers, the other one's answer goes
// nowhere. The caller's frame may be gone as soon as it is answered.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/task.hpp"
#include "core/tiers.hpp"

namespace mpr::mongo {

class MessageQueues;

class Operation {
 public:
  // Operations of one kind that wait together are done together.
  enum class Kind { add, remove, copy, other };

  Operation(Kind k, Connection c, Deadline d, std::size_t size)
      : kind(k), connection(std::move(c)), deadline(d), bytes(size) {}
  virtual ~Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  // Does it and answers; only for Kind::other.
  virtual void run(MessageQueues&, Resumptions&) {}
  // Answers with an error, unless it is answered already.
  virtual void refuse(const Error& error, Resumptions& resumptions) = 0;
  // The same for one whose deadline has passed; says whether it may have taken effect.
  virtual void expire(Resumptions& resumptions) = 0;
  // Nobody waits any more: it must not take effect from here on.
  bool answered() const { return answered_.load(); }
  // From here on it may take effect. Then answered() has to be asked once more: it was too late if
  // the deadline passed just before.
  void start() { started_.store(true); }

  const Kind kind;
  const Connection connection;  // whose order it keeps; unused by copies
  const Deadline deadline;
  const std::size_t bytes;  // about what it occupies while it waits

 protected:
  bool claim_answer() { return !answered_.exchange(true); }
  bool started() const { return started_.load(); }

 private:
  std::atomic<bool> answered_ = false;
  std::atomic<bool> started_ = false;
};

template <class T>
class AnsweredOperation : public Operation {
 public:
  using Outcome = T;
  using Operation::Operation;

  void answer_to(Completion<Result<T>>& completion) { completion_ = &completion; }

  // Whether the caller gets it: false if the watchdog was first.
  bool answer(Result<T> result, Resumptions& resumptions) {
    if (!claim_answer()) return false;
    completion_->set(std::move(result), resumptions);
    return true;
  }
  void refuse(const Error& error, Resumptions& resumptions) override {
    answer(std::unexpected(error), resumptions);
  }
  void expire(Resumptions& resumptions) override {
    if (!claim_answer()) return;
    Error late{Errc::deadline_exceeded, "MongoDB has not answered in time"};
    if (started()) late.effect = Error::Effect::unknown;
    completion_->set(std::unexpected(std::move(late)), resumptions);
  }

 private:
  Completion<Result<T>>* completion_ = nullptr;
};

class AddOperation final : public AnsweredOperation<AddOutcome> {
 public:
  AddOperation(NewMessage m, Deadline d)
      : AnsweredOperation(Kind::add, m.connection, d, m.size() + sizeof(AddOperation)),
        message(std::move(m)) {}

  const NewMessage message;
  // The worker's: the position at which it may already stand, after an insert with an open end.
  Position tried;
};

class RemoveOperation final : public AnsweredOperation<RemoveOutcome> {
 public:
  RemoveOperation(Connection c, std::vector<MessageId> i, Deadline d)
      : AnsweredOperation(Kind::remove, std::move(c), d, sizeof(RemoveOperation) + 64 * i.size()),
        ids(std::move(i)) {}

  const std::vector<MessageId> ids;
};

class CopyOperation final : public AnsweredOperation<std::vector<CopyResult>> {
 public:
  CopyOperation(std::vector<TierMessage> m, Deadline d)
      : AnsweredOperation(Kind::copy, {}, d, size_of(m)), messages(std::move(m)) {}

  const std::vector<TierMessage> messages;

 private:
  static std::size_t size_of(const std::vector<TierMessage>& messages) {
    std::size_t bytes = sizeof(CopyOperation);
    for (const TierMessage& m : messages) bytes += m.message.size() + sizeof m;
    return bytes;
  }
};

// Anything else: done alone.
template <class T>
class CallOperation final : public AnsweredOperation<T> {
 public:
  using Call = std::function<Result<T>(MessageQueues&, const Operation&)>;
  // Hears whether the caller got the answer.
  using Settle = std::function<void(MessageQueues&, bool)>;

  CallOperation(Connection c, Deadline d, Call call, Settle settle = {})
      : AnsweredOperation<T>(Operation::Kind::other, std::move(c), d, sizeof(CallOperation)),
        call_(std::move(call)),
        settle_(std::move(settle)) {}

  void run(MessageQueues& queues, Resumptions& resumptions) override {
    const bool delivered = this->answer(call_(queues, *this), resumptions);
    resumptions.flush();
    if (settle_) settle_(queues, delivered);
  }

 private:
  const Call call_;
  const Settle settle_;
};

}  // namespace mpr::mongo
