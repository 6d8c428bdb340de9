// A tiered store over tiers in RAM, with an archiver, for the tests in this folder.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/run_loop.hpp"
#include "pickup/archiver.hpp"
#include "pickup/tiered_store.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/memory_tiers.hpp"
#include "tests/support/stepped_tiers.hpp"

namespace mpr::test {

using Ids = std::vector<std::string>;

inline Connection phone(std::string_view id = "phone") { return {TenantId(), ConnectionId(id)}; }

inline NewMessage message_to(std::string_view to, std::string_view id, std::size_t size = 100) {
  NewMessage message;
  message.connection = phone(to);
  message.id = MessageId(id);
  message.payload = make_payload(std::string(size, 'x'));
  message.received_at = FakeClock::kStart;
  return message;
}

inline QueueQuery queue_of(std::string_view id = "phone") { return {phone(id), std::nullopt, {}}; }

inline TakeQuery taking(std::uint64_t limit = 0, std::string_view id = "phone") {
  TakeQuery query;
  query.queue = queue_of(id);
  query.limit = limit;
  return query;
}

inline std::vector<MessageId> message_ids(const Ids& ids) {
  std::vector<MessageId> list;
  for (const auto& id : ids) list.emplace_back(id);
  return list;
}

inline Ids names(const std::vector<StoredMessage>& messages) {
  Ids ids;
  for (const auto& m : messages) ids.push_back(m.id.value);
  return ids;
}

class TierBed : public testing::Test {
 protected:
  static constexpr Deadline kNever{};

  Archiver::Options options() const {
    Archiver::Options options;
    options.threshold = std::chrono::seconds(60);
    return options;
  }
  Archiver::PassReport archive() {
    Archiver archiver({hot_, &cold_, clock_, metrics_}, options());
    return loop_.run(archiver.pass(kNever));
  }
  // Adds, and lets the threshold pass.
  void add_old(const Ids& ids, std::string_view to = "phone") {
    for (const auto& id : ids) add(message_to(to, id));
    clock_.advance(std::chrono::seconds(61));
  }
  AddOutcome add(NewMessage message) {
    return loop_.run(store_.add(std::move(message), kNever)).value();
  }
  Ids take(TakeQuery query = taking()) {
    return names(loop_.run(store_.take(std::move(query), kNever)).value());
  }
  std::uint64_t count(std::string_view id = "phone") {
    return loop_.run(store_.count(queue_of(id), kNever)).value();
  }
  RemoveOutcome remove(const Ids& ids, std::string_view from = "phone") {
    return loop_.run(store_.remove(phone(from), message_ids(ids), kNever)).value();
  }
  Ids in_hot(std::string_view id = "phone") {
    return names(loop_.run(hot_.take(taking(0, id), kNever)).value());
  }
  Ids in_cold(std::string_view id = "phone") {
    return names(loop_.run(cold_.take(taking(0, id), kNever)).value());
  }

  FakeClock clock_;
  Metrics metrics_;
  RunLoop loop_;
  ExpiryLedger expired_{metrics_};
  MemoryHotStore hot_{{}, clock_, expired_};
  MemoryColdStore cold_{clock_, expired_};
  TieredStore store_{hot_, cold_};
};

}  // namespace mpr::test
