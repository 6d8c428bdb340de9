// The Redis client against real single servers: logins, TLS, deadlines, broken connections.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/integration/redis_bed.hpp"

namespace mpr::redis {
namespace {

using test::RedisServer;

TEST(RedisClient, AnswersEveryCommandOfARequestInOrder) {
  RedisServer server;
  Metrics metrics;
  Client client(options_for(server), metrics);
  RunLoop loop;

  Request request("a");
  request.add({"SET", "a", "1"}).add({"INCR", "a"}).add({"GET", "a"}).add({"LPUSH", "a", "x"});
  const auto values = loop.run(client.run(std::move(request), Deadline::after(5s)));

  ASSERT_TRUE(values.has_value()) << values.error().error.context;
  ASSERT_EQ(values->size(), 4u);
  EXPECT_EQ((*values)[0].text, "OK");
  EXPECT_EQ((*values)[1].integer, 2);
  EXPECT_EQ((*values)[2].text, "2");
  EXPECT_TRUE((*values)[3].is_error());
  EXPECT_TRUE((*values)[3].text.starts_with("WRONGTYPE"));
}

TEST(RedisClient, RunsWhatAnIoThreadStartsInOrder) {
  RedisServer server;
  Metrics metrics;
  Client client(patient_options_for(server), metrics);
  TestThread thread;

  const Pushes pushes = thread.run<Pushes>(
      [&] { return push_numbers(client, "list", 0, 20'000, Repeat::never, 20s); });

  EXPECT_EQ(pushes.answered.size(), 20'000u);
  const auto list = list_at(client, "list");
  EXPECT_EQ(list.size(), 20'000u);
  EXPECT_TRUE(ascends(list));
  thread.end();
}

TEST(RedisClient, CarriesLargeAndBinaryValues) {
  RedisServer server;
  Metrics metrics;
  Client client(options_for(server), metrics);
  RunLoop loop;
  std::string large(20 << 20, 'x');
  for (std::size_t i = 0; i < large.size(); i += 97) large[i] = static_cast<char>(i);

  ASSERT_TRUE(loop.run(client.run_one(words({"SET", "large", large}), Deadline::after(20s))));
  const auto value = loop.run(client.run_one(words({"GET", "large"}), Deadline::after(20s)));

  ASSERT_TRUE(value.has_value()) << value.error().error.context;
  EXPECT_TRUE(value->text == large);
}

TEST(RedisClient, SendsTheTextOfAScriptThatTheServerDoesNotKnow) {
  RedisServer server;
  Metrics metrics;
  Client client(options_for(server), metrics);
  RunLoop loop;
  const Script script("echo", "return {KEYS[1], ARGV[1]}");

  for (int i = 0; i < 2; ++i) {
    const auto value =
        loop.run(client.eval(script, {"k"}, {"v"}, Repeat::never, Deadline::after(5s)));
    ASSERT_TRUE(value.has_value()) << value.error().error.context;
    ASSERT_EQ(value->items.size(), 2u);
    EXPECT_EQ(value->items[0].text, "k");
    EXPECT_EQ(value->items[1].text, "v");
  }
  const std::string statistics = server.cli({"INFO", "commandstats"});
  EXPECT_TRUE(statistics.contains("cmdstat_evalsha:calls=2")) << statistics;
  EXPECT_TRUE(statistics.contains("cmdstat_eval:calls=1")) << statistics;
}

TEST(RedisClient, AnswersARequestWithoutCommands) {
  RedisServer server;
  Metrics metrics;
  Client client(options_for(server), metrics);
  RunLoop loop;
  const auto values = loop.run(client.run(Request("a"), Deadline::after(5s)));
  ASSERT_TRUE(values.has_value());
  EXPECT_TRUE(values->empty());
}

// --- logging in ------------------------------------------------------------------------------

TEST(RedisClient, LogsInWithAPasswordAndSelectsTheDatabase) {
  RedisServer server({"requirepass secret"});
  server.cli_options({"-a", "secret"});
  Metrics metrics;
  ClientOptions options = options_for(server);
  options.login.password = "secret";
  options.login.database = 3;
  Client client(options, metrics);
  RunLoop loop;
  const auto value = loop.run(client.run_one(words({"SET", "a", "1"}), Deadline::after(5s)));
  ASSERT_TRUE(value.has_value()) << value.error().error.context;
  EXPECT_EQ(server.cli({"-n", "3", "GET", "a"}), "1");
}

TEST(RedisClient, LogsInAsAUser) {
  RedisServer server({"user mpr on >secret ~mpr:* +@all", "user default off"});
  server.cli_options({"--user", "mpr", "-a", "secret"});
  Metrics metrics;
  ClientOptions options = options_for(server);
  options.login.user = "mpr";
  options.login.password = "secret";
  Client client(options, metrics);
  RunLoop loop;
  const auto value = loop.run(client.run_one(words({"SET", "mpr:a", "1"}), Deadline::after(5s)));
  ASSERT_TRUE(value.has_value()) << value.error().error.context;
  EXPECT_EQ(value->text, "OK");
  const auto denied = loop.run(client.run_one(words({"SET", "a", "1"}), Deadline::after(5s)));
  ASSERT_TRUE(denied.has_value());
  EXPECT_EQ(error_of(*denied).code, Errc::unavailable);
}

TEST(RedisClient, SaysWhyALoginIsRefused) {
  RedisServer server({"requirepass secret"});
  server.cli_options({"-a", "secret"});
  Metrics metrics;
  const auto reason = [&](Login login) {
    ClientOptions options = options_for(server);
    options.login = std::move(login);
    Client client(options, metrics);
    RunLoop loop;
    const auto connected = loop.run(client.connect(Deadline::after(2s)));
    EXPECT_FALSE(connected.has_value());
    return connected ? std::string() : connected.error().context;
  };
  Login wrong;
  wrong.password = "guess";
  const std::string refused = reason(wrong);
  EXPECT_TRUE(refused.contains("the login is refused: WRONGPASS")) << refused;
  EXPECT_FALSE(refused.contains("guess")) << refused;
  EXPECT_TRUE(reason({}).contains("NOAUTH")) << reason({});
  Login far;
  far.password = "secret";
  far.database = 99;
  EXPECT_TRUE(reason(far).contains("database 99 cannot be selected")) << reason(far);
}

// A test authority and a server certificate for "localhost" and 127.0.0.1.
class Certificates {
 public:
  Certificates() {
    openssl({"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test CA",
             "-keyout", path("ca.key"), "-out", path("ca.pem")});
    openssl({"req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=redis", "-keyout",
             path("server.key"), "-out", path("server.csr")});
    std::ofstream(path("san")) << "subjectAltName=DNS:localhost,IP:127.0.0.1\n";
    openssl({"x509", "-req", "-in", path("server.csr"), "-CA", path("ca.pem"), "-CAkey",
             path("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", path("san"), "-out",
             path("server.pem")});
    openssl({"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Other CA",
             "-keyout", path("other.key"), "-out", path("other.pem")});
  }

  std::string path(const std::string& name) const { return (directory_.path() / name).string(); }

  std::vector<std::string> config(std::uint16_t port) const {
    return {"tls-port " + std::to_string(port), "tls-cert-file " + path("server.pem"),
            "tls-key-file " + path("server.key"), "tls-ca-cert-file " + path("ca.pem"),
            "tls-auth-clients no"};
  }

 private:
  static void openssl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "openssl");
    const auto outcome = test::run_command(arguments);
    if (outcome.status != 0) throw std::runtime_error("openssl: " + outcome.output);
  }

  test::TemporaryDirectory directory_;
};

TEST(RedisClient, SpeaksTlsWithAServerThatItCanVerify) {
  Certificates certificates;
  const std::uint16_t port = test::free_port();
  RedisServer server(certificates.config(port));
  Metrics metrics;
  for (const std::string host : {"127.0.0.1", "localhost"}) {
    ClientOptions options;
    options.servers = {{host, port}};
    options.silence_limit = 20s;
    options.login.tls = Tls::on;
    options.login.ca_file = certificates.path("ca.pem");
    Client client(options, metrics);
    TestThread thread;
    const std::string key = "list-" + host;
    const Pushes pushes =
        thread.run<Pushes>([&] { return push_numbers(client, key, 0, 5000, Repeat::never, 20s); });
    EXPECT_EQ(pushes.answered.size(), 5000u);
    EXPECT_TRUE(ascends(list_at(client, key)));
    thread.end();
  }
}

TEST(RedisClient, RefusesACertificateThatItCannotVerify) {
  Certificates certificates;
  const std::uint16_t port = test::free_port();
  RedisServer server(certificates.config(port));
  Metrics metrics;
  const auto reason = [&](const std::string& host, const std::string& ca) {
    ClientOptions options;
    options.servers = {{host, port}};
    options.login.tls = Tls::on;
    options.login.ca_file = certificates.path(ca);
    Client client(options, metrics);
    RunLoop loop;
    const auto connected = loop.run(client.connect(Deadline::after(2s)));
    return connected ? std::string() : connected.error().context;
  };
  const std::string untrusted = reason("127.0.0.1", "other.pem");
  EXPECT_TRUE(untrusted.contains("certificate is not accepted")) << untrusted;
  const std::string other_name = reason("127.0.0.2", "ca.pem");
  EXPECT_TRUE(other_name.contains("Connection refused")) << other_name;
  const std::string missing = reason("127.0.0.1", "nowhere.pem");
  EXPECT_TRUE(missing.contains("nowhere.pem: No such file or directory")) << missing;
}

TEST(RedisClient, RefusesACertificateOfAnotherName) {
  Certificates certificates;
  const std::uint16_t port = test::free_port();
  auto config = certificates.config(port);
  config.emplace_back("bind 127.0.0.1 127.0.0.2");
  RedisServer server(config);
  Metrics metrics;
  ClientOptions options;
  options.servers = {{"127.0.0.2", port}};
  options.login.tls = Tls::on;
  options.login.ca_file = certificates.path("ca.pem");
  Client client(options, metrics);
  RunLoop loop;
  const auto connected = loop.run(client.connect(Deadline::after(2s)));
  ASSERT_FALSE(connected.has_value());
  EXPECT_TRUE(connected.error().context.contains("IP address mismatch"))
      << connected.error().context;
}

// --- deadlines and broken connections --------------------------------------------------------

TEST(RedisClient, FailsAtTheDeadlineWhenNobodyListens) {
  RedisServer server;
  server.kill9();
  Metrics metrics;
  Client client(options_for(server), metrics);
  RunLoop loop;

  const auto begin = std::chrono::steady_clock::now();
  const auto value = loop.run(client.run_one(words({"GET", "a"}), Deadline::after(300ms)));
  const auto took = std::chrono::steady_clock::now() - begin;

  ASSERT_FALSE(value.has_value());
  EXPECT_EQ(value.error().error.code, Errc::deadline_exceeded);
  EXPECT_FALSE(value.error().maybe_executed);
  EXPECT_TRUE(value.error().error.context.contains("Connection refused"))
      << value.error().error.context;
  EXPECT_GE(took, 300ms);
  EXPECT_LT(took, 2s);
}

TEST(RedisClient, ConnectsByItselfWhenTheServerComes) {
  RedisServer server;
  server.kill9();
  Metrics metrics;
  Client client(options_for(server), metrics);
  TestThread thread;
  auto value = thread.start<Outcome<Value>>(
      [&] { return client.run_one(words({"SET", "a", "1"}), Deadline::after(20s)); });
  EXPECT_EQ(value.wait_for(200ms), std::future_status::timeout);
  server.start();
  const auto outcome = value.get();
  EXPECT_TRUE(outcome.has_value()) << outcome.error().error.context;
  EXPECT_TRUE(eventually(5s, [&] { return client.ready().has_value(); }));
  thread.end();
}

TEST(RedisClient, AnswersInTimeWhileTheServerIsPausedAndRecovers) {
  RedisServer server;
  Metrics metrics;
  Client client(options_for(server), metrics);
  TestThread thread;
  ASSERT_EQ(thread.run<Pushes>([&] { return push_numbers(client, "a", 0, 10, Repeat::never, 5s); })
                .answered.size(),
            10u);

  server.pause();
  const auto begin = std::chrono::steady_clock::now();
  const auto late = thread.run<Outcome<Value>>(
      [&] { return client.run_one(words({"INCR", "n"}), Deadline::after(300ms)); });
  const auto took = std::chrono::steady_clock::now() - begin;
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().error.code, Errc::deadline_exceeded);
  EXPECT_TRUE(late.error().maybe_executed);
  EXPECT_LT(took, 5s);
  EXPECT_TRUE(eventually(5s, [&] { return !client.ready().has_value(); }));

  server.resume();
  // The answer to the late request belongs to nobody any more.
  const auto value = thread.run<Outcome<Value>>(
      [&] { return client.run_one(words({"GET", "other"}), Deadline::after(10s)); });
  ASSERT_TRUE(value.has_value()) << value.error().error.context;
  EXPECT_TRUE(value->is_null());
  EXPECT_TRUE(eventually(5s, [&] { return client.ready().has_value(); }));
  thread.end();
}

TEST(RedisClient, ClosesASilentConnectionAndRepeatsWhatIsSafe) {
  RedisServer server;
  Metrics metrics;
  Client client(options_for(server), metrics);
  TestThread thread;
  ASSERT_TRUE(thread.run<Outcome<Value>>(
      [&] { return client.run_one(words({"SET", "a", "1"}), Deadline::after(5s)); }));
  server.pause();
  auto unsafe = thread.start<Outcome<Value>>(
      [&] { return client.run_one(words({"INCR", "n"}), Deadline::after(20s)); });
  auto safe = thread.start<Outcome<Value>>(
      [&] { return client.run_one(words({"GET", "a"}, Repeat::safe), Deadline::after(20s)); });

  const auto failed = unsafe.get();
  server.resume();
  const auto value = safe.get();

  ASSERT_FALSE(failed.has_value());
  EXPECT_TRUE(failed.error().maybe_executed);
  EXPECT_EQ(failed.error().error.code, Errc::unavailable);
  EXPECT_TRUE(failed.error().error.context.contains("no answer within"))
      << failed.error().error.context;
  ASSERT_TRUE(value.has_value()) << value.error().error.context;
  EXPECT_EQ(value->text, "1");
  thread.end();
}

// Nothing is lost and nothing done twice while connections are cut again and again.
TEST(RedisClient, NeverRepeatsWhatMayHaveBeenExecuted) {
  RedisServer server;
  Metrics metrics;
  Client client(options_for(server), metrics);
  TestThread thread;
  std::size_t answered = 0;
  std::size_t uncertain = 0;
  std::vector<std::string> sure;
  for (int round = 0; round < 10; ++round) {
    auto pushes = thread.start<Pushes>(
        [&] { return push_numbers(client, "list", round * 3000, 3000, Repeat::never, 20s); });
    server.cli({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    const Pushes outcome = pushes.get();
    EXPECT_TRUE(outcome.failed.empty());
    EXPECT_TRUE(outcome.errors.empty());
    answered += outcome.answered.size();
    uncertain += outcome.uncertain.size();
    sure.insert(sure.end(), outcome.answered.begin(), outcome.answered.end());
  }
  const auto list = list_at(client, "list");
  EXPECT_TRUE(ascends(list));
  EXPECT_GE(list.size(), answered);
  EXPECT_LE(list.size(), answered + uncertain);
  EXPECT_EQ(answered + uncertain, 30'000u);
  std::size_t found = 0;  // both ascend
  for (const std::string& number : list) found += found < sure.size() && sure[found] == number;
  EXPECT_EQ(found, sure.size());
  thread.end();
}

TEST(RedisClient, RepeatsSafeRequestsOverBrokenConnections) {
  RedisServer server;
  Metrics metrics;
  Client client(options_for(server), metrics);
  TestThread thread;
  for (int round = 0; round < 5; ++round) {
    auto pushes = thread.start<Pushes>(
        [&] { return push_numbers(client, "list", round * 3000, 3000, Repeat::safe, 20s); });
    server.cli({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    EXPECT_EQ(pushes.get().answered.size(), 3000u);
  }
  thread.end();
}

TEST(RedisClient, IsBackAfterTheServerWasKilledUnderLoad) {
  RedisServer server({"appendonly yes", "appendfsync always"});
  Metrics metrics;
  Client client(options_for(server), metrics);
  TestThread thread;
  auto pushes = thread.start<Pushes>(
      [&] { return push_numbers(client, "list", 0, 20'000, Repeat::never, 20s); });
  ASSERT_TRUE(eventually(10s, [&] { return server.cli({"EXISTS", "list"}) == "1"; }));
  server.kill9();
  server.start();
  const Pushes outcome = pushes.get();
  EXPECT_TRUE(outcome.errors.empty());
  const auto list = list_at(client, "list");
  EXPECT_TRUE(ascends(list));
  EXPECT_GE(list.size(), outcome.answered.size());
  EXPECT_LE(list.size(), outcome.answered.size() + outcome.uncertain.size());
  EXPECT_TRUE(eventually(5s, [&] { return client.ready().has_value(); }));
  thread.end();
}

// What expired while the server was away must not hold back its slot in the next outage.
TEST(RedisClient, IsBackAfterTwoOutagesInWhichRequestsExpired) {
  RedisServer server;
  Metrics metrics;
  Client client(options_for(server), metrics);
  TestThread thread;
  for (int round = 0; round < 2; ++round) {
    server.kill9();
    const auto expired = thread.run<Outcome<Value>>(
        [&] { return client.run_one(words({"GET", "a"}, Repeat::safe), Deadline::after(200ms)); });
    EXPECT_FALSE(expired.has_value());
    server.start();
    const auto back = thread.run<Outcome<Value>>(
        [&] { return client.run_one(words({"GET", "a"}, Repeat::safe), Deadline::after(10s)); });
    EXPECT_TRUE(back.has_value()) << back.error().error.context;
    server.pause();
    auto broken = thread.start<Outcome<Value>>(
        [&] { return client.run_one(words({"GET", "a"}, Repeat::safe), Deadline::after(10s)); });
    EXPECT_EQ(broken.wait_for(100ms), std::future_status::timeout);
    server.kill9();
    server.start();
    const auto repeated = broken.get();
    EXPECT_TRUE(repeated.has_value()) << repeated.error().error.context;
  }
  thread.end();
}

TEST(RedisClient, WaitsForAReplicaToBecomeThePrimary) {
  RedisServer primary({"repl-diskless-sync-delay 0"});
  RedisServer replica({"replicaof 127.0.0.1 " + std::to_string(primary.port())});
  ASSERT_TRUE(eventually(
      20s, [&] { return replica.cli({"INFO", "replication"}).contains("master_link_status:up"); }));
  Metrics metrics;
  Client client(options_for(replica), metrics);
  TestThread thread;
  auto value = thread.start<Outcome<Value>>(
      [&] { return client.run_one(words({"SET", "a", "1"}), Deadline::after(20s)); });
  EXPECT_EQ(value.wait_for(300ms), std::future_status::timeout);
  replica.cli({"REPLICAOF", "NO", "ONE"});
  const auto outcome = value.get();
  ASSERT_TRUE(outcome.has_value()) << outcome.error().error.context;
  EXPECT_EQ(outcome->text, "OK");
  thread.end();
}

TEST(RedisClient, SaysThatASingleServerIsPartOfACluster) {
  RedisServer server({"cluster-enabled yes"}, 10'000);
  ASSERT_EQ(server.cli({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"}), "OK");
  RedisServer other({"cluster-enabled yes"}, 10'000);
  server.cli({"CLUSTER", "MEET", "127.0.0.1", std::to_string(other.port())});
  const std::string id = other.cli({"CLUSTER", "MYID"});
  ASSERT_TRUE(eventually(20s, [&] {
    return server.cli({"CLUSTER", "SETSLOT", "15495", "NODE", id}) == "OK";  // of the key "a"
  }));
  ASSERT_TRUE(eventually(
      20s, [&] { return server.cli({"CLUSTER", "INFO"}).contains("cluster_state:ok"); }));
  Metrics metrics;
  Client client(options_for(server), metrics);
  RunLoop loop;
  const auto value = loop.run(client.run_one(words({"GET", "a"}), Deadline::after(5s)));
  ASSERT_FALSE(value.has_value());
  EXPECT_TRUE(value.error().error.context.contains("configured as a single server"))
      << value.error().error.context;
}

TEST(RedisClient, FailsAReplicatedWriteThatNoReplicaHas) {
  RedisServer server;
  Metrics metrics;
  Client client(options_for(server), metrics);
  RunLoop loop;
  Request request("a");
  request.add({"SET", "a", "1"}).durability(Durability::replicated);
  const auto values = loop.run(client.run(std::move(request), Deadline::after(5s)));
  ASSERT_FALSE(values.has_value());
  EXPECT_EQ(values.error().error.code, Errc::unavailable);
  EXPECT_TRUE(values.error().maybe_executed);
}

TEST(RedisClient, RefusesRequestsBeyondItsMemory) {
  RedisServer server;
  server.kill9();
  Metrics metrics;
  ClientOptions options = options_for(server);
  options.most_waiting_bytes = 100;
  Client client(options, metrics);
  TestThread thread;
  const Pushes pushes = thread.run<Pushes>(
      [&] { return push_numbers(client, "list", 0, 100, Repeat::never, 300ms); });
  EXPECT_EQ(pushes.failed.size(), 100u);
  thread.end();
}

TEST(RedisClient, AnswersWithFreshConnectionsOnEachThread) {
  RedisServer server;
  Metrics metrics;
  Client client(patient_options_for(server), metrics);
  for (int round = 0; round < 3; ++round) {
    TestThread first;
    TestThread second;
    auto a = first.start<Pushes>(
        [&] { return push_numbers(client, "a", round * 100, 100, Repeat::never, 10s); });
    auto b = second.start<Pushes>(
        [&] { return push_numbers(client, "b", round * 100, 100, Repeat::never, 10s); });
    EXPECT_EQ(a.get().answered.size(), 100u);
    EXPECT_EQ(b.get().answered.size(), 100u);
  }
}

// --- channels --------------------------------------------------------------------------------

TEST(RedisClient, HearsChannelsAgainAfterARestart) {
  RedisServer server;
  server.kill9();
  Metrics metrics;
  Heard one;
  Heard two;
  Client client(options_for(server), metrics);
  one.listen(client, "one");
  two.listen(client, "two");
  server.start();
  ASSERT_TRUE(eventually(10s, [&] { return one.connections() == 1 && two.connections() == 1; }));
  RunLoop loop;
  const auto told = loop.run(client.publish("one", "first", Deadline::after(5s)));
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(*told, 1);
  ASSERT_TRUE(eventually(5s, [&] { return one.messages().size() == 1; }));

  server.kill9();
  server.start();
  ASSERT_TRUE(eventually(10s, [&] { return one.connections() == 2 && two.connections() == 2; }));
  ASSERT_TRUE(loop.run(client.publish("one", "second", Deadline::after(5s))));
  ASSERT_TRUE(loop.run(client.publish("two", std::string("a\0b", 3), Deadline::after(5s))));

  EXPECT_TRUE(
      eventually(5s, [&] { return one.messages().size() == 2 && !two.messages().empty(); }));
  EXPECT_EQ(one.messages(), (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(two.messages(), (std::vector<std::string>{std::string("a\0b", 3)}));
}

TEST(RedisClient, NoticesAPausedServerOnItsChannels) {
  RedisServer server;
  Metrics metrics;
  Heard heard;
  Client client(options_for(server), metrics);
  heard.listen(client, "one");
  ASSERT_TRUE(eventually(10s, [&] { return heard.connections() == 1; }));
  server.pause();
  ASSERT_TRUE(eventually(10s, [&] { return !client.ready().has_value(); }));
  // Longer than the silence that a channel's connection may keep.
  EXPECT_FALSE(eventually(4s, [&] { return heard.connections() > 1; }));
  server.resume();
  EXPECT_TRUE(eventually(10s, [&] { return heard.connections() == 2; }));
}

}  // namespace
}  // namespace mpr::redis
