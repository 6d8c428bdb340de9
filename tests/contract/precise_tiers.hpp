// A tiered store as the contract suite asks it. The predecessor of an add, of which a tiered store
// looks for the one in the hot tier alone, it finds in both.
//
// Any thread; the store outlives it.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "pickup/tiered_store.hpp"

namespace mpr::test {

class PreciseTiers : public MessageStore {
 public:
  explicit PreciseTiers(TieredStore& store) : store_(store) {}

  Task<Result<AddOutcome>> add(NewMessage message, Deadline deadline) override {
    TakeQuery everything;
    everything.queue.connection = message.connection;
    auto added = co_await store_.add(std::move(message), deadline);
    if (added && !added->duplicate && added->previous == Position{}) {
      const auto pending = co_await store_.take(std::move(everything), deadline);
      for (const auto& earlier : pending.value()) {
        if (earlier.position < added->position) added->previous = earlier.position;
      }
    }
    co_return added;
  }
  Task<Result<std::vector<StoredMessage>>> take(TakeQuery query, Deadline deadline) override {
    return store_.take(std::move(query), deadline);
  }
  Task<Result<std::uint64_t>> count(QueueQuery query, Deadline deadline) override {
    return store_.count(std::move(query), deadline);
  }
  Task<Result<QueueStatus>> status(QueueQuery query, Deadline deadline) override {
    return store_.status(std::move(query), deadline);
  }
  Task<Result<Position>> tail(Connection connection, Deadline deadline) override {
    return store_.tail(std::move(connection), deadline);
  }
  Task<Result<std::optional<PushToken>>> newest_push_token(Connection connection,
                                                           Deadline deadline) override {
    return store_.newest_push_token(std::move(connection), deadline);
  }
  Task<Result<RemoveOutcome>> remove(Connection connection, std::vector<MessageId> ids,
                                     Deadline deadline) override {
    return store_.remove(std::move(connection), std::move(ids), deadline);
  }
  Task<Result<RemoveOutcome>> remove_all(Connection connection,
                                         std::optional<RecipientDid> recipient_did,
                                         Deadline deadline) override {
    return store_.remove_all(std::move(connection), std::move(recipient_did), deadline);
  }
  Result<void> ready() const override { return store_.ready(); }
  StoreTotals totals() const override { return store_.totals(); }

 private:
  TieredStore& store_;
};

}  // namespace mpr::test
