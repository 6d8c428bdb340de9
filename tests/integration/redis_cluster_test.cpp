// The Redis client against a real cluster of three primaries and three replicas: redirections,
// migrations, failover.
#include <gtest/gtest.h>

#include <atomic>
#include <sstream>

#include "store/redis/slot.hpp"
#include "tests/integration/redis_bed.hpp"

namespace mpr::redis {
namespace {

using test::RedisCluster;

// One cluster for all tests of this file, because it takes seconds to make: each test leaves it
// whole.
class RedisClusterTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = new RedisCluster(); }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }
  void SetUp() override { cluster().wait_until_ok(); }

  static RedisCluster& cluster() { return *cluster_; }

  static void connect(Client& client) {
    RunLoop loop;
    const auto connected = loop.run(client.connect(Deadline::after(20s)));
    ASSERT_TRUE(connected.has_value()) << connected.error().context;
  }

 private:
  static RedisCluster* cluster_;
};

RedisCluster* RedisClusterTest::cluster_ = nullptr;

// Pushes numbers to lists of one slot in batches, until told to end.
Task<Pushes> push_until(Client& client, std::vector<std::string> keys, std::atomic<bool>& end,
                        Repeat repeat) {
  Pushes all;
  for (int first = 0; !end; first += 5) {
    std::vector<Task<Pushes>> tasks;
    for (const std::string& key : keys) {
      tasks.push_back(push_numbers(client, key, first, 5, repeat, 15s));
    }
    for (const Pushes& pushes : co_await when_all(std::move(tasks))) {
      all.answered.insert(all.answered.end(), pushes.answered.begin(), pushes.answered.end());
      all.uncertain.insert(all.uncertain.end(), pushes.uncertain.begin(), pushes.uncertain.end());
      all.failed.insert(all.failed.end(), pushes.failed.begin(), pushes.failed.end());
      all.errors.insert(all.errors.end(), pushes.errors.begin(), pushes.errors.end());
    }
  }
  co_return all;
}

TEST_F(RedisClusterTest, FindsTheNodeOfEveryKey) {
  Metrics metrics;
  Client client(options_for(cluster()), metrics);
  TestThread thread;
  RunLoop loop;
  for (int i = 0; i < 100; ++i) {
    const std::string key = "route-" + std::to_string(i);
    const auto set = loop.run(client.run_one(words({"SET", key, key}), Deadline::after(10s)));
    ASSERT_TRUE(set.has_value()) << set.error().error.context;
    EXPECT_EQ(set->text, "OK");
    const auto get = thread.run<Outcome<Value>>(
        [&] { return client.run_one(words({"GET", key}), Deadline::after(10s)); });
    ASSERT_TRUE(get.has_value()) << get.error().error.context;
    EXPECT_EQ(get->text, key);
  }
  EXPECT_TRUE(client.ready().has_value()) << client.ready().error().context;
  thread.end();
}

TEST_F(RedisClusterTest, NeedsOnlyOneReachableNodeToStart) {
  Metrics metrics;
  ClientOptions options = options_for(cluster());
  options.servers = {{"127.0.0.1", test::free_port()}, {"127.0.0.1", cluster().node(5).port()}};
  Client client(options, metrics);
  RunLoop loop;
  const auto connected = loop.run(client.connect(Deadline::after(5s)));
  EXPECT_TRUE(connected.has_value()) << connected.error().context;
}

TEST_F(RedisClusterTest, RunsOnEveryPrimary) {
  Metrics metrics;
  Client client(options_for(cluster()), metrics);
  connect(client);
  RunLoop loop;
  Request request("");
  request.add({"PING"}).add({"ROLE"});
  const auto answers = loop.run(client.run_everywhere(std::move(request), Deadline::after(5s)));
  ASSERT_TRUE(answers.has_value());
  ASSERT_EQ(answers->size(), 3u);
  for (const auto& answer : *answers) {
    ASSERT_TRUE(answer.values.has_value()) << answer.node;
    EXPECT_EQ(answer.values->at(0).text, "PONG");
    EXPECT_EQ(answer.values->at(1).items.at(0).text, "master");
  }
}

