#include "tests/unit/client/client_bed.hpp"

namespace mpr::client {
namespace {

using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

class ClientReconnectTest : public ClientBed {};

// The head of a call to the end of the messageId; the rest is not compared.
bool same_add(const ScriptedGateway::Call& one, const ScriptedGateway::Call& other) {
  return one.method == "addMessage" && other.method == "addMessage" && one.params == other.params &&
         one.params.find(R"("messageId":")") != std::string::npos;
}

TEST_F(ClientReconnectTest, RepeatsAnAddWithTheSameMessageId) {
  connect();
  const std::string usual = gateway.answers["addMessage"];
  gateway.answers.erase("addMessage");  // the connection is dropped before the answer

  std::optional<Outcome<AddedMessage>> added;
  client->add_message({.connection_id = "phone-1", .payload = "{}"},
                      [&](Outcome<AddedMessage> outcome) { added = std::move(outcome); });
  run_until([&] { return gateway.count("addMessage") == 1; });
  gateway.answers["addMessage"] = usual;
  run_until([&] { return added.has_value(); });

  ASSERT_TRUE(*added) << added->error().text();
  EXPECT_EQ(gateway.methods(), (Texts{"rpc.on", "addMessage", "rpc.on", "addMessage"}));
  EXPECT_TRUE(same_add(gateway.calls[1], gateway.calls[3]));
}

TEST_F(ClientReconnectTest, KeepsItsNameOverReconnects) {
  ClientOptions options = quick_options();
  options.client_id = "mediator 1";
  connect(options);

  gateway.server.drop();
  run_until([&] { return gateway.server.handshakes.size() == 2; });

  for (const std::string& head : gateway.server.handshakes) {
    EXPECT_TRUE(head.starts_with("GET /?socket_id=mediator%201 HTTP/1.1\r\n")) << head;
  }
}

TEST_F(ClientReconnectTest, GoesOnForEver) {
  connect();
  const std::string usual = gateway.answers["rpc.on"];
  gateway.answers.erase("rpc.on");  // accepted, then dropped

  gateway.server.drop();
  run_until([&] { return gateway.count("rpc.on") == 12; });
  gateway.answers["rpc.on"] = usual;

  const auto counted = count();
  EXPECT_TRUE(counted) << counted.error().text();
}

TEST_F(ClientReconnectTest, GoesToTheNextGatewayWhenOneIsGone) {
  ScriptedGateway other(io);
  ClientOptions options = quick_options();
  options.urls = {gateway.url(), other.url()};
  connect(options);

  gateway.server.stop_listening();
  gateway.server.drop();
  const auto counted = count();

  EXPECT_EQ(counted, 7u);
  EXPECT_EQ(other.methods(), (Texts{"rpc.on", "getAvailableMessageCount"}));
}

TEST_F(ClientReconnectTest, FindsTheGatewayThatIsThereAtTheFirstConnect) {
  ScriptedGateway other(io);
  gateway.server.stop_listening();
  ClientOptions options = quick_options();
  options.urls = {gateway.url(), other.url()};

  connect(options);

  EXPECT_EQ(other.methods(), Texts{"rpc.on"});
}

TEST_F(ClientReconnectTest, FailsTheFirstConnectWhenEveryGatewayFailed) {
  gateway.server.stop_listening();
  make_client(quick_options());

  const auto connected = outcome_of<void>([&](auto done) { client->connect(std::move(done)); });

  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().kind, ErrorKind::no_connection);
  EXPECT_FALSE(count());
}

TEST_F(ClientReconnectTest, LogsInBeforeAnythingElse) {
  ClientOptions options = quick_options();
  options.token = "to\"ken";
  connect(options);

  gateway.server.drop();
  const auto counted = count();

  EXPECT_TRUE(counted);
  EXPECT_EQ(gateway.methods(),
            (Texts{"rpc.login", "rpc.on", "rpc.login", "rpc.on", "getAvailableMessageCount"}));
  EXPECT_EQ(gateway.calls[0].params, R"({"token":"to\"ken"})");
}

TEST_F(ClientReconnectTest, FailsTheFirstConnectWhenTheTokenIsRefused) {
  gateway.answers["rpc.login"] = R"("error":{"code":401,"message":"Unauthorized"})";
  ClientOptions options = quick_options();
  options.token = "wrong";
  make_client(options);

  const auto connected = outcome_of<void>([&](auto done) { client->connect(std::move(done)); });

  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().kind, ErrorKind::unauthorized);
  EXPECT_EQ(connected.error().text().find("wrong"), std::string::npos);
}

