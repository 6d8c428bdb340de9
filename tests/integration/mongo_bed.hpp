// Opens MongoStores on a database of the test's own and runs their operations on this thread.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "base/run_loop.hpp"
#include "store/mongo/database.hpp"
#include "store/mongo/mongo_store.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/mongo_server.hpp"

namespace mpr::test {

class MongoBed : public testing::Test {
 protected:
  using Messages = std::vector<StoredMessage>;

  std::unique_ptr<MongoStore> open(const std::string& uri,
                                   PositionsFrom positions = PositionsFrom::store,
                                   MongoStore::Options options = {}) {
    options.uri = uri;
    options.positions = positions;
    options.workers = 2;
    options.copy_workers = 1;
    auto store = MongoStore::open(options, clock_, metrics_);
    EXPECT_TRUE(store.has_value()) << store.error().context;
    return store ? std::move(*store) : nullptr;
  }

  static Connection connection(std::string_view id = "c") { return {TenantId(), ConnectionId(id)}; }
  static Deadline soon() { return Deadline::after(std::chrono::seconds(2)); }
  static Deadline patient() { return Deadline::after(std::chrono::seconds(10)); }

  static NewMessage message(std::string_view id, std::string payload = R"({"ciphertext":"x"})",
                            std::string_view to = "c") {
    NewMessage m;
    m.connection = connection(to);
    m.id = MessageId(id);
    m.payload = make_payload(std::move(payload));
    m.received_at = FakeClock::kStart;
    return m;
  }
  static TierMessage tier_message(std::string_view id, std::uint64_t position,
                                  std::string payload = R"({"ciphertext":"x"})") {
    return {message(id, std::move(payload)), Position{position}};
  }

  Result<AddOutcome> add(MongoStore& store, NewMessage m, Deadline deadline = patient()) {
    return loop_.run(store.add(std::move(m), deadline));
  }
  Result<Messages> take(MongoStore& store, TakeMode mode = TakeMode::keep,
                        Deadline deadline = patient()) {
    TakeQuery query;
    query.queue.connection = connection();
    query.mode = mode;
    return loop_.run(store.take(query, deadline));
  }
  std::vector<std::string> ids(MongoStore& store) {
    const auto taken = take(store);
    EXPECT_TRUE(taken.has_value()) << taken.error().context;
    std::vector<std::string> out;
    if (taken) {
      for (const auto& m : *taken) out.push_back(m.id.value);
    }
    return out;
  }
  Result<std::uint64_t> count(MongoStore& store, Deadline deadline = patient()) {
    return loop_.run(store.count({connection(), std::nullopt, {}}, deadline));
  }
  Result<RemoveOutcome> remove(MongoStore& store, const std::vector<std::string>& ids,
                               Deadline deadline = patient()) {
    std::vector<MessageId> list;
    for (const auto& id : ids) list.emplace_back(id);
    return loop_.run(store.remove(connection(), std::move(list), deadline));
  }
  Result<std::vector<CopyResult>> copy(MongoStore& store, std::vector<TierMessage> messages,
                                       Deadline deadline = patient()) {
    return loop_.run(store.copy(std::move(messages), deadline));
  }

  // Whether it becomes true within the time given.
  static bool eventually(const std::function<bool()>& condition,
                         std::chrono::seconds within = std::chrono::seconds(20)) {
    const auto end = std::chrono::steady_clock::now() + within;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
  }

  FakeClock clock_;
  Metrics metrics_;
  RunLoop loop_;
};

// A document as the existing service stores it; `number` makes its id and its counter.
inline mongo::Document old_document(int number, std::int64_t created_ms,
                                    std::string_view message_id) {
  mongo::Document document;
  bson_oid_t oid;
  char text[25];
  std::snprintf(text, sizeof text, "65a0000000000000%08x", number);
  bson_oid_init_from_string(&oid, text);
  bson_append_oid(document.get(), "_id", -1, &oid);
  mongo::Document payload;
  payload.text("protected", "old").small("number", number);
  mongo::Array recipients;
  recipients.any_text(number % 2 ? "did:odd" : "did:even");
  document.text("messageId", message_id)
      .text("connectionId", "c")
      .array("recipientKeys", recipients.done())
      .document("encryptedMessage", payload)
      .text("state", "pending")
      .time("createdAt", TimePoint(std::chrono::milliseconds(created_ms)));
  return document;
}

}  // namespace mpr::test
