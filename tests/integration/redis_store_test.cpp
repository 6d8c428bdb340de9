// What the Redis store promises beyond the contract: installations, broken connections, deep
// queues, servers without memory or replicas, durability, and what an operator is told.
#include "store/redis/redis_store.hpp"

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "store/redis/message_ids.hpp"
#include "store/redis/server_checks.hpp"
#include "store/redis/session_record.hpp"
#include "tests/integration/store_bed.hpp"
#include "tests/support/log_capture.hpp"
#include "tests/support/redis_proxy.hpp"

namespace mpr::test {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class RedisStoreTest : public testing::Test {
 protected:
  static Deadline soon() { return StoreOnRedis::soon(); }

  AddOutcome add(StoreOnRedis& bed, NewMessage message) {
    return bed.get(bed.store->add(std::move(message), soon()));
  }
  static std::vector<std::string> payloads(const std::vector<StoredMessage>& messages) {
    std::vector<std::string> all;
    for (const auto& m : messages) all.push_back(*m.payload);
    return all;
  }

  RedisServer server_;
  FakeClock clock_;
};

NewMessage numbered(std::string_view to, int number) {
  return message_to(to, "{\"n\":" + std::to_string(number) + "}");
}

// Adds many messages, as many at once as a pipeline takes.
std::vector<AddOutcome> fill(StoreOnRedis& bed, std::string_view queue, int count) {
  std::vector<AddOutcome> outcomes;
  for (int done = 0; done < count;) {
    std::vector<Task<Result<AddOutcome>>> adds;
    for (int i = 0; i < 5000 && done < count; ++i, ++done) {
      NewMessage message = numbered(queue, done);
      message.answer = AddAnswer::brief;
      adds.push_back(bed.store->add(std::move(message), StoreOnRedis::soon()));
    }
    for (auto& outcome : bed.loop.run(when_all(std::move(adds)))) {
      EXPECT_TRUE(outcome.has_value()) << (outcome ? "" : outcome.error().context);
      if (outcome) outcomes.push_back(std::move(*outcome));
    }
  }
  return outcomes;
}

std::string commands_of(const RedisServer& server) {
  std::string counted;
  const std::string stats = server.cli({"INFO", "commandstats"});
  for (std::size_t at = 0; (at = stats.find("cmdstat_", at)) != std::string::npos;) {
    at += 8;
    const std::size_t colon = stats.find(':', at);
    const std::size_t calls = stats.find("calls=", at) + 6;
    const std::string name = stats.substr(at, colon - at);
    const bool setup = name == "info" || name == "config|resetstat" || name == "ping";
    if (!setup) counted += name + "=" + stats.substr(calls, stats.find(',', calls) - calls) + " ";
  }
  return counted;
}

}  // namespace

// --- installations ----------------------------------------------------------------------------

TEST_F(RedisStoreTest, AnotherNumberOfPartitionsIsRefusedAtStart) {
  StoreOnRedis first(server_, store_options(), clock_);
  RedisStore::Options other = store_options();
  other.partitions = 2;
  try {
    StoreOnRedis second(server_, other, clock_);
    FAIL() << "it was opened";
  } catch (const std::runtime_error& refused) {
    EXPECT_NE(std::string(refused.what()).find("1 partitions"), std::string::npos)
        << refused.what();
  }
}

TEST_F(RedisStoreTest, AFormatOfTheFutureIsRefusedAtStart) {
  server_.cli({"HSET", "test:meta", "format", "2", "partitions", "1"});
  EXPECT_THROW(StoreOnRedis(server_, store_options(), clock_), std::runtime_error);
}

TEST_F(RedisStoreTest, OfManyThatStartTogetherOneDecides) {
  std::atomic<int> opened = 0;
  std::vector<std::thread> gateways;
  for (unsigned i = 0; i < 6; ++i) {
    gateways.emplace_back([&, i] {
      RedisStore::Options options = store_options("race");
      options.partitions = 1 + i % 3;
      try {
        StoreOnRedis gateway(server_, options, clock_);
        ++opened;
      } catch (const std::runtime_error&) {
      }
    });
  }
  for (auto& gateway : gateways) gateway.join();
  EXPECT_EQ(opened.load(), 2);
}