TEST_F(RedisClusterTest, FollowsASlotThatMoved) {
  Metrics metrics;
  Client client(patient_options_for(cluster()), metrics);
  connect(client);
  TestThread thread;
  const std::string key = "{moved}list";
  const auto before =
      thread.run<Pushes>([&] { return push_numbers(client, key, 0, 50, Repeat::never, 10s); });
  ASSERT_EQ(before.answered.size(), 50u);

  const std::size_t from = cluster().owner_of(slot_of(key));
  cluster().move_slot(slot_of(key), cluster().another_primary(from));
  const auto after =
      thread.run<Pushes>([&] { return push_numbers(client, key, 50, 50, Repeat::never, 10s); });

  EXPECT_EQ(after.answered.size(), 50u);
  const auto list = list_at(client, key);
  EXPECT_EQ(list.size(), 100u);
  EXPECT_TRUE(ascends(list));
  thread.end();
}

TEST_F(RedisClusterTest, KeepsTheOrderWhileASlotMigratesUnderLoad) {
  Metrics metrics;
  Client client(patient_options_for(cluster()), metrics);
  connect(client);
  TestThread thread;
  std::vector<std::string> keys;
  for (int i = 0; i < 20; ++i) keys.push_back("{migrate}" + std::to_string(i));
  const unsigned slot = slot_of(keys.front());
  std::atomic<bool> end = false;
  auto load = thread.start<Pushes>([&] { return push_until(client, keys, end, Repeat::never); });

  for (int round = 0; round < 3; ++round) {
    const std::size_t from = cluster().owner_of(slot);
    const std::size_t to = cluster().another_primary(from);
    cluster().begin_move(slot, from, to);
    while (cluster().move_keys(slot, from, to, 3) > 0) {
    }
    cluster().end_move(slot, from, to);
  }
  end = true;
  const Pushes pushes = load.get();

  EXPECT_TRUE(pushes.errors.empty()) << pushes.errors.front();
  EXPECT_TRUE(pushes.failed.empty()) << pushes.failed.size();
  EXPECT_TRUE(pushes.uncertain.empty()) << pushes.uncertain.size();
  std::size_t stored = 0;
  for (const std::string& key : keys) {
    const auto list = list_at(client, key);
    EXPECT_TRUE(ascends(list)) << key;
    stored += list.size();
  }
  EXPECT_EQ(stored, pushes.answered.size());
  EXPECT_GT(stored, keys.size());
  thread.end();
}

// Commands of one request whose keys are on both sides of a migration.
TEST_F(RedisClusterTest, RepeatsReadsBehindARedirectedWrite) {
  Metrics metrics;
  Client client(options_for(cluster()), metrics);
  connect(client);
  const std::string here = "{split}here";
  const std::string there = "{split}there";  // does not exist, so it is asked for at the target
  const unsigned slot = slot_of(here);
  RunLoop loop;
  ASSERT_TRUE(loop.run(client.run_one(words({"SET", here, "1"}), Deadline::after(5s))));
  const std::size_t from = cluster().owner_of(slot);
  const std::size_t to = cluster().another_primary(from);
  cluster().begin_move(slot, from, to);

  Request request(here);
  request.add({"INCR", here}).add({"SET", there, "x"});
  request.add({"GET", here}, Repeat::safe).add({"GET", there}, Repeat::safe);
  const auto values = loop.run(client.run(std::move(request), Deadline::after(5s)));

  while (cluster().move_keys(slot, from, to, 10) > 0) {
  }
  cluster().end_move(slot, from, to);
  ASSERT_TRUE(values.has_value()) << values.error().error.context;
  EXPECT_EQ(values->at(0).integer, 2);
  EXPECT_EQ(values->at(1).text, "OK");
  EXPECT_EQ(values->at(2).text, "2");
  EXPECT_EQ(values->at(3).text, "x");
}

TEST_F(RedisClusterTest, RepeatsARedirectedTransactionAsAWhole) {
  Metrics metrics;
  Client client(options_for(cluster()), metrics);
  connect(client);
  const std::string key = "{transaction}n";
  RunLoop loop;
  ASSERT_TRUE(loop.run(client.run_one(words({"SET", key, "1"}), Deadline::after(5s))));
  const std::size_t from = cluster().owner_of(slot_of(key));
  cluster().move_slot(slot_of(key), cluster().another_primary(from));

  Request request(key);
  request.add({"MULTI"}).add({"INCR", key}).add({"GET", key}).add({"EXEC"});
  const auto values = loop.run(client.run(std::move(request), Deadline::after(5s)));

  ASSERT_TRUE(values.has_value()) << values.error().error.context;
  ASSERT_TRUE(values->at(3).is_array()) << values->at(3).text;
  EXPECT_EQ(values->at(3).items.at(0).integer, 2);
  EXPECT_EQ(values->at(3).items.at(1).text, "2");
}

