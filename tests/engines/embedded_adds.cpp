// The same as rocksdb_adds.cpp on the embedded store, with its coroutines, index and answers: adds
// with 256 under way, then taking ten and removing ten, one at a time, at the head of a long queue.
// Not part of the build; after a release build (cmake --preset release && ninja -C build/release):
//
//   B=build/release/src; clang++-19 -std=c++23 -O2 -Isrc tests/engines/embedded_adds.cpp \
//     $B/store/embedded/libmpr_store_embedded.a $B/core/libmpr_core.a $B/base/libmpr_base.a \
//     -o /tmp/embedded_adds
//   /tmp/embedded_adds /path/on/the/disk/to/measure
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "base/log.hpp"
#include "base/run_loop.hpp"
#include "store/embedded/embedded_store.hpp"

namespace {

using namespace mpr;
using SteadyClock = std::chrono::steady_clock;

class SystemClock final : public Clock {
 public:
  TimePoint now() const override {
    return std::chrono::time_point_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now());
  }
  SteadyClock::time_point steady_now() const override { return SteadyClock::now(); }
};

double seconds_since(SteadyClock::time_point began) {
  return std::chrono::duration<double>(SteadyClock::now() - began).count();
}

void require(bool condition) {
  if (condition) return;
  std::fprintf(stderr, "the store refused\n");
  std::exit(1);
}

NewMessage message_of(std::string queue, std::string id, const Payload& payload) {
  NewMessage message;
  message.connection.id = ConnectionId(std::move(queue));
  message.id = MessageId(std::move(id));
  message.payload = payload;
  return message;
}

// One of 256 callers; with `queues` 1 all messages go to one queue.
Task<bool> add_many(MessageStore& store, int caller, int count, int queues, Payload payload) {
  for (int i = 0; i < count; ++i) {
    const std::string id = "message-" + std::to_string(caller) + "-" + std::to_string(i);
    std::string queue = "connection-" + std::to_string((i * 31 + caller) % queues);
    NewMessage message = message_of(std::move(queue), id, payload);
    const auto added = co_await store.add(std::move(message), Deadline::never());
    require(added.has_value());
  }
  co_return true;
}

void add_from_256_callers(RunLoop& loop, MessageStore& store, int each, int queues,
                          const Payload& payload) {
  std::vector<Task<bool>> callers;
  for (int c = 0; c < 256; ++c) callers.push_back(add_many(store, c, each, queues, payload));
  loop.run(when_all(std::move(callers)));
}

Task<bool> take_and_remove(MessageStore& store, int cycles) {
  for (int i = 0; i < cycles; ++i) {
    TakeQuery query;
    query.queue.connection.id = ConnectionId("connection-0");
    query.limit = 10;
    const auto taken = co_await store.take(query, Deadline::never());
    require(taken && taken->size() == 10);
    std::vector<MessageId> ids;
    for (const StoredMessage& message : *taken) ids.push_back(message.id);
    const auto removed =
        co_await store.remove(query.queue.connection, std::move(ids), Deadline::never());
    require(removed && removed->removed.size() == 10);
  }
  co_return true;
}

std::unique_ptr<EmbeddedStore> open_store(const std::string& directory, Clock& clock,
                                          Metrics& metrics) {
  EmbeddedStore::Options options;
  options.directory = directory;
  auto store = EmbeddedStore::open(options, clock, metrics);
  require(store.has_value());
  return std::move(*store);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 1;
  const std::string directory = argv[1];
  log::configure(log::Level::warn, log::Format::text);
  std::string bytes(1100, '\0');
  std::mt19937 dice(1);
  for (char& c : bytes) c = static_cast<char>(dice());
  const Payload payload = make_payload(std::move(bytes));
  SystemClock clock;
  Metrics metrics;
  RunLoop loop;
  {
    const auto store = open_store(directory + "/adds", clock, metrics);
    const auto began = SteadyClock::now();
    add_from_256_callers(loop, *store, 2000, 10'000, payload);
    std::printf("adds, 256 under way: %.0f/s\n", 256 * 2000 / seconds_since(began));
  }
  for (const int depth : {10, 100'000}) {
    const auto store = open_store(directory + "/" + std::to_string(depth), clock, metrics);
    constexpr int kCycles = 400;
    add_from_256_callers(loop, *store, (depth + 10 * kCycles) / 256 + 1, 1, payload);
    const auto began = SteadyClock::now();
    loop.run(take_and_remove(*store, kCycles));
    std::printf("take 10 + remove 10 at depth %d: %.0f cycles/s\n", depth,
                kCycles / seconds_since(began));
  }
  const auto began = SteadyClock::now();
  const auto store = open_store(directory + "/adds", clock, metrics);
  std::printf("reopened with %llu messages in %.2f s\n",
              static_cast<unsigned long long>(store->totals().messages), seconds_since(began));
  return 0;
}
