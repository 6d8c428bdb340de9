// One gateway's service with fakes around it. Beds that share a Backend are gateways of a cluster.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/run_loop.hpp"
#include "pickup/pickup_service.hpp"
#include "store/memory/memory_store.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/recording_sink.hpp"
#include "tests/unit/pickup/intercepted_ports.hpp"

namespace mpr::test {

class CountingIds final : public IdSource {
 public:
  MessageId next_message_id() override {
    return MessageId("message-" + std::to_string(next_.fetch_add(1) + 1));
  }

 private:
  std::atomic<std::uint64_t> next_ = 0;
};

class RecordingPush final : public PushSender {
 public:
  void enqueue(PushRequest request) override {
    std::lock_guard lock(mutex_);
    requests_.push_back(std::move(request));
  }
  std::vector<PushReason> reasons() const {
    std::lock_guard lock(mutex_);
    std::vector<PushReason> reasons;
    for (const PushRequest& r : requests_) reasons.push_back(r.reason);
    return reasons;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<PushRequest> requests_;
};

struct Backend {
  FakeClock clock;
  CountingIds ids;
  Metrics metrics;
  MemoryStore store{{}, clock, metrics};
  std::shared_ptr<MemoryHub> hub = make_memory_hub();
};

struct GatewayBed {
  explicit GatewayBed(Backend& b, const char* name = "gateway-1",
                      MessageStore* other_store = nullptr, PickupService::Options options = {})
      : backend(b),
        directory(b.hub, GatewayId(name)),
        service({other_store ? *other_store : b.store, directory, push, b.clock, b.ids, sink,
                 b.metrics},
                options) {
    directory.listen(service);
  }

  Backend& backend;
  RunLoop loop;
  RecordingSink sink;
  RecordingPush push;
  InterceptedDirectory directory;
  PickupService service;
  const Deadline deadline = Deadline::never();

  static Caller caller(std::uint64_t socket, const char* tenant = "") {
    return {SocketId{socket}, TenantId(tenant)};
  }
  static AddRequest message(const char* connection, const std::string& payload) {
    AddRequest request;
    request.connection_id = ConnectionId(connection);
    request.recipient_dids = {RecipientDid("did:key:z1")};
    request.payload = make_payload(payload);
    return request;
  }

  Result<AddReceipt> add(const char* connection, const std::string& payload,
                         std::optional<PushToken> token = std::nullopt, std::uint64_t socket = 99) {
    AddRequest request = message(connection, payload);
    request.push_token = std::move(token);
    return loop.run(service.add_message(caller(socket), std::move(request), deadline));
  }
  void open(const char* connection, std::uint64_t socket, const char* session = "session-1") {
    const auto opened = loop.run(service.open_session(
        caller(socket), {ConnectionId(connection), SessionId(session)}, deadline));
    if (!opened) throw std::runtime_error(opened.error().context);
  }
  // False: the session has moved on.
  bool resume(const char* connection, std::uint64_t socket, const char* session = "session-1") {
    return loop
        .run(service.open_session(caller(socket),
                                  {ConnectionId(connection), SessionId(session), OpenMode::resume},
                                  deadline))
        .value();
  }
  bool close(const char* connection, std::uint64_t socket,
             std::optional<SessionId> session = std::nullopt) {
    return *loop.run(service.close_session(
        caller(socket), {ConnectionId(connection), std::move(session)}, deadline));
  }
  bool live(const char* connection) {
    return *loop.run(service.has_session(caller(99), ConnectionId(connection), deadline));
  }
  std::uint64_t count(const char* connection, std::uint64_t socket = 99) {
    return *loop.run(
        service.count(caller(socket), {ConnectionId(connection), std::nullopt}, deadline));
  }
  std::vector<StoredMessage> take_messages(const char* connection, std::uint64_t socket = 99,
                                           std::uint64_t limit = 0,
                                           TakeMode mode = TakeMode::keep) {
    TakeRequest request;
    request.connection_id = ConnectionId(connection);
    request.limit = limit;
    request.mode = mode;
    return *loop.run(service.take(caller(socket), std::move(request), deadline));
  }
  std::vector<std::string> take(const char* connection, std::uint64_t socket = 99,
                                std::uint64_t limit = 0, TakeMode mode = TakeMode::keep) {
    std::vector<std::string> payloads;
    for (const auto& m : take_messages(connection, socket, limit, mode)) {
      payloads.push_back(*m.payload);
    }
    return payloads;
  }
  AcknowledgeReceipt acknowledge(const char* connection, std::vector<MessageId> ids,
                                 std::uint64_t socket = 99) {
    return *loop.run(
        service.acknowledge(caller(socket), {ConnectionId(connection), std::move(ids)}, deadline));
  }
  void close_socket(std::uint64_t socket) {
    sink.close({socket});
    service.socket_closed({socket});
  }
  // A socket subscribes to messagesReceived, as a client does after it connects.
  void subscribe(std::uint64_t socket) {
    sink.subscribe({socket});
    Executor::Scope scope(loop);
    service.socket_subscribed({socket}, TenantId());
  }
  void drain_socket(std::uint64_t socket) {
    sink.drain({socket});
    Executor::Scope scope(loop);
    service.socket_drained({socket});
  }
  void pass(std::chrono::milliseconds time) {
    backend.clock.advance(time);
    Executor::Scope scope(loop);
    service.tick();
  }
};

inline const PushToken kToken{PushProvider::fcm, "secret-token", ""};

}  // namespace mpr::test
