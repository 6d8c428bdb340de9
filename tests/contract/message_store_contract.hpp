// What every MessageStore promises, as tests. An adapter joins with one factory:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, MessageStoreContract, testing::Values(memory_stores()));
//
// and DurableStoreContract as well if its messages survive the store object.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.hpp"
#include "base/run_loop.hpp"
#include "core/ports.hpp"
#include "tests/support/fake_clock.hpp"

namespace mpr::test {

struct StoreSettings {
  std::uint64_t max_queue_messages = 1'000'000;
  std::uint64_t max_queue_bytes = 1ULL << 30;
  std::uint64_t max_store_bytes = 0;
  std::chrono::milliseconds idempotency_window{std::chrono::minutes(10)};
  std::size_t remembered_ids = 100'000;
};

// Where a store keeps its messages while no store object is open: a directory, a server, nothing.
class StoreHome {
 public:
  virtual ~StoreHome() = default;
  virtual std::unique_ptr<MessageStore> open(const StoreSettings& settings, Clock& clock,
                                             Metrics& metrics) = 0;
};

struct StoreFactory {
  std::string name;
  std::function<std::unique_ptr<StoreHome>()> make_home;
  std::size_t largest_payload = 3'000'000;  // bytes that the store has to take
  // Whether the store knows what it holds in all. One that several gateways share does not: it
  // neither keeps max_store_bytes and remembered_ids, nor are its totals and gauges exact.
  enum class Bounds { whole_store, queues_only };
  Bounds bounds = Bounds::whole_store;
  // Whether a caller's id may stay known when its message has expired, and beyond the window: ids
  // of archived messages do.
  bool ids_may_stay_known = false;

  bool knows_totals() const { return bounds == Bounds::whole_store; }
};

inline std::ostream& operator<<(std::ostream& out, const StoreFactory& f) { return out << f.name; }

inline Connection connection(std::string_view id, std::string_view tenant = "") {
  return {TenantId(tenant), ConnectionId(id)};
}

// A message to `to`, with a payload of exactly `size` bytes.
struct MessageBuilder {
  NewMessage message;

  MessageBuilder(std::string_view to, std::string_view id, std::size_t size = 100) {
    message.connection = connection(to);
    message.id = MessageId(id);
    std::string json = "{\"p\":\"" + std::string(id);
    json.resize(size > 2 ? size - 2 : 0, 'x');
    message.payload = make_payload(json + "\"}");
    message.received_at = FakeClock::kStart;
  }
  MessageBuilder& tenant(std::string_view t) { return message.connection.tenant.value = t, *this; }
  MessageBuilder& dids(std::initializer_list<std::string_view> list) {
    for (const auto did : list) message.recipient_dids.emplace_back(did);
    return *this;
  }
  MessageBuilder& chosen_by_caller() { return message.id_origin = IdOrigin::caller, *this; }
  MessageBuilder& received(std::chrono::milliseconds after_start) {
    return message.received_at = FakeClock::kStart + after_start, *this;
  }
  MessageBuilder& expires(std::chrono::milliseconds after_start) {
    return message.expires_at = FakeClock::kStart + after_start, *this;
  }
  MessageBuilder& token(std::string_view t) {
    return message.push_token = PushToken{PushProvider::fcm, std::string(t), "project"}, *this;
  }
};

inline QueueQuery all_of(std::string_view connection_id) {
  return {connection(connection_id), std::nullopt, {}};
}

inline TakeQuery take_query(std::string_view connection_id, std::uint64_t limit = 0) {
  TakeQuery query;
  query.queue = all_of(connection_id);
  query.limit = limit;
  return query;
}

inline std::vector<std::string> ids_of(const std::vector<StoredMessage>& messages) {
  std::vector<std::string> ids;
  for (const auto& m : messages) ids.push_back(m.id.value);
  return ids;
}

using Ids = std::vector<std::string>;

class MessageStoreContract : public testing::TestWithParam<StoreFactory> {
 protected:
  MessageStoreContract() : home_(GetParam().make_home()) { open({}); }

  // Replaces the store by one with other settings, over the same home.
  void open(const StoreSettings& settings) {
    settings_ = settings;
    store_.reset();
    store_ = home_->open(settings, clock_, metrics_);
    ASSERT_NE(store_, nullptr);
  }
  void restart() { open(settings_); }

  // Each runs one operation on this thread and fails the test if it is answered with an error.
  AddOutcome add(const MessageBuilder& builder) { return expect(run_add(builder)); }
  std::vector<StoredMessage> take(TakeQuery query) {
    return expect(loop_.run(store_->take(std::move(query), Deadline::never())));
  }
  Ids take_ids(TakeQuery query) { return ids_of(take(std::move(query))); }
  std::uint64_t count(QueueQuery query) {
    return expect(loop_.run(store_->count(std::move(query), Deadline::never())));
  }
  std::uint64_t count(std::string_view connection_id) { return count(all_of(connection_id)); }
  QueueStatus status(QueueQuery query) {
    return expect(loop_.run(store_->status(std::move(query), Deadline::never())));
  }
  Position tail(std::string_view connection_id) {
    return expect(loop_.run(store_->tail(connection(connection_id), Deadline::never())));
  }
  std::optional<PushToken> newest_push_token(std::string_view connection_id) {
    return expect(
        loop_.run(store_->newest_push_token(connection(connection_id), Deadline::never())));
  }
  RemoveOutcome remove(std::string_view connection_id, const Ids& ids) {
    std::vector<MessageId> list;
    for (const auto& id : ids) list.emplace_back(id);
    return expect(
        loop_.run(store_->remove(connection(connection_id), std::move(list), Deadline::never())));
  }
  RemoveOutcome remove_all(std::string_view connection_id,
                           std::optional<std::string_view> did = std::nullopt) {
    std::optional<RecipientDid> recipient;
    if (did) recipient.emplace(*did);
    return expect(loop_.run(
        store_->remove_all(connection(connection_id), std::move(recipient), Deadline::never())));
  }

  Result<AddOutcome> run_add(const MessageBuilder& builder) {
    return loop_.run(store_->add(builder.message, Deadline::never()));
  }

  // store_model.cpp
  void agree_with_model(bool with_restarts);
  friend class ModelRun;

  template <class T>
  static T expect(Result<T> result) {
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().context);
    return result ? std::move(*result) : T{};
  }

  FakeClock clock_;
  Metrics metrics_;
  RunLoop loop_;
  StoreSettings settings_;
  std::unique_ptr<StoreHome> home_;
  std::unique_ptr<MessageStore> store_;
};

// For stores whose answered operations survive the end of the store object.
class DurableStoreContract : public MessageStoreContract {};

}  // namespace mpr::test
