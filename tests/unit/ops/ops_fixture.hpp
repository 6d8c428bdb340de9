// A node as the ops pages see it, with a store and a directory that can be told to be in trouble.
#pragma once

#include <optional>
#include <string>

#include "core/ports.hpp"
#include "ops/pages.hpp"
#include "tests/support/fake_clock.hpp"

namespace mpr::test {

// Takes no messages; says about itself what the test wants.
class ToldStore final : public MessageStore {
 public:
  std::optional<Error> trouble;
  StoreTotals told_totals;

  Task<Result<AddOutcome>> add(NewMessage, Deadline) override { return refuse<AddOutcome>(); }
  Task<Result<std::vector<StoredMessage>>> take(TakeQuery, Deadline) override {
    return refuse<std::vector<StoredMessage>>();
  }
  Task<Result<std::uint64_t>> count(QueueQuery, Deadline) override {
    return refuse<std::uint64_t>();
  }
  Task<Result<QueueStatus>> status(QueueQuery, Deadline) override { return refuse<QueueStatus>(); }
  Task<Result<Position>> tail(Connection, Deadline) override { return refuse<Position>(); }
  Task<Result<std::optional<PushToken>>> newest_push_token(Connection, Deadline) override {
    return refuse<std::optional<PushToken>>();
  }
  Task<Result<RemoveOutcome>> remove(Connection, std::vector<MessageId>, Deadline) override {
    return refuse<RemoveOutcome>();
  }
  Task<Result<RemoveOutcome>> remove_all(Connection, std::optional<RecipientDid>,
                                         Deadline) override {
    return refuse<RemoveOutcome>();
  }
  Result<void> ready() const override {
    if (trouble) return std::unexpected(*trouble);
    return {};
  }
  StoreTotals totals() const override { return told_totals; }

 private:
  template <class T>
  static Task<Result<T>> refuse() {
    co_return fail(Errc::unavailable, "this store takes nothing");
  }
};

class ToldDirectory final : public LiveDirectory {
 public:
  std::optional<Error> trouble;

  Task<Result<Epoch>> open(Connection, SessionId, Position, Deadline) override {
    return refuse<Epoch>();
  }
  Task<Result<bool>> close(Connection, Epoch, Deadline) override { return refuse<bool>(); }
  Task<Result<std::optional<SessionPlace>>> find(Connection, Deadline) override {
    return refuse<std::optional<SessionPlace>>();
  }
  Task<Result<bool>> moved_on(Connection, SessionId, Deadline) override { return refuse<bool>(); }
  Task<Result<SessionPlace>> renew(Connection, SessionId, Epoch, Position, Deadline) override {
    return refuse<SessionPlace>();
  }
  Presence presence(const SessionPlace&) const override { return Presence::gone; }
  Task<Result<void>> announce(Connection, SessionPlace, Position, Deadline) override {
    return refuse<void>();
  }
  Task<Result<void>> broadcast(Connection, Epoch, StoredMessage, Deadline) override {
    return refuse<void>();
  }
  Task<Result<void>> listener_came(TenantId, Deadline) override { return refuse<void>(); }
  Task<Result<std::vector<RecoveredSession>>> recover() override {
    return refuse<std::vector<RecoveredSession>>();
  }
  void listen(LiveDirectoryListener&) override {}
  const GatewayId& self() const override { return self_; }
  Result<void> ready() const override {
    if (trouble) return std::unexpected(*trouble);
    return {};
  }

 private:
  template <class T>
  static Task<Result<T>> refuse() {
    co_return fail(Errc::unavailable, "this directory takes nothing");
  }
  GatewayId self_{"test"};
};

struct OpsFixture {
  FakeClock clock;
  Metrics metrics;
  ToldStore store;
  ToldDirectory directory;
  std::chrono::milliseconds silence{0};
  NodeFacts facts{.version = "1.2.3", .backend = "memory", .data_directory = "", .warnings = {}};

  Pages pages() {
    return Pages({store, directory, clock, metrics, [this] { return silence; }}, facts);
  }
};

}  // namespace mpr::test
