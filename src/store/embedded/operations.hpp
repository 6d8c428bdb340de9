// What callers ask of the writer. An operation lives in the frame of the waiting coroutine; the
// writer first stages it in a commit group, and when the disk has the group, applies it to the
// index and answers. Until it is answered the writer alone touches it.
#pragma once

#include <optional>
#include <type_traits>
#include <vector>

#include "base/task.hpp"
#include "core/ports.hpp"
#include "store/embedded/commit_group.hpp"

namespace mpr {

enum class Staged {
  in_group,    // answered when the group is on disk
  in_part,     // a part is in the group; the rest wants the next one
  refused,     // answered with an error already, nothing of it is in the group
  later,       // wants the next group: it depends on what this one adds
  needs_room,  // does not fit into what is left of the segment
};

class Operation {
 public:
  Operation(Deadline d, const Hash128& key, std::size_t size)
      : deadline(d), queue_key(key), bytes(size) {}
  virtual ~Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  virtual Staged stage(CommitGroup& group) = 0;
  // The group is on disk: changes the index and, unless a part is missing, answers.
  virtual void apply(CommitGroup& group) = 0;
  virtual void refuse(const Error& error, Resumptions& answers) = 0;

  const Deadline deadline;
  const Hash128 queue_key;
  const std::size_t bytes;  // about what it occupies while it waits
};

template <class T>
class AnsweredOperation : public Operation {
 public:
  using Operation::Operation;
  void answer_to(Completion<Result<T>>& completion) { completion_ = &completion; }
  void refuse(const Error& error, Resumptions& answers) override {
    completion_->set(std::unexpected(error), answers);
  }

 protected:
  Staged refuse_now(Errc code, std::string context, CommitGroup& group) {
    refuse(Error{code, std::move(context)}, group.answers);
    return Staged::refused;
  }
  void answer(T value, CommitGroup& group) { completion_->set(std::move(value), group.answers); }

 private:
  Completion<Result<T>>* completion_ = nullptr;
};

class AddOperation final : public AnsweredOperation<AddOutcome> {
 public:
  AddOperation(NewMessage message, const KeyedHash& hash, const Hash128& queue_key, Deadline d);
  Staged stage(CommitGroup& group) override;
  void apply(CommitGroup& group) override;
  const AddOutcome& outcome() const { return outcome_; }

 private:
  bool find_duplicate(CommitGroup& group);
  std::optional<Error> over_quota(CommitGroup& group) const;
  void become_duplicate(TimePoint received_at, std::uint64_t position);

  NewMessage message_;
  const std::size_t record_bytes_;
  const Hash128 id_key_;
  std::vector<Hash128> lane_keys_;
  AddOutcome outcome_;
  std::uint32_t offset_ = 0;
};

// A removal, which goes over several groups when one has no room for all of it.
class RemovalOperation : public AnsweredOperation<RemoveOutcome> {
 public:
  using AnsweredOperation::AnsweredOperation;
  Staged stage(CommitGroup& group) final;
  void apply(CommitGroup& group) final;

 protected:
  // What is still there of what is to go, each entry once.
  virtual std::vector<IndexEntry*> found_in(CommitGroup& group) = 0;

 private:
  std::vector<IndexEntry*> staged_;
  bool complete_ = false;
  RemoveOutcome outcome_;
};

class RemoveOperation final : public RemovalOperation {
 public:
  RemoveOperation(const std::vector<MessageId>& ids, const KeyedHash& hash,
                  const Hash128& queue_key, Deadline d);

 private:
  std::vector<IndexEntry*> found_in(CommitGroup& group) override;

  std::vector<Hash128> id_keys_;
};

class RemoveAllOperation final : public RemovalOperation {
 public:
  RemoveAllOperation(const QueueIndex::Scope& scope, Deadline d)
      : RemovalOperation(d, scope.queue, sizeof *this), scope_(scope) {}

 private:
  std::vector<IndexEntry*> found_in(CommitGroup& group) override;

  const QueueIndex::Scope scope_;
};

// A take that removes what it returns. It reads the messages from the log while it is staged: what
// cannot be read is not removed.
class TakeOperation final : public AnsweredOperation<std::vector<StoredMessage>> {
 public:
  TakeOperation(TakeQuery query, const QueueIndex::Scope& scope, Deadline d)
      : AnsweredOperation(d, scope.queue, sizeof *this), query_(std::move(query)), scope_(scope) {}
  Staged stage(CommitGroup& group) override;
  void apply(CommitGroup& group) override;

 private:
  const TakeQuery query_;
  const QueueIndex::Scope scope_;
  std::vector<IndexEntry*> staged_;
  std::vector<StoredMessage> taken_;
};

// Reads the index after everything that was asked for before it, and before what is asked for
// later.
template <class Read>
class ReadOperation final : public AnsweredOperation<std::invoke_result_t<Read>> {
 public:
  ReadOperation(Read read, const Hash128& queue_key, Deadline d)
      : AnsweredOperation<std::invoke_result_t<Read>>(d, queue_key, sizeof *this),
        read_(std::move(read)) {}
  Staged stage(CommitGroup&) override { return Staged::in_group; }
  void apply(CommitGroup& group) override { this->answer(read_(), group); }

 private:
  Read read_;
};

// Asks for the newest position given to an add that was asked for before it.
class TailOperation final : public AnsweredOperation<Position> {
 public:
  TailOperation(const Hash128& queue_key, Deadline d)
      : AnsweredOperation(d, queue_key, sizeof *this) {}
  Staged stage(CommitGroup& group) override {
    tail_ = Position{group.store().next_position - 1};
    return Staged::in_group;
  }
  void apply(CommitGroup& group) override { answer(tail_, group); }

 private:
  Position tail_;
};

}  // namespace mpr
