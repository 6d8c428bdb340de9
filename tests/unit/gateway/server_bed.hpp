// A gateway on a free port of the loopback interface, with everything behind it in memory.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "gateway/methods.hpp"
#include "gateway/server.hpp"
#include "pickup/pickup_service.hpp"
#include "tests/unit/gateway/test_socket.hpp"
#include "tests/unit/pickup/gateway_bed.hpp"

namespace mpr::test {

// A store whose adds can be held back, as a slow disk would, or fail with an exception.
class HeldStore final : public MessageStore {
 public:
  explicit HeldStore(MessageStore& inner) : inner_(inner) {}

  void hold() {
    std::lock_guard lock(mutex_);
    holding_ = true;
  }
  void release() {
    std::vector<Completion<int>*> held;
    {
      std::lock_guard lock(mutex_);
      holding_ = false;
      held.swap(held_);
    }
    for (Completion<int>* one : held) one->complete(0);
  }
  // Waits until that many adds are held.
  void wait_for_held(std::size_t count) {
    std::unique_lock lock(mutex_);
    if (!arrived_.wait_for(lock, std::chrono::seconds(20), [&] { return held_.size() >= count; })) {
      throw std::runtime_error("the adds did not come");
    }
  }
  void throw_next() { throw_next_ = true; }
  void give_up_next() { give_up_next_ = true; }

  Task<Result<AddOutcome>> add(NewMessage message, Deadline deadline) override {
    if (throw_next_.exchange(false)) throw std::runtime_error("a bug in the store");
    if (give_up_next_.exchange(false)) co_return fail(Errc::deadline_exceeded, "too slow");
    bool held = false;
    {
      std::lock_guard lock(mutex_);
      held = holding_;
    }
    if (held) {
      co_await answer_of<int>([this](Completion<int>& completion) {
        std::lock_guard lock(mutex_);
        held_.push_back(&completion);
        arrived_.notify_all();
      });
    }
    co_return co_await inner_.add(std::move(message), deadline);
  }
  Task<Result<std::vector<StoredMessage>>> take(TakeQuery query, Deadline deadline) override {
    return inner_.take(std::move(query), deadline);
  }
  Task<Result<std::uint64_t>> count(QueueQuery query, Deadline deadline) override {
    return inner_.count(std::move(query), deadline);
  }
  Task<Result<QueueStatus>> status(QueueQuery query, Deadline deadline) override {
    return inner_.status(std::move(query), deadline);
  }
  Task<Result<Position>> tail(Connection connection, Deadline deadline) override {
    return inner_.tail(std::move(connection), deadline);
  }
  Task<Result<std::optional<PushToken>>> newest_push_token(Connection connection,
                                                           Deadline deadline) override {
    return inner_.newest_push_token(std::move(connection), deadline);
  }
  Task<Result<RemoveOutcome>> remove(Connection connection, std::vector<MessageId> ids,
                                     Deadline deadline) override {
    return inner_.remove(std::move(connection), std::move(ids), deadline);
  }
  Task<Result<RemoveOutcome>> remove_all(Connection connection,
                                         std::optional<RecipientDid> recipient_did,
                                         Deadline deadline) override {
    return inner_.remove_all(std::move(connection), std::move(recipient_did), deadline);
  }
  Result<void> ready() const override { return {}; }
  StoreTotals totals() const override { return inner_.totals(); }

 private:
  MessageStore& inner_;
  std::atomic<bool> throw_next_ = false;
  std::atomic<bool> give_up_next_ = false;
  std::mutex mutex_;
  std::condition_variable arrived_;
  bool holding_ = false;                // guarded by mutex_
  std::vector<Completion<int>*> held_;  // guarded by mutex_
};

struct ServerBed {
  explicit ServerBed(Server::Options options = {}, PickupService::Options pickup = {})
      : server(local(std::move(options)), backend.metrics),
        service({store, directory, push, backend.clock, backend.ids, server, backend.metrics},
                pickup) {
    directory.listen(service);
    server.bind_service(service, methods);
    port = server.start().value();
  }
  ~ServerBed() {
    store.release();
    server.drain();
    server.join();
  }

  static Server::Options local(Server::Options options) {
    options.bind = "127.0.0.1";
    options.port = 0;
    if (options.io_threads == 0) options.io_threads = 2;
    return options;
  }

  Metrics& metrics() { return backend.metrics; }

  Backend backend;
  RecordingPush push;
  Server server;
  HeldStore store{backend.store};
  MemoryDirectory directory{backend.hub, GatewayId("gateway-1")};
  PickupService service;
  Methods methods{service};
  std::uint16_t port = 0;
};

inline std::string add_params(std::string_view connection, std::string_view payload) {
  return R"({"connectionId":")" + std::string(connection) +
         R"(","recipientDids":["did:key:z1"],"payload":)" + std::string(payload) + "}";
}

inline std::string session_params(std::string_view connection) {
  return R"({"connectionId":")" + std::string(connection) + R"(","sessionId":"session-1"})";
}

inline std::string result(std::string_view json, std::string_view id) {
  return R"({"jsonrpc":"2.0","result":)" + std::string(json) + R"(,"id":)" + std::string(id) + "}";
}

}  // namespace mpr::test