TEST_F(RedisStoreTest, InstallationsAreApartByTheirPrefix) {
  StoreOnRedis one(server_, store_options("one"), clock_);
  StoreOnRedis other(server_, store_options("other"), clock_);
  add(one, message_to("c"));
  EXPECT_EQ(other.get(other.store->count(queue_of("c"), soon())), 0U);
}

// --- adding -----------------------------------------------------------------------------------

TEST_F(RedisStoreTest, AnAddTellsWhereTheSessionIs) {
  StoreOnRedis bed(server_, store_options(), clock_);
  const auto without = add(bed, message_to("c"));
  ASSERT_TRUE(without.session.has_value());
  EXPECT_EQ(*without.session, std::nullopt);
  const redis::SessionRecord record{Epoch{7}, Position{5}, GatewayId("gateway-1"), SessionId("s")};
  server_.cli(
      {"SET", bed.store->keys().session(message_to("c").connection), redis::encode(record)});
  const SessionPlace place{GatewayId("gateway-1"), Epoch{7}};
  EXPECT_EQ(**add(bed, message_to("c")).session, place);
  NewMessage named = message_to("c");
  named.id_origin = IdOrigin::caller;
  EXPECT_EQ(**add(bed, named).session, place);
  server_.cli({"SET", bed.store->keys().session(named.connection), "of a future format"});
  EXPECT_FALSE(add(bed, message_to("c")).session.has_value()) << "the directory has to say";
}

TEST_F(RedisStoreTest, ACommandMoreThanNecessaryWouldShowHere) {
  StoreOnRedis bed(server_, store_options(), clock_);
  const auto commands = [&](auto&& operation) {
    server_.cli({"CONFIG", "RESETSTAT"});
    operation();
    return commands_of(server_);
  };
  const auto sorted = [](const std::string& text) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find(' ', at);
      words.push_back(text.substr(at, end - at));
      at = end + 1;
    }
    std::sort(words.begin(), words.end());
    return words;
  };
  NewMessage brief = message_to("c");
  brief.answer = AddAnswer::brief;
  std::vector<MessageId> ids;
  using Commands = std::vector<std::string>;
  EXPECT_EQ(sorted(commands([&] { ids.push_back(add(bed, brief).id); })),
            (Commands{"get=1", "incrby=1", "xadd=1", "zadd=1"}));
  EXPECT_EQ(sorted(commands([&] { add(bed, message_to("c")); })),
            (Commands{"get=1", "incrby=1", "xadd=1", "xrevrange=1", "zadd=1"}));
  EXPECT_EQ(sorted(commands([&] { bed.get(bed.store->take(taking("c", 10), soon())); })),
            (Commands{"hgetall=1", "xrange=1"}));
  EXPECT_EQ(sorted(commands([&] { bed.get(bed.store->tail(brief.connection, soon())); })),
            (Commands{"hgetall=1", "xinfo|stream=1"}));
  EXPECT_EQ(sorted(commands([&] { bed.get(bed.store->remove(brief.connection, ids, soon())); })),
            (Commands{"decrby=1", "exists=1", "hgetall=1", "xdel=1", "xlen=1"}));
}

// Kills every other connection to the server again and again, until it is destroyed.
class Saboteur {
 public:
  explicit Saboteur(const RedisServer& server)
      : client_(StoreOnRedis::options_for(server), metrics_), thread_([this] { run(); }) {}
  ~Saboteur() {
    stop_ = true;
    thread_.join();
  }

 private:
  void run() {
    RunLoop loop;
    while (!stop_) {
      redis::Request kill("");
      kill.add({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}, redis::Repeat::safe);
      (void)loop.run(client_.run_one(std::move(kill), StoreOnRedis::soon()));
      std::this_thread::sleep_for(milliseconds(3));
    }
  }

