// Lets a test name messages whose ids the store chooses: what is added with an id of
// IdOrigin::server is known to the test by that id, whatever the store calls it. Callers' ids pass
// through unchanged, and so does everything else.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/ports.hpp"

namespace mpr::test {

// The names of one home's messages; outlives its stores. Thread-safe.
class MessageNames {
 public:
  void learn(const Connection& connection, const MessageId& name, const MessageId& id) {
    std::lock_guard lock(mutex_);
    ids_[{connection, name}] = id;
    names_[{connection, id}] = name;
  }
  void learn_callers(const Connection& connection, const MessageId& id) {
    learn(connection, id, id);
  }
  MessageId id_of(const Connection& connection, const MessageId& name) const {
    std::lock_guard lock(mutex_);
    const auto found = ids_.find({connection, name});
    return found == ids_.end() ? name : found->second;
  }
  // A message can be read before its add is answered: waits for the answer on another thread.
  MessageId name_of(const Connection& connection, const MessageId& id) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    do {
      if (auto name = find_name(connection, id)) return *name;
      std::this_thread::yield();
    } while (std::chrono::steady_clock::now() < end);
    return id;
  }

 private:
  std::optional<MessageId> find_name(const Connection& connection, const MessageId& id) const {
    std::lock_guard lock(mutex_);
    const auto found = names_.find({connection, id});
    if (found == names_.end()) return std::nullopt;
    return found->second;
  }

  mutable std::mutex mutex_;
  std::map<std::pair<Connection, MessageId>, MessageId> ids_;    // guarded by mutex_
  std::map<std::pair<Connection, MessageId>, MessageId> names_;  // guarded by mutex_
};

class NamedStore final : public MessageStore {
 public:
  NamedStore(std::unique_ptr<MessageStore> store, std::shared_ptr<MessageNames> names)
      : store_(std::move(store)), names_(std::move(names)) {}

  Task<Result<AddOutcome>> add(NewMessage message, Deadline deadline) override {
    const Connection connection = message.connection;
    const MessageId name = message.id;
    if (message.id_origin == IdOrigin::caller) names_->learn_callers(connection, name);
    const bool named = message.id_origin == IdOrigin::server;
    auto outcome = co_await store_->add(std::move(message), deadline);
    if (outcome && named) {
      names_->learn(connection, name, outcome->id);
      outcome->id = name;
    }
    co_return outcome;
  }
  Task<Result<std::vector<StoredMessage>>> take(TakeQuery query, Deadline deadline) override {
    const Connection connection = query.queue.connection;
    query.queue = with_ids(std::move(query.queue));
    auto taken = co_await store_->take(std::move(query), deadline);
    if (!taken) co_return taken;
    for (StoredMessage& message : *taken) message.id = names_->name_of(connection, message.id);
    co_return taken;
  }
  Task<Result<RemoveOutcome>> remove(Connection connection, std::vector<MessageId> ids,
                                     Deadline deadline) override {
    for (MessageId& id : ids) id = names_->id_of(connection, id);
    return store_->remove(std::move(connection), std::move(ids), deadline);
  }

  Task<Result<std::uint64_t>> count(QueueQuery query, Deadline deadline) override {
    return store_->count(with_ids(std::move(query)), deadline);
  }
  Task<Result<QueueStatus>> status(QueueQuery query, Deadline deadline) override {
    return store_->status(with_ids(std::move(query)), deadline);
  }
  Task<Result<Position>> tail(Connection connection, Deadline deadline) override {
    return store_->tail(std::move(connection), deadline);
  }
  Task<Result<std::optional<PushToken>>> newest_push_token(Connection connection,
                                                           Deadline deadline) override {
    return store_->newest_push_token(std::move(connection), deadline);
  }
  Task<Result<RemoveOutcome>> remove_all(Connection connection,
                                         std::optional<RecipientDid> recipient_did,
                                         Deadline deadline) override {
    return store_->remove_all(std::move(connection), std::move(recipient_did), deadline);
  }
  Result<void> ready() const override { return store_->ready(); }
  StoreTotals totals() const override { return store_->totals(); }

 private:
  QueueQuery with_ids(QueueQuery query) const {
    for (MessageRef& left_out : query.exclude) {
      left_out.id = names_->id_of(query.connection, left_out.id);
    }
    return query;
  }

  const std::unique_ptr<MessageStore> store_;
  const std::shared_ptr<MessageNames> names_;
};

}  // namespace mpr::test