TEST_F(ClientReconnectTest, QueuesCallsUpToItsBoundAndSendsThemInOrder) {
  ClientOptions options = quick_options();
  options.max_queued_calls = 2;
  connect(options);
  gateway.server.holds_handshakes = true;
  gateway.server.drop();
  run_until([&] { return !client->connected(); });

  Texts outcomes;
  const auto note = [&](std::string name) {
    return [&outcomes, name](const auto& outcome) {
      outcomes.push_back(name +
                         (outcome ? " done" : " " + std::string(to_string(outcome.error().kind))));
    };
  };
  client->available_message_count({.connection_id = "a"}, note("first"));
  client->acknowledge("a", {}, note("second"));
  client->ping(note("third"));
  EXPECT_TRUE(outcomes.empty());  // never from inside the call
  run_until([&] { return outcomes.size() == 1; });
  gateway.server.answer_handshake();
  run_until([&] { return outcomes.size() == 3; });

  EXPECT_EQ(outcomes, (Texts{"third queue_full", "second done", "first done"}));
  // Acknowledgements go first of all.
  EXPECT_EQ(gateway.methods(),
            (Texts{"rpc.on", "acknowledge", "rpc.on", "getAvailableMessageCount"}));
}

TEST_F(ClientReconnectTest, FailsCallsThatWaitTooLongForAConnection) {
  ClientOptions options = quick_options();
  options.total_timeout = 500ms;
  connect(options);
  gateway.server.holds_handshakes = true;
  gateway.server.drop();
  run_until([&] { return !client->connected(); });

  const auto counted = count();

  ASSERT_FALSE(counted);
  EXPECT_EQ(counted.error().kind, ErrorKind::no_connection);
  EXPECT_EQ(gateway.methods(), Texts{"rpc.on"});
}

TEST_F(ClientReconnectTest, DoesNotRepeatATakeThatDeletes) {
  connect();
  gateway.answers.erase("takeFromQueue");

  const auto taken = outcome_of<std::vector<QueuedMessage>>([&](auto done) {
    client->take_from_queue({.connection_id = "a", .deletion = Deletion::in_the_take},
                            std::move(done));
  });
  settle();

  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().kind, ErrorKind::no_connection);
  EXPECT_EQ(gateway.count("takeFromQueue"), 1u);
}

TEST_F(ClientReconnectTest, GivesUpAGatewayThatSaysNothingAnyMore) {
  ClientOptions options = quick_options();
  options.heartbeat = 20ms;
  connect(options);
  gateway.answers["ping"] = "";

  run_until([&] { return gateway.server.handshakes.size() == 2; });

  EXPECT_GE(gateway.count("ping"), 1u);
}

TEST_F(ClientReconnectTest, TakesItsAnswersAndGoesWhenTheGatewayStops) {
  ScriptedGateway other(io);
  ClientOptions options = quick_options();
  options.urls = {gateway.url(), other.url()};
  connect(options);
  gateway.answers["addMessage"] = "";
  std::optional<Outcome<AddedMessage>> added;
  client->add_message({.connection_id = "a", .payload = "{}"},
                      [&](Outcome<AddedMessage> outcome) { added = std::move(outcome); });
  run_until([&] { return gateway.count("addMessage") == 1; });

  gateway.send_event("serverDraining", R"({"graceMilliseconds":3000})");
  run_until([&] { return events.size() == 1; });
  std::optional<Outcome<std::uint64_t>> counted;
  client->available_message_count({.connection_id = "a"},
                                  [&](Outcome<std::uint64_t> outcome) { counted = outcome; });
  gateway.answer(gateway.calls.back(),
                 R"("result":{"messageId":"m-1","receivedAt":"2026-01-31T12:00:00Z"})");
  run_until([&] { return added && counted; });

  EXPECT_TRUE(*added);
  EXPECT_EQ(std::get<ServerDraining>(events[0]).grace, 3000ms);
  EXPECT_EQ(gateway.count("addMessage"), 1u);
  EXPECT_EQ(other.methods(), (Texts{"rpc.on", "getAvailableMessageCount"}));
}

}  // namespace
}  // namespace mpr::client
