#include "store/mongo/mongo_store.hpp"

#include <atomic>

#include "store/mongo/housekeeping.hpp"
#include "store/mongo/watchdog.hpp"
#include "store/mongo/worker.hpp"

namespace mpr {

namespace {

using mongo::AddOperation;
using mongo::CallOperation;
using mongo::CopyOperation;
using mongo::MessageQueues;
using mongo::Operation;
using mongo::RemoveOperation;

constexpr std::size_t kHousekeepers = 1;

}  // namespace

// In order of construction: who comes later uses what came before.
struct MongoStore::Parts {
  Parts(Options o, std::unique_ptr<mongo::Pool> p, Clock& clock, Metrics& metrics)
      : options(std::move(o)),
        pool(std::move(p)),
        state(options, *pool, clock, metrics),
        housekeeping(state) {
    for (std::size_t i = 0; i < options.workers; ++i) {
      workers.push_back(std::make_unique<mongo::Worker>(state));
    }
    for (std::size_t i = 0; i < options.copy_workers; ++i) {
      copy_workers.push_back(std::make_unique<mongo::Worker>(state));
    }
  }

  const Options options;
  const std::unique_ptr<mongo::Pool> pool;
  mongo::StoreState state;
  mongo::Housekeeping housekeeping;
  mongo::Watchdog watchdog;
  std::vector<std::unique_ptr<mongo::Worker>> workers;
  std::vector<std::unique_ptr<mongo::Worker>> copy_workers;
  std::atomic<std::size_t> next_copy_worker = 0;
};

MongoStore::MongoStore() = default;

MongoStore::~MongoStore() {
  if (parts_) parts_->state.close();
}

Result<std::unique_ptr<MongoStore>> MongoStore::open(Options options, Clock& clock,
                                                     Metrics& metrics) {
  options.workers = std::max<std::size_t>(1, options.workers);
  options.copy_workers = std::max<std::size_t>(1, options.copy_workers);
  auto pool = mongo::Pool::open(options.uri, options.database,
                                options.workers + options.copy_workers + kHousekeepers);
  if (!pool) return std::unexpected(pool.error());
  std::unique_ptr<MongoStore> store(new MongoStore());
  store->parts_ = std::make_unique<Parts>(std::move(options), std::move(*pool), clock, metrics);
  return store;
}

mongo::Worker& MongoStore::worker_of(const Connection& connection) {
  return *parts_->workers[hash_of(connection) % parts_->workers.size()];
}

mongo::Worker& MongoStore::copy_worker() {
  const std::size_t turn = parts_->next_copy_worker.fetch_add(1, std::memory_order_relaxed);
  return *parts_->copy_workers[turn % parts_->copy_workers.size()];
}

template <class Asked>
Task<Result<typename Asked::Outcome>> MongoStore::ask(std::shared_ptr<Asked> operation,
                                                      mongo::Worker& worker) {
  using Outcome = Result<typename Asked::Outcome>;
  if (operation->deadline.passed()) {
    co_return fail(Errc::deadline_exceeded, "the deadline passed before the store began");
  }
  const auto start = [&](Completion<Outcome>& completion) {
    // From here on the frame may end at any time: what is needed is held here.
    const std::shared_ptr<Asked> held = operation;
    mongo::Watchdog& watchdog = parts_->watchdog;
    held->answer_to(completion);
    if (const auto accepted = worker.submit(held); !accepted) {
      Resumptions resumptions;
      held->refuse(accepted.error(), resumptions);
      resumptions.flush();
      return;
    }
    watchdog.watch(held);
  };
  co_return co_await answer_of<Outcome>(start);
}

Task<Result<AddOutcome>> MongoStore::add(NewMessage message, Deadline deadline) {
  mongo::Worker& worker = worker_of(message.connection);
  return ask(std::make_shared<AddOperation>(std::move(message), deadline), worker);
}

Task<Result<RemoveOutcome>> MongoStore::remove(Connection connection, std::vector<MessageId> ids,
                                               Deadline deadline) {
  mongo::Worker& worker = worker_of(connection);
  return ask(std::make_shared<RemoveOperation>(std::move(connection), std::move(ids), deadline),
             worker);
}

Task<Result<std::vector<StoredMessage>>> MongoStore::take(TakeQuery query, Deadline deadline) {
  return take_cold(std::move(query), {}, deadline);
}

Task<Result<std::vector<StoredMessage>>> MongoStore::take_cold(TakeQuery query, ColdPart part,
                                                               Deadline deadline) {
  using Call = CallOperation<std::vector<StoredMessage>>;
  mongo::Worker& worker = worker_of(query.queue.connection);
  const Connection connection = query.queue.connection;
  // What a take removed, until somebody has got it.
  auto removed = std::make_shared<MessageQueues::Taken>();
  auto call = [query, part = std::move(part), removed](
                  MessageQueues& queues,
                  const Operation& operation) -> Result<std::vector<StoredMessage>> {
    auto taken = queues.take(query, part, operation);
    if (!taken) return std::unexpected(taken.error());
    removed->documents = std::move(taken->documents);
    return std::move(taken->messages);
  };
  Call::Settle settle;
  if (query.mode == TakeMode::remove) {
    settle = [removed](MessageQueues& queues, bool delivered) {
      if (!delivered && !removed->documents.empty()) queues.put_back(*removed);
    };
  }
  return ask(std::make_shared<Call>(connection, deadline, std::move(call), std::move(settle)),
             worker);
}

Task<Result<std::uint64_t>> MongoStore::count(QueueQuery query, Deadline deadline) {
  return count_cold(std::move(query), {}, deadline);
}

Task<Result<std::uint64_t>> MongoStore::count_cold(QueueQuery query, ColdPart part,
                                                   Deadline deadline) {
  mongo::Worker& worker = worker_of(query.connection);
  const Connection connection = query.connection;
  auto call = [query = std::move(query), part = std::move(part)](MessageQueues& queues,
                                                                 const Operation& operation) {
    return queues.count(query, part, operation.deadline);
  };
  return ask(std::make_shared<CallOperation<std::uint64_t>>(connection, deadline, std::move(call)),
             worker);
}

Task<Result<QueueStatus>> MongoStore::status(QueueQuery query, Deadline deadline) {
  return status_cold(std::move(query), {}, deadline);
}

Task<Result<QueueStatus>> MongoStore::status_cold(QueueQuery query, ColdPart part,
                                                  Deadline deadline) {
  mongo::Worker& worker = worker_of(query.connection);
  const Connection connection = query.connection;
  auto call = [query = std::move(query), part = std::move(part)](MessageQueues& queues,
                                                                 const Operation& operation) {
    return queues.status(query, part, operation.deadline);
  };
  return ask(std::make_shared<CallOperation<QueueStatus>>(connection, deadline, std::move(call)),
             worker);
}

Task<Result<Position>> MongoStore::tail(Connection connection, Deadline deadline) {
  mongo::Worker& worker = worker_of(connection);
  auto call = [](MessageQueues& queues, const Operation& operation) {
    return queues.tail(operation.connection, operation.deadline);
  };
  return ask(std::make_shared<CallOperation<Position>>(std::move(connection), deadline, call),
             worker);
}

Task<Result<std::optional<PushToken>>> MongoStore::newest_push_token(Connection connection,
                                                                     Deadline deadline) {
  constexpr std::size_t kLookAt = 16;
  return newest_push_token_cold(std::move(connection), {}, kLookAt, deadline);
}

Task<Result<std::optional<PushToken>>> MongoStore::newest_push_token_cold(Connection connection,
                                                                          ColdPart part,
                                                                          std::size_t most,
                                                                          Deadline deadline) {
  mongo::Worker& worker = worker_of(connection);
  auto call = [part = std::move(part), most](MessageQueues& queues, const Operation& operation) {
    return queues.newest_push_token(operation.connection, part, most, operation.deadline);
  };
  return ask(std::make_shared<CallOperation<std::optional<PushToken>>>(std::move(connection),
                                                                       deadline, std::move(call)),
             worker);
}

Task<Result<RemoveOutcome>> MongoStore::remove_all(Connection connection,
                                                   std::optional<RecipientDid> recipient_did,
                                                   Deadline deadline) {
  mongo::Worker& worker = worker_of(connection);
  auto call = [did = std::move(recipient_did)](MessageQueues& queues, const Operation& operation) {
    return queues.remove_all(operation.connection, did, operation.deadline);
  };
  return ask(std::make_shared<CallOperation<RemoveOutcome>>(std::move(connection), deadline,
                                                            std::move(call)),
             worker);
}

Task<Result<RemoveOutcome>> MongoStore::claim_and_remove(Connection connection,
                                                         std::vector<MessageId> ids,
                                                         Deadline deadline) {
  mongo::Worker& worker = worker_of(connection);
  auto call = [ids = std::move(ids)](MessageQueues& queues, const Operation& operation) {
    return queues.claim_and_remove(operation.connection, ids, operation.deadline);
  };
  return ask(std::make_shared<CallOperation<RemoveOutcome>>(std::move(connection), deadline,
                                                            std::move(call)),
             worker);
}

Task<Result<std::vector<CopyResult>>> MongoStore::copy(std::vector<TierMessage> messages,
                                                       Deadline deadline) {
  return ask(std::make_shared<CopyOperation>(std::move(messages), deadline), copy_worker());
}

Task<Result<std::uint64_t>> MongoStore::remove_expired(std::size_t most, Deadline deadline) {
  auto call = [most](MessageQueues& queues, const Operation& operation) {
    return queues.remove_expired(most, operation.deadline);
  };
  return ask(std::make_shared<CallOperation<std::uint64_t>>(Connection{}, deadline, call),
             copy_worker());
}

Result<void> MongoStore::ready() const { return parts_->state.ready(); }
StoreTotals MongoStore::totals() const { return parts_->state.totals(); }

}  // namespace mpr