TEST_F(RedisClusterTest, SendsAScriptsTextWhereItIsAskedFor) {
  Metrics metrics;
  Client client(options_for(cluster()), metrics);
  connect(client);
  const std::string key = "{script}n";
  const Script script("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])");
  const std::size_t from = cluster().owner_of(slot_of(key));
  const std::size_t to = cluster().another_primary(from);
  cluster().begin_move(slot_of(key), from, to);
  RunLoop loop;
  const auto value =
      loop.run(client.eval(script, {key}, {"5"}, Repeat::never, Deadline::after(5s)));
  while (cluster().move_keys(slot_of(key), from, to, 10) > 0) {
  }
  cluster().end_move(slot_of(key), from, to);
  ASSERT_TRUE(value.has_value()) << value.error().error.context;
  EXPECT_EQ(value->integer, 5) << value->text;
}

TEST_F(RedisClusterTest, ConfirmsAReplicatedWrite) {
  Metrics metrics;
  Client client(options_for(cluster()), metrics);
  connect(client);
  RunLoop loop;
  Request request("replicated");
  request.add({"SET", "replicated", "1"}).durability(Durability::replicated);
  const auto values = loop.run(client.run(std::move(request), Deadline::after(5s)));
  ASSERT_TRUE(values.has_value()) << values.error().error.context;
  EXPECT_EQ(values->at(0).text, "OK");
}

TEST_F(RedisClusterTest, HearsAChannelWhoseSlotMoves) {
  Metrics metrics;
  Heard heard;
  Client client(options_for(cluster()), metrics);
  const std::string channel = "{channel}one";
  heard.listen(client, channel);
  ASSERT_TRUE(eventually(10s, [&] { return heard.connections() == 1; }));
  RunLoop loop;
  const auto told = loop.run(client.publish(channel, "first", Deadline::after(5s)));
  ASSERT_TRUE(told.has_value()) << told.error().error.context;
  EXPECT_EQ(*told, 1);
  ASSERT_TRUE(eventually(5s, [&] { return heard.messages().size() == 1; }));

  const std::size_t from = cluster().owner_of(slot_of(channel));
  cluster().move_slot(slot_of(channel), cluster().another_primary(from));
  ASSERT_TRUE(eventually(10s, [&] { return heard.connections() == 2; }));
  const auto again = loop.run(client.publish(channel, "second", Deadline::after(5s)));

  ASSERT_TRUE(again.has_value()) << again.error().error.context;
  EXPECT_EQ(*again, 1);
  EXPECT_TRUE(eventually(5s, [&] { return heard.messages().size() == 2; }));
  EXPECT_EQ(heard.messages(), (std::vector<std::string>{"first", "second"}));
}

TEST_F(RedisClusterTest, ReachesNodesThroughTheNatMap) {
  // The nodes know each other by addresses that the client shall not use.
  RedisCluster hidden({"bind 127.0.0.1 127.0.0.99", "cluster-announce-ip 127.0.0.99"});
  Metrics metrics;
  ClientOptions options = options_for(hidden);
  for (std::size_t i = 0; i < RedisCluster::kNodes; ++i) {
    const std::string port = std::to_string(hidden.node(i).port());
    options.nat_map.emplace_back("127.0.0.99:" + port, "127.0.0.1:" + port);
  }
  options.servers.resize(1);
  Client client(options, metrics);
  connect(client);
  TestThread thread;
  const std::string key = "{nat}list";
  const std::size_t from = hidden.owner_of(slot_of(key));
  hidden.move_slot(slot_of(key), hidden.another_primary(from));
  const auto pushes =
      thread.run<Pushes>([&] { return push_numbers(client, key, 0, 20, Repeat::never, 5s); });
  EXPECT_EQ(pushes.answered.size(), 20u);
  for (std::size_t i = 0; i < RedisCluster::kNodes; ++i) {
    std::istringstream clients(hidden.node(i).cli({"CLIENT", "LIST"}));
    for (std::string line; std::getline(clients, line);) {
      if (line.contains("name=mpr")) EXPECT_TRUE(line.contains("laddr=127.0.0.1:")) << line;
    }
  }
  thread.end();
}

