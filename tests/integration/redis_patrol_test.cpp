// Queues that an interrupted add left in no index: found, entered, archived; on a single server and
// on a cluster.
#include <algorithm>

#include "pickup/archiver.hpp"
#include "store/redis/message_ids.hpp"
#include "store/redis/queue_patrol.hpp"
#include "tests/integration/redis_bed.hpp"
#include "tests/integration/store_bed.hpp"
#include "tests/support/log_capture.hpp"
#include "tests/support/memory_tiers.hpp"

namespace mpr::test {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

RedisStore::Options patrolling(milliseconds interval) {
  RedisStore::Options options = store_options();
  options.partitions = 16;
  options.patrol_interval = interval;
  return options;
}

class Installation {
 public:
  explicit Installation(redis::ClientOptions client)
      : bed_(std::move(client), patrolling(milliseconds(100)), clock_) {}

  void add_and_lose(const std::string& to) {
    bed_.get(bed_.store->add(message_to(to), StoreOnRedis::soon()));
    EXPECT_EQ(of_index({"ZREM", index_of(to), member_of(to)}, to).integer, 1);
  }
  bool is_indexed(const std::string& of) {
    return !of_index({"ZSCORE", index_of(of), member_of(of)}, of).is_null();
  }
  // What a pass of an archiver moves.
  Archiver::PassReport archive() {
    Archiver archiver({*bed_.store, &cold_, clock_, bed_.metrics}, {.threshold = milliseconds(0)});
    return bed_.loop.run(archiver.pass(StoreOnRedis::soon()));
  }

 private:
  static std::string member_of(const std::string& id) {
    return redis::encode_connection(queue_of(id).connection);
  }
  std::string index_of(const std::string& id) {
    const redis::Keys& keys = bed_.store->keys();
    return keys.of_partition("due", keys.partition_of(queue_of(id).connection));
  }
  redis::Value of_index(std::initializer_list<std::string_view> words, const std::string& id) {
    redis::Request request(index_of(id));
    request.add(words);
    auto answer = bed_.loop.run(bed_.client().run_one(std::move(request), StoreOnRedis::soon()));
    EXPECT_TRUE(answer.has_value()) << (answer ? "" : answer.error().error.context);
    return answer ? std::move(*answer) : redis::Value();
  }

  FakeClock clock_;
  StoreOnRedis bed_;
  ExpiryLedger expired_{bed_.metrics};
  MemoryColdStore cold_{clock_, expired_};
};

void expect_that_lost_queues_are_found(redis::ClientOptions client) {
  const LogCapture log;
  Installation installation(std::move(client));
  const std::vector<std::string> phones = {"a", "b", "c", "d", "e", "f"};
  for (const std::string& phone : phones) installation.add_and_lose(phone);
  EXPECT_TRUE(redis::eventually(seconds(60), [&] {
    return std::all_of(phones.begin(), phones.end(),
                       [&](const auto& p) { return installation.is_indexed(p); });
  }));
  EXPECT_EQ(installation.archive().archived, phones.size());
  EXPECT_TRUE(
      redis::eventually(seconds(60), [&] { return !log.with("were found and entered").empty(); }));
}

TEST(RedisPatrol, FindsLostQueuesOnASingleServer) {
  const RedisServer server;
  expect_that_lost_queues_are_found(StoreOnRedis::options_for(server));
}

TEST(RedisPatrol, FindsLostQueuesOnAllPrimariesOfACluster) {
  RedisCluster cluster;
  expect_that_lost_queues_are_found(redis::options_for(cluster));
}

TEST(RedisPatrol, IsTheTaskOfOneGatewayInAnInterval) {
  const RedisServer server;
  FakeClock clock;
  const StoreOnRedis one(server, patrolling(hours(1)), clock);
  const StoreOnRedis other(server, patrolling(hours(1)), clock);
  const auto calls = [&](const std::string& command) {
    const std::string stats = server.cli({"INFO", "commandstats"});
    const std::size_t at = stats.find("cmdstat_" + command + ":calls=");
    return at == std::string::npos ? 0 : std::stoi(stats.substr(stats.find('=', at) + 1));
  };
  EXPECT_TRUE(
      redis::eventually(seconds(60), [&] { return calls("set") == 2 && calls("scan") > 0; }));
  EXPECT_EQ(calls("scan"), 1);
}

TEST(RedisPatrol, KnowsItsOwnQueuesOnly) {
  const redis::Keys keys("a*[b", 16);
  const Connection phone{TenantId("tenant"), ConnectionId("x}:q:1:y")};
  const auto found = redis::QueuePatrol::connection_of(keys, keys.queue(phone));
  ASSERT_TRUE(found.has_value());
  EXPECT_TRUE(*found == phone);
  const redis::Keys others("other", 16);
  for (const std::string& key :
       {keys.session(phone), others.queue(phone), keys.of_connection("n", phone),
        std::string("{a*[b:p0001}:q:nonsense"), keys.queue(phone) + "more", std::string()}) {
    EXPECT_FALSE(redis::QueuePatrol::connection_of(keys, key).has_value()) << key;
  }
}

TEST(RedisPatrol, TakesAPrefixAsItIs) {
  const RedisServer server;
  FakeClock clock;
  RedisStore::Options options = patrolling(milliseconds(100));
  options.prefix = "a*[b";
  StoreOnRedis bed(server, options, clock);
  bed.get(bed.store->add(message_to("c"), StoreOnRedis::soon()));
  const redis::Keys& keys = bed.store->keys();
  const Connection phone = queue_of("c").connection;
  const std::string index = keys.of_partition("due", keys.partition_of(phone));
  server.cli({"DEL", index});
  EXPECT_TRUE(redis::eventually(seconds(60), [&] { return server.cli({"ZCARD", index}) == "1"; }));
}

}  // namespace

}  // namespace mpr::test
