// Works on an embedded store until it is killed, and tells on standard output what it attempts and
// what was answered: one line each, written before the next thing happens.
//   a QUEUE ID   an add begins        A QUEUE ID   it was answered
//   r QUEUE ID   a removal begins     R QUEUE ID   it was answered
//   t QUEUE      a take with removal begins; what it took follows as R lines, then T QUEUE
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <random>

#include "base/log.hpp"
#include "base/run_loop.hpp"
#include "store/embedded/embedded_store.hpp"

namespace {

using namespace mpr;

class SystemClock final : public Clock {
 public:
  TimePoint now() const override {
    return std::chrono::time_point_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now());
  }
  std::chrono::steady_clock::time_point steady_now() const override {
    return std::chrono::steady_clock::now();
  }
};

void tell(char what, const std::string& queue, const std::string& id = "") {
  const std::string line = std::string(1, what) + ' ' + queue + ' ' + id + '\n';
  if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) std::exit(2);
}

void require(bool answered) {
  if (!answered) std::exit(3);
}

NewMessage message_of(const std::string& queue, const std::string& id, std::size_t size) {
  NewMessage message;
  message.connection.id = ConnectionId(queue);
  message.id = MessageId(id);
  message.id_origin = size % 2 ? IdOrigin::caller : IdOrigin::server;
  std::string json = "{\"p\":\"" + id;
  json.resize(size, 'x');
  message.payload = make_payload(json + "\"}");
  return message;
}

Task<bool> add_one(MessageStore& store, std::string queue, std::string id, std::size_t size) {
  const auto added = co_await store.add(message_of(queue, id, size), Deadline::never());
  require(added.has_value());
  tell('A', queue, id);
  co_return true;
}

Task<bool> remove_oldest(MessageStore& store, std::string queue) {
  TakeQuery query;
  query.queue.connection.id = ConnectionId(queue);
  query.limit = 5;
  const auto taken = co_await store.take(query, Deadline::never());
  require(taken.has_value());
  std::vector<MessageId> ids;
  for (const StoredMessage& m : *taken) {
    tell('r', queue, m.id.value);
    ids.push_back(m.id);
  }
  const auto removed =
      co_await store.remove(query.queue.connection, std::move(ids), Deadline::never());
  require(removed && removed->removed.size() == taken->size());
  for (const StoredMessage& m : *taken) tell('R', queue, m.id.value);
  co_return true;
}

Task<bool> take_away(MessageStore& store, std::string queue) {
  TakeQuery query;
  query.queue.connection.id = ConnectionId(queue);
  query.limit = 3;
  query.mode = TakeMode::remove;
  tell('t', queue);
  const auto taken = co_await store.take(query, Deadline::never());
  require(taken.has_value());
  for (const StoredMessage& m : *taken) tell('R', queue, m.id.value);
  tell('T', queue);
  co_return true;
}

// One queue's work: adds, several at once, and removals of the oldest.
Task<bool> work(MessageStore& store, std::string queue, std::uint64_t seed, long next_id) {
  std::mt19937_64 dice(seed);
  while (true) {
    std::vector<Task<bool>> adds;
    for (std::uint64_t n = 1 + dice() % 4; n > 0; --n) {
      const std::string id = "m-" + std::to_string(next_id++);
      tell('a', queue, id);
      adds.push_back(add_one(store, queue, id, 50 + dice() % 3000));
    }
    co_await when_all(std::move(adds));
    if (dice() % 2 == 0) co_await remove_oldest(store, queue);
    if (dice() % 8 == 0) co_await take_away(store, queue);
  }
  co_return true;
}

}  // namespace

// Arguments: directory, segment bytes, seed, first id.
int main(int argc, char** argv) {
  if (argc != 5) return 1;
  log::configure(log::Level::error, log::Format::text);
  EmbeddedStore::Options options;
  options.directory = argv[1];
  options.segment_bytes = std::strtoull(argv[2], nullptr, 10);
  const std::uint64_t seed = std::strtoull(argv[3], nullptr, 10);
  const long first_id = std::strtol(argv[4], nullptr, 10);
  SystemClock clock;
  Metrics metrics;
  auto store = EmbeddedStore::open(options, clock, metrics);
  if (!store) {
    std::cerr << store.error().context << '\n';
    return 4;
  }
  RunLoop loop;
  std::vector<Task<bool>> workers;
  for (int q = 0; q < 16; ++q) {
    workers.push_back(
        work(**store, "c" + std::to_string(q), seed + static_cast<std::uint64_t>(q), first_id));
  }
  loop.run(when_all(std::move(workers)));
  return 0;
}
