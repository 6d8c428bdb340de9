// Runs the operations of an embedded store from a plain test: one thread, one at a time. It opens
// and reopens the store of one directory.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/run_loop.hpp"
#include "store/embedded/embedded_store.hpp"
#include "tests/support/fake_clock.hpp"

namespace mpr::test {

class StoreDriver {
 public:
  StoreDriver(std::filesystem::path directory, FileSystem& files,
              std::uint64_t segment_bytes = 16 << 10)
      : files_(files) {
    options.directory = std::move(directory);
    options.segment_bytes = segment_bytes;
  }

  // Opens the store, again if it is open; the test fails if it cannot.
  void open() {
    close();
    auto opened = EmbeddedStore::open(options, clock, metrics, files_);
    ASSERT_TRUE(opened.has_value()) << opened.error().context;
    store = std::move(*opened);
  }
  void close() { store.reset(); }

  static NewMessage message(std::string_view queue, std::string_view id, std::size_t size = 100) {
    NewMessage m;
    m.connection.id = ConnectionId(queue);
    m.id = MessageId(id);
    m.received_at = FakeClock::kStart;
    std::string json = "{\"p\":\"" + std::string(id);
    json.resize(size > 2 ? size - 2 : 0, 'x');
    m.payload = make_payload(json + "\"}");
    return m;
  }

  Result<AddOutcome> add(NewMessage m) {
    return loop.run(store->add(std::move(m), Deadline::never()));
  }
  Result<AddOutcome> add(std::string_view queue, std::string_view id, std::size_t size = 100) {
    return add(message(queue, id, size));
  }
  Result<RemoveOutcome> remove(std::string_view queue, const std::vector<std::string>& ids) {
    std::vector<MessageId> list;
    for (const auto& id : ids) list.emplace_back(id);
    return loop.run(
        store->remove({TenantId(), ConnectionId(queue)}, std::move(list), Deadline::never()));
  }
  Result<std::vector<StoredMessage>> take(std::string_view queue, TakeMode mode = TakeMode::keep,
                                          std::uint64_t limit = 0) {
    TakeQuery query;
    query.queue.connection.id = ConnectionId(queue);
    query.mode = mode;
    query.limit = limit;
    return loop.run(store->take(std::move(query), Deadline::never()));
  }
  // Ids of a queue in order; every payload is what message() made of it.
  std::vector<std::string> ids(std::string_view queue) {
    const auto taken = take(queue);
    EXPECT_TRUE(taken.has_value()) << taken.error().context;
    std::vector<std::string> out;
    if (!taken) return out;
    for (const StoredMessage& m : *taken) {
      EXPECT_EQ(*m.payload, *message(queue, m.id.value, m.size()).payload);
      out.push_back(m.id.value);
    }
    return out;
  }
  Result<std::uint64_t> count(std::string_view queue) {
    QueueQuery query;
    query.connection.id = ConnectionId(queue);
    return loop.run(store->count(std::move(query), Deadline::never()));
  }

  EmbeddedStore::Options options;
  FakeClock clock;
  Metrics metrics;
  RunLoop loop;
  std::unique_ptr<EmbeddedStore> store;

 private:
  FileSystem& files_;
};

}  // namespace mpr::test
