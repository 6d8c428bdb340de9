// mongo_bulk [documents] [bulk] [rounds]: copies into the database of the tests (or into that of
// MPR_TEST_MONGODB_URI), by the driver alone and by MongoStore::copy, in turns, and prints both
// rates and their ratio. The documents are the same and are made beforehand for the driver, which
// is thus measured at its best; the store makes them from messages.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/run_loop.hpp"
#include "store/mongo/database.hpp"
#include "store/mongo/message_document.hpp"
#include "store/mongo/mongo_store.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/mongo_server.hpp"

namespace mpr::test {

namespace {

using Clock = std::chrono::steady_clock;

std::vector<TierMessage> make_messages(std::size_t count, std::size_t round) {
  std::vector<TierMessage> messages;
  for (std::size_t i = 0; i < count; ++i) {
    TierMessage m;
    m.message.connection.id.value = "connection-" + std::to_string(i % 100);
    m.message.id.value = "message-" + std::to_string(round) + "-" + std::to_string(i);
    m.message.recipient_dids = {
        RecipientDid("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK")};
    m.message.payload = make_payload(R"({"protected":")" + std::string(300, 'p') +
                                     R"(","iv":"0123456789abcdef","ciphertext":")" +
                                     std::string(800, 'c') + R"(","tag":"0123456789abcdef"})");
    m.message.received_at = FakeClock::kStart;
    m.position.value = round * count + i + 1;
    messages.push_back(std::move(m));
  }
  return messages;
}

double rate(std::size_t count, Clock::time_point start) {
  return static_cast<double>(count) / std::chrono::duration<double>(Clock::now() - start).count();
}

double by_driver(mongo::Database& database, const std::vector<TierMessage>& messages,
                 std::size_t bulk) {
  std::vector<mongo::Document> documents;
  for (const TierMessage& m : messages) {
    documents.push_back(mongo::document_of(m.message, m.position,
                                           mongo::copied_id(m.message.connection, m.message.id),
                                           FakeClock::kStart));
  }
  const auto start = Clock::now();
  for (std::size_t from = 0; from < documents.size(); from += bulk) {
    std::vector<const mongo::Document*> some;
    for (std::size_t i = from; i < std::min(documents.size(), from + bulk); ++i) {
      some.push_back(&documents[i]);
    }
    const auto done = database.insert(mongo::Table::messages, some, mongo::InsertOrder::any);
    if (!done || !done->empty()) std::exit(1);
  }
  return rate(documents.size(), start);
}

double by_store(MongoStore& store, const std::vector<TierMessage>& messages, std::size_t bulk) {
  RunLoop loop;
  const auto start = Clock::now();
  for (std::size_t from = 0; from < messages.size(); from += bulk) {
    const auto first = messages.begin() + static_cast<std::ptrdiff_t>(from);
    const auto count = std::min(bulk, messages.size() - from);
    std::vector<TierMessage> some(first, first + static_cast<std::ptrdiff_t>(count));
    const auto done = loop.run(store.copy(std::move(some), Deadline::never()));
    if (!done) std::exit(1);
  }
  return rate(messages.size(), start);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int run(std::size_t documents, std::size_t bulk, std::size_t rounds) {
  MongoServer& server = MongoServer::instance();
  FakeClock clock;
  Metrics metrics;
  // Two databases, so that each has the same indexes and holds the same.
  MongoOptions options;
  options.positions = PositionsFrom::hot_tier;
  options.uri = server.fresh_uri();
  const auto indexes_only = MongoStore::open(options, clock, metrics);
  const auto pool = mongo::Pool::open(options.uri, "", 1);
  options.uri = server.fresh_uri();
  const auto store = MongoStore::open(options, clock, metrics);
  if (!indexes_only || !pool || !store) return 1;
  mongo::Database database(**pool);
  std::vector<double> driver_rates;
  std::vector<double> store_rates;
  for (std::size_t round = 0; round < rounds; ++round) {
    const auto messages = make_messages(documents, round);
    driver_rates.push_back(by_driver(database, messages, bulk));
    store_rates.push_back(by_store(**store, messages, bulk));
  }
  const double driver = median(driver_rates);
  const double copied = median(store_rates);
  std::printf("%s: bulks of %zu, median of %zu rounds of %zu documents\n", server.kind().c_str(),
              bulk, rounds, documents);
  std::printf("driver alone      %8.0f documents/s\n", driver);
  std::printf("MongoStore::copy  %8.0f documents/s  (%.0f %%)\n", copied, 100 * copied / driver);
  return 0;
}

}  // namespace

}  // namespace mpr::test

int main(int argc, char** argv) {
  const auto number = [&](int at, std::size_t fallback) {
    return argc > at ? std::strtoull(argv[at], nullptr, 10) : fallback;
  };
  try {
    return mpr::test::run(number(1, 2000), number(2, 500), number(3, 5));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