// A primary that does not answer, without a word: its connections stay open.
TEST_F(RedisClusterTest, IsBackAfterAPrimaryWasPaused) {
  Metrics metrics;
  Heard heard;
  Client client(options_for(cluster()), metrics);
  connect(client);
  const std::string channel = "{paused}channel";
  heard.listen(client, channel);
  ASSERT_TRUE(eventually(10s, [&] { return heard.connections() == 1; }));
  TestThread thread;
  const std::vector<std::string> keys = {"{paused}a", "{paused}b", "elsewhere", "more"};
  std::atomic<bool> end = false;
  auto load = thread.start<Pushes>([&] { return push_until(client, keys, end, Repeat::never); });
  const std::size_t victim = cluster().owner_of(slot_of(channel));

  cluster().node(victim).pause();
  RunLoop loop;
  const auto pushed = loop.run(
      client.run_one(words({"SADD", "{paused}set", "1"}, Repeat::safe), Deadline::after(30s)));
  EXPECT_TRUE(eventually(30s, [&] { return client.ready().has_value(); }));
  EXPECT_TRUE(eventually(30s, [&] { return heard.connections() >= 2; }));
  end = true;
  const auto ended = load.wait_for(20s);
  cluster().node(victim).resume();
  ASSERT_EQ(ended, std::future_status::ready) << "a call hangs";
  const Pushes pushes = load.get();

  EXPECT_TRUE(pushed.has_value()) << pushed.error().error.context;
  EXPECT_TRUE(pushes.errors.empty()) << pushes.errors.front();
  EXPECT_GT(pushes.answered.size(), 0u);
  cluster().wait_until_ok();
  for (const std::string& key : keys) EXPECT_TRUE(ascends(list_at(client, key))) << key;
  thread.end();
}

// The last one: it takes the cluster's failover time.
TEST_F(RedisClusterTest, IsBackAfterAPrimaryWasKilled) {
  Metrics metrics;
  Heard heard;
  Client client(options_for(cluster()), metrics);
  connect(client);
  const std::string channel = "{failover}channel";
  heard.listen(client, channel);
  ASSERT_TRUE(eventually(10s, [&] { return heard.connections() == 1; }));
  TestThread thread;
  std::vector<std::string> keys;
  for (int i = 0; i < 30; ++i) keys.push_back("failover-" + std::to_string(i));
  keys.push_back("{failover}list");
  std::atomic<bool> end = false;
  auto load = thread.start<Pushes>([&] { return push_until(client, keys, end, Repeat::never); });
  const std::size_t victim = cluster().owner_of(slot_of(channel));

  cluster().node(victim).kill9();
  ASSERT_TRUE(eventually(5s, [&] { return !client.ready().has_value(); }));
  ASSERT_TRUE(eventually(30s, [&] { return client.ready().has_value(); }));
  ASSERT_TRUE(eventually(30s, [&] { return heard.connections() >= 2; }));
  RunLoop loop;
  const auto pushed =
      loop.run(client.run_one(words({"RPUSH", "{failover}list2", "1"}), Deadline::after(10s)));
  end = true;
  ASSERT_EQ(load.wait_for(20s), std::future_status::ready) << "a call hangs";
  const Pushes pushes = load.get();

  EXPECT_TRUE(pushed.has_value()) << pushed.error().error.context;
  EXPECT_TRUE(pushes.errors.empty()) << pushes.errors.front();
  EXPECT_GT(pushes.answered.size(), 0u);
  for (const std::string& key : keys) EXPECT_TRUE(ascends(list_at(client, key))) << key;
  const auto told = loop.run(client.publish(channel, "heard", Deadline::after(5s)));
  ASSERT_TRUE(told.has_value()) << told.error().error.context;
  EXPECT_EQ(*told, 1);
  thread.end();
  cluster().node(victim).start();
  cluster().wait_until_ok();
}

}  // namespace
}  // namespace mpr::redis