  Metrics metrics_;
  redis::Client client_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// What was answered while connections broke.
struct Answered {
  std::set<std::string> payloads;
  std::set<MessageId> ids;
  int sent = 0;
};

void add_some(StoreOnRedis& bed, Answered& answered) {
  std::vector<Task<Result<AddOutcome>>> adds;
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i) {
    NewMessage message = numbered("c", answered.sent++);
    texts.push_back(*message.payload);
    if (i % 8 == 7) {
      message.id_origin = IdOrigin::caller;
      message.id = MessageId("caller-" + std::to_string(answered.sent));
    }
    adds.push_back(bed.store->add(std::move(message), StoreOnRedis::soon()));
  }
  const auto outcomes = bed.loop.run(when_all(std::move(adds)));
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (!outcomes[i]) continue;
    answered.payloads.insert(texts[i]);
    EXPECT_TRUE(answered.ids.insert(outcomes[i]->id).second) << "two adds, one message";
    EXPECT_FALSE(outcomes[i]->duplicate);
  }
}

TEST_F(RedisStoreTest, BrokenConnectionsNeitherLoseNorDoubleAdds) {
  StoreOnRedis bed(server_, store_options(), clock_);
  Answered answered;
  {
    const Saboteur saboteur(server_);
    const auto end = std::chrono::steady_clock::now() + seconds(20);
    while (bed.metrics.store_errors.value() < 1500 && std::chrono::steady_clock::now() < end) {
      add_some(bed, answered);
    }
  }
  const auto stored = payloads(bed.get(bed.store->take(taking("c"), soon())));
  const std::set<std::string> once(stored.begin(), stored.end());
  EXPECT_EQ(once.size(), stored.size()) << "something is there twice";
  for (const auto& text : answered.payloads) EXPECT_TRUE(once.contains(text)) << text << " is lost";
  EXPECT_GT(answered.payloads.size(), 200U);
  EXPECT_GT(bed.metrics.store_errors.value(), 0U) << "no connection broke under an add";
}

TEST_F(RedisStoreTest, AnAddThatWasRepeatedIsNotStoredAgainWhenTheNetworkStillDeliversIt) {
  RedisProxy proxy(server_.port());
  StoreOnRedis bed(proxy.port(), store_options(), clock_);
  NewMessage expiring = numbered("c", 2);
  expiring.expires_at = FakeClock::kStart + seconds(60);
  const std::vector<NewMessage> messages = {numbered("c", 1), expiring};
  for (const NewMessage& message : messages) {
    proxy.delay(*message.payload);
    add(bed, message);
    EXPECT_FALSE(proxy.deliver()) << "the server has ended that connection";
  }
  EXPECT_EQ(proxy.met(), 2);
  EXPECT_EQ(payloads(bed.get(bed.store->take(taking("c"), soon()))),
            (std::vector<std::string>{"{\"n\":1}", "{\"n\":2}"}));
}

TEST_F(RedisStoreTest, AUserThatMayNotEndConnectionsIsToldOnce) {
  const LogCapture log;
  server_.cli({"ACL", "SETUSER", "default", "-client|kill"});
  RedisProxy proxy(server_.port());
  StoreOnRedis bed(proxy.port(), store_options(), clock_);
  for (int i = 0; i < 2; ++i) {
    proxy.delay("XADD");
    add(bed, numbered("c", i));
    EXPECT_TRUE(proxy.deliver());
  }
  EXPECT_EQ(bed.get(bed.store->count(queue_of("c"), soon())), 4U) << "what the log warns of";
  EXPECT_EQ(log.with("Redis refuses CLIENT KILL").size(), 1U);
}

// --- depth ------------------------------------------------------------------------------------

TEST_F(RedisStoreTest, ADeepQueueCostsNoMoreThanAShallowOne) {
  StoreOnRedis bed(server_, store_options(), clock_);
  const auto outcomes = fill(bed, "deep", 100'000);
  ASSERT_EQ(outcomes.size(), 100'000U);
  const Connection connection = queue_of("deep").connection;
  EXPECT_EQ(bed.get(bed.store->count(queue_of("deep"), soon())), 100'000U);

  server_.cli({"CONFIG", "RESETSTAT"});
  for (int i = 0; i < 100; ++i) {
    const auto taken = bed.get(bed.store->take(taking("deep", 10), soon()));
    ASSERT_EQ(taken.size(), 10U);
    std::vector<MessageId> ids;
    for (const auto& m : taken) ids.push_back(m.id);
    ASSERT_EQ(bed.get(bed.store->remove(connection, ids, soon())).removed.size(), 10U);
  }
  // In microseconds of the server per call; reading 100,000 entries would take 10,000 and more.
  const std::string stats = server_.cli({"INFO", "commandstats"});
  for (const std::string name : {"cmdstat_xrange:", "cmdstat_xdel:"}) {
    const std::size_t at = stats.find("usec_per_call=", stats.find(name));
    ASSERT_NE(at, std::string::npos) << stats;
    EXPECT_LT(std::stod(stats.substr(at + 14)), 2000.0) << name;
  }

  std::vector<MessageId> many;
  for (std::size_t i = 50'000; i < 60'000; ++i) many.push_back(outcomes[i].id);
  const auto removed = bed.get(bed.store->remove(connection, many, soon()));
  EXPECT_EQ(removed.removed.size(), 10'000U);
  EXPECT_EQ(removed.remaining, 89'000U);
  EXPECT_EQ(bed.get(bed.store->status(queue_of("deep"), soon())).message_count, 89'000U);
  EXPECT_EQ(bed.get(bed.store->take(taking("deep"), soon())).size(), 89'000U);
  EXPECT_EQ(bed.get(bed.store->remove_all(connection, std::nullopt, soon())).removed.size(),
            89'000U);
  EXPECT_EQ(server_.cli({"GET", bed.store->keys().of_connection("n", connection)}), "0")
      << "the counter is as it was at the beginning";
}

TEST_F(RedisStoreTest, ATakeGoesOnWhereThePlainOneFoundExpiredMessages) {
  StoreOnRedis bed(server_, store_options(), clock_);
  for (int i = 0; i < 300; ++i) {
    NewMessage message = numbered("c", i);
    if (i % 3 != 0) message.expires_at = FakeClock::kStart + seconds(1);
    add(bed, message);
  }
  clock_.advance(seconds(1));
  const auto taken = bed.get(bed.store->take(taking("c", 50), soon()));
  ASSERT_EQ(taken.size(), 50U);
  EXPECT_EQ(*taken[49].payload, "{\"n\":147}");
  EXPECT_EQ(bed.get(bed.store->count(queue_of("c"), soon())), 100U);
  EXPECT_EQ(bed.metrics.messages_expired.value(), 200U);
}

// Some adds are scripts, some plain commands; nobody waits in between.
TEST_F(RedisStoreTest, AddsKeepTheirOrderOnAServerThatKnewNoScript) {
  const RedisServer fresh;
  StoreOnRedis bed(fresh, store_options(), clock_);
  std::vector<Task<Result<AddOutcome>>> adds;
  for (int i = 0; i < 6; ++i) {
    NewMessage message = numbered("c", i);
    if (i % 2 == 0) {
      message.id = MessageId("own-" + std::to_string(i));
      message.id_origin = IdOrigin::caller;
    }
    adds.push_back(bed.store->add(std::move(message), soon()));
  }
  std::vector<Position> positions;
  for (const auto& added : bed.loop.run(when_all(std::move(adds)))) {
    ASSERT_TRUE(added.has_value()) << added.error().context;
    positions.push_back(added->position);
  }
  EXPECT_TRUE(std::ranges::is_sorted(positions));
}

TEST_F(RedisStoreTest, ACallersIdMayLookLikeOneOfTheStore) {
  StoreOnRedis bed(server_, store_options(), clock_);
  const auto own = add(bed, numbered("c", 1));
  NewMessage again = numbered("c", 2);
  again.id = own.id;
  again.id_origin = IdOrigin::caller;
  const auto duplicate = add(bed, again);
  EXPECT_TRUE(duplicate.duplicate);
  EXPECT_EQ(duplicate.position, own.position);

  bed.get(bed.store->remove(again.connection, {own.id}, soon()));
  EXPECT_TRUE(add(bed, again).duplicate) << "also when it has left the queue";

  constexpr std::uint64_t kHour = 3'600'000ULL << 20U;
  again.id = redis::encode_message_id(again.connection, {{own.position.value + kHour}, 2});
  const auto fresh = add(bed, again);
  EXPECT_FALSE(fresh.duplicate) << "the store cannot have given that id yet";
  EXPECT_EQ(fresh.id, again.id);
  EXPECT_EQ(bed.get(bed.store->still_hot(again.connection, {again.id}, soon())).size(), 1U);
  EXPECT_EQ(bed.get(bed.store->remove(again.connection, {again.id}, soon())).removed,
            std::vector<Position>{fresh.position});
}

// --- takes that remove ------------------------------------------------------------------------

TakeQuery taking_away(std::string_view from, std::uint64_t limit = 0) {
  TakeQuery query = taking(from, limit);
  query.mode = TakeMode::remove;
  return query;
}

// Ten messages; every fourth has an id of its caller.
void add_ten(StoreOnRedis& bed) {
  for (int i = 0; i < 10; ++i) {
    NewMessage message = numbered("c", i);
    if (i % 4 == 3) {
      message.id_origin = IdOrigin::caller;
      message.id = MessageId("caller-" + std::to_string(i));
    }
    bed.get(bed.store->add(std::move(message), StoreOnRedis::soon()));
  }
}

TEST_F(RedisStoreTest, ATakeThatRemovesHandsOutWhatItRemovedAlthoughTheAnswerWasLost) {
  RedisProxy proxy(server_.port());
  StoreOnRedis bed(proxy.port(), store_options(), clock_);
  for (const std::uint64_t limit : {0U, 3U, 8U}) {  // by a script, by plain commands, by both kinds
    for (const int times : {1, 2}) {
      SCOPED_TRACE(std::to_string(limit) + " messages, lost " + std::to_string(times) + " times");
      bed.get(bed.store->remove_all(queue_of("c").connection, std::nullopt, soon()));
      server_.cli({"FLUSHDB"});
      add_ten(bed);
      const auto expected = payloads(bed.get(bed.store->take(taking("c", limit), soon())));
      const int met = proxy.met();
      proxy.lose_answers_to(bed.store->keys().of_connection("n", queue_of("c").connection), times);
      const auto taken = payloads(bed.get(bed.store->take(taking_away("c", limit), soon())));
      EXPECT_EQ(proxy.met() - met, times);
      EXPECT_EQ(taken, expected);
      EXPECT_EQ(bed.get(bed.store->count(queue_of("c"), soon())), 10 - taken.size());
    }
  }
}

TEST_F(RedisStoreTest, ATakeThatNeverHearsOfItsRemovalHandsOutWhatItRead) {
  RedisProxy proxy(server_.port());
  StoreOnRedis bed(proxy.port(), store_options(), clock_);
  add_ten(bed);
  const std::string word = bed.store->keys().of_connection("n", queue_of("c").connection);
  proxy.lose_answers_to(word, 1'000'000);
  const auto taken = bed.run(bed.store->take(taking_away("c", 3), Deadline::after(seconds(3))));
  ASSERT_TRUE(taken.has_value()) << taken.error().context;
  EXPECT_EQ(payloads(*taken), (std::vector<std::string>{"{\"n\":0}", "{\"n\":1}", "{\"n\":2}"}));
  EXPECT_GT(proxy.met(), 1);
  proxy.lose_answers_to(word, 0);
  EXPECT_EQ(bed.get(bed.store->count(queue_of("c"), soon())), 7U);
}

TEST_F(RedisStoreTest, ATakeWhoseRemovalIsRefusedRemovesAndReturnsNothing) {
  StoreOnRedis bed(server_, store_options(), clock_);
  add_ten(bed);
  server_.cli({"ACL", "SETUSER", "default", "-xdel"});
  for (const std::uint64_t limit : {0U, 3U}) {
    const auto refused = bed.run(bed.store->take(taking_away("c", limit), soon()));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().effect, Error::Effect::none) << refused.error().context;
  }
  server_.cli({"ACL", "SETUSER", "default", "+xdel"});
  EXPECT_EQ(bed.get(bed.store->take(taking_away("c"), soon())).size(), 10U) << "and it recovers";
}

TEST_F(RedisStoreTest, AFullServerLetsMessagesGo) {
  StoreOnRedis bed(server_, store_options(), clock_);
  std::vector<MessageId> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(add(bed, numbered("c", i)).id);
  server_.cli({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_EQ(bed.get(bed.store->take(taking_away("c", 3), soon())).size(), 3U);
  const auto removed =
      bed.get(bed.store->remove(queue_of("c").connection, {ids[3], ids[4], ids[0]}, soon()));
  EXPECT_EQ(removed.removed.size(), 2U);
  EXPECT_EQ(removed.remaining, 5U);
}

TEST_F(RedisStoreTest, ADeepQueueIsTakenAwayInOrderAndToTheLastMessage) {
  StoreOnRedis bed(server_, store_options(), clock_);
  ASSERT_EQ(fill(bed, "deep", 3500).size(), 3500U);
  EXPECT_EQ(bed.get(bed.store->take(taking_away("deep", 2500), soon())).size(), 2500U);
  const auto rest = bed.get(bed.store->take(taking_away("deep"), soon()));
  ASSERT_EQ(rest.size(), 1000U);
  EXPECT_EQ(*rest.front().payload, "{\"n\":2500}");
  EXPECT_EQ(*rest.back().payload, "{\"n\":3499}");
  EXPECT_EQ(bed.get(bed.store->count(queue_of("deep"), soon())), 0U);
}

// --- servers in trouble -----------------------------------------------------------------------

TEST_F(RedisStoreTest, AFullServerRefusesPlainlyAndTheStoreSaysSoUntilItHasRoom) {
  StoreOnRedis bed(server_, store_options(), clock_);
  add(bed, numbered("c", 1));
  server_.cli({"CONFIG", "SET", "maxmemory", "1"});
  const auto refused = bed.run(bed.store->add(numbered("c", 2), soon()));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::quota_exceeded);
  EXPECT_NE(refused.error().context.find("memory"), std::string::npos) << refused.error().context;
  EXPECT_FALSE(bed.store->ready().has_value());
  EXPECT_EQ(bed.get(bed.store->count(queue_of("c"), soon())), 1U) << "reads go on";

  server_.cli({"CONFIG", "SET", "maxmemory", "0"});
  add(bed, numbered("c", 3));
  const auto end = std::chrono::steady_clock::now() + seconds(10);
  while (!bed.store->ready() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_TRUE(bed.store->ready().has_value()) << "and it recovers";
  EXPECT_EQ(payloads(bed.get(bed.store->take(taking("c"), soon()))),
            (std::vector<std::string>{"{\"n\":1}", "{\"n\":3}"}));
}

NewMessage named(std::string_view to, std::string id) {
  NewMessage message = message_to(to, std::string(2000, '"'));
  message.id = MessageId(std::move(id));
  message.id_origin = IdOrigin::caller;
  return message;
}

// Everything that makes room, or keeps order, works while adds are refused; and adds succeed again
// when there is room.
TEST_F(RedisStoreTest, AFullServerLetsEverythingGoAndRecoversByItself) {
  StoreOnRedis bed(server_, store_options(), clock_);
  const Connection c = queue_of("c").connection;
  std::vector<MessageId> own;
  for (int i = 0; i < 3; ++i) {
    for (const char* queue : {"taken", "emptied"}) add(bed, named(queue, std::to_string(i)));
    add(bed, named("c", std::to_string(i)));
    own.push_back(add(bed, message_to("c", std::string(2000, 'x'))).id);
    own.push_back(add(bed, message_to("archived", std::string(2000, 'x'))).id);
  }
  for (int i = 0; i < 300; ++i) add(bed, named("archived", std::to_string(i)));
  const std::string used = server_.cli({"INFO", "memory"});
  const std::size_t at = used.find("used_memory:") + 12;
  server_.cli({"CONFIG", "SET", "maxmemory", used.substr(at, used.find('\r', at) - at)});
  for (int i = 0; bed.run(bed.store->add(message_to("c", std::string(2000, 'x')), soon())); ++i) {
    ASSERT_LT(i, 10000) << "the server takes everything";
  }
  EXPECT_NO_THROW(StoreOnRedis(server_, store_options(), clock_)) << "a gateway that starts now";

  EXPECT_EQ(bed.get(bed.store->remove(c, {own[0]}, soon())).removed.size(), 1U);
  EXPECT_EQ(bed.get(bed.store->remove(c, {MessageId("1")}, soon())).removed.size(), 1U);
  EXPECT_EQ(bed.get(bed.store->take(taking_away("taken"), soon())).size(), 3U);
  const Connection emptied = queue_of("emptied").connection;
  EXPECT_EQ(bed.get(bed.store->remove_all(emptied, std::nullopt, soon())).removed.size(), 3U);

  // One after the other, the steps of an archiver.
  const Connection archived = queue_of("archived").connection;
  const auto lease = bed.get(bed.store->lease(0, std::nullopt, seconds(60), soon()));
  ASSERT_TRUE(lease.has_value());
  clock_.advance(seconds(100));
  EXPECT_FALSE(bed.get(bed.store->due(0, clock_.now(), 100, soon())).empty());
  const auto batch =
      bed.get(bed.store->claim(*lease, archived, clock_.now(), 1000, 1ULL << 40U, soon()));
  ASSERT_EQ(batch.messages.size(), 303U);
  std::vector<MessageId> copied;
  for (const auto& m : batch.messages) copied.push_back(m.message.id);
  EXPECT_EQ(bed.get(bed.store->finish(*lease, archived, copied, soon())).moved, 303U);
  EXPECT_TRUE(bed.run(bed.store->forget(*lease, archived, soon())).has_value());
  EXPECT_TRUE(bed.run(bed.store->set_aside(*lease, c, clock_.now(), soon())).has_value());
  EXPECT_TRUE(bed.run(bed.store->note_cold_empty(c, "", soon())).has_value());
  EXPECT_TRUE(bed.run(bed.store->release(*lease, soon())).has_value());

  const auto again = bed.run(bed.store->add(named("c", "new"), soon()));
  EXPECT_TRUE(again.has_value()) << again.error().context;
}

TEST_F(RedisStoreTest, AFullServerIsSaidOnce) {
  const LogCapture logs;
  StoreOnRedis bed(server_, store_options(), clock_);
  server_.cli({"CONFIG", "SET", "maxmemory", "1"});
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(bed.run(bed.store->add(numbered("c", i), soon())).has_value());
  }
  EXPECT_EQ(logs.with("maxmemory").size(), 1U);
}

TEST_F(RedisStoreTest, AStoppedServerIsAnErrorNeverAnEmptyAnswer) {
  StoreOnRedis bed(server_, store_options(), clock_);
  add(bed, numbered("c", 1));
  server_.cli({"SAVE"});
  server_.kill9();
  const auto briefly = [] { return Deadline::after(milliseconds(300)); };
  const Connection connection = queue_of("c").connection;
  EXPECT_FALSE(bed.run(bed.store->add(numbered("c", 2), briefly())).has_value());
  EXPECT_FALSE(bed.run(bed.store->take(taking("c", 5), briefly())).has_value());
  EXPECT_FALSE(bed.run(bed.store->take(taking("c"), briefly())).has_value());
  EXPECT_FALSE(bed.run(bed.store->count(queue_of("c"), briefly())).has_value());
  EXPECT_FALSE(bed.run(bed.store->status(queue_of("c"), briefly())).has_value());
  EXPECT_FALSE(bed.run(bed.store->tail(connection, briefly())).has_value());
  EXPECT_FALSE(bed.run(bed.store->remove(connection, {MessageId("x")}, briefly())).has_value());
  EXPECT_FALSE(bed.run(bed.store->remove_all(connection, std::nullopt, briefly())).has_value());
  server_.start();
  const auto taken = bed.run(bed.store->take(taking("c", 5), soon()));
  ASSERT_TRUE(taken.has_value()) << taken.error().context;
  EXPECT_EQ(taken->size(), 1U) << "and it recovers";
}

TEST_F(RedisStoreTest, WithoutAReplicaNothingIsAnsweredAsReplicated) {
  RedisStore::Options options = store_options();
  options.durability = redis::Durability::replicated;
  StoreOnRedis bed(server_, options, clock_);
  const auto added = bed.run(bed.store->add(numbered("c", 1), Deadline::after(milliseconds(400))));
  EXPECT_FALSE(added.has_value());
  EXPECT_LE(bed.get(bed.store->count(queue_of("c"), soon())), 1U) << "tried again, stored once";
}

TEST_F(RedisStoreTest, WithoutAReplicaReadsDoNotWaitLongForOne) {
  RedisStore::Options options = store_options();
  options.durability = redis::Durability::replicated;
  StoreOnRedis bed(server_, options, clock_);
  (void)bed.run(bed.store->add(numbered("c", 0), soon()));  // finds out, in seconds
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 1; i <= 20; ++i) {
    const auto added = bed.run(bed.store->add(numbered("c", i), soon()));
    ASSERT_FALSE(added.has_value());
    EXPECT_EQ(added.error().context, "no replica of Redis has confirmed the write");
    EXPECT_GE(bed.get(bed.store->count(queue_of("c"), soon())), 1U);
  }
  // Each add is tried again twice; half a second for each would be half a minute.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(15));
}

TEST_F(RedisStoreTest, AMissingReplicaIsSaidByReadinessAndInTheLog) {
  const LogCapture logs;
  RedisStore::Options options = store_options();
  options.durability = redis::Durability::replicated;
  StoreOnRedis bed(server_, options, clock_);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(bed.run(bed.store->add(numbered("c", i), soon())).has_value());
  }
  const auto ready = bed.store->ready();
  ASSERT_FALSE(ready.has_value());
  EXPECT_EQ(ready.error().context, "no replica of Redis has confirmed the write");
  EXPECT_EQ(logs.with("no replica of Redis").size(), 1U);
}

TEST_F(RedisStoreTest, WhatCannotBeReadIsCorruptNotEmpty) {
  StoreOnRedis bed(server_, store_options(), clock_);
  server_.cli(
      {"XADD", bed.store->keys().queue(queue_of("c").connection), "*", "m", "nonsense", "p", "{}"});
  EXPECT_EQ(bed.run(bed.store->take(taking("c", 5), soon())).error().code, Errc::corrupt);
  EXPECT_FALSE(bed.run(bed.store->take(taking("c"), soon())).has_value());
  EXPECT_FALSE(bed.run(bed.store->status(queue_of("c"), soon())).has_value());
}

// --- what an operator is told -----------------------------------------------------------------

TEST_F(RedisStoreTest, TheCensusCountsQueues) {
  RedisStore::Options options = store_options();
  options.census_interval = milliseconds(20);
  StoreOnRedis bed(server_, options, clock_);
  for (const char* queue : {"a", "b", "c"}) add(bed, message_to(queue));
  const auto end = std::chrono::steady_clock::now() + seconds(10);
  while (bed.store->totals().queues != 3 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_EQ(bed.store->totals().queues, 3U);
}

TEST_F(RedisStoreTest, ARealServerIsExamined) {
  StoreOnRedis bed(server_, store_options(), clock_);
  server_.cli({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  const auto report =
      bed.get(redis::examine_servers(bed.client(), redis::Durability::primary, soon()));
  EXPECT_FALSE(report.fit());
  EXPECT_EQ(report.mode, "single server");
  EXPECT_EQ(report.primaries, 1U);
  ASSERT_EQ(report.versions.size(), 1U);
  EXPECT_NE(report.versions[0].find("edis "), std::string::npos) << report.versions[0];
  EXPECT_TRUE(std::any_of(report.findings.begin(), report.findings.end(), [](const auto& finding) {
    return finding.sentence.find("allkeys-lru") != std::string::npos;
  }));
}

TEST_F(RedisStoreTest, AServerThatHidesItsConfigurationIsExaminedByWhatItTells) {
  RedisServer shy({"rename-command CONFIG \"\""});
  StoreOnRedis bed(shy, store_options(), clock_);
  const auto report =
      bed.get(redis::examine_servers(bed.client(), redis::Durability::primary, soon()));
  EXPECT_TRUE(report.fit());
  EXPECT_TRUE(std::any_of(report.findings.begin(), report.findings.end(), [](const auto& finding) {
    return finding.severity == redis::ServerFinding::Severity::note;
  }));
}

}  // namespace mpr::test
