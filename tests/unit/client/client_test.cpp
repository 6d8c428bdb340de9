#include <mpr/client.hpp>

#include "tests/unit/client/client_bed.hpp"

namespace mpr::client {
namespace {

using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

class ClientTest : public ClientBed {};

std::string message_id_in(const ScriptedGateway::Call& call) {
  constexpr std::string_view kName = R"("messageId":")";
  const std::size_t begin = call.params.find(kName) + kName.size();
  return call.params.substr(begin, call.params.find('"', begin) - begin);
}

// --- calls and answers --------------------------------------------------------------------------

TEST_F(ClientTest, AddsAMessageWithAnIdOfItsOwn) {
  connect();

  const auto added = add(R"({"c": "\u00e9"})");

  ASSERT_TRUE(added);
  EXPECT_EQ(added->message_id, "m-1");
  EXPECT_EQ(added->received_at.time_since_epoch(), 1769860800123ms);
  const std::string id = message_id_in(gateway.calls.back());
  EXPECT_EQ(id.size(), 36u);
  EXPECT_EQ(
      gateway.calls.back().params,
      R"({"connectionId":"phone-1","recipientDids":[],"payload":{"c": "\u00e9"},"messageId":")" +
          id + "\"}");
}

TEST_F(ClientTest, WritesEveryParameterOfAMessage) {
  connect();
  NewMessage message{.connection_id = "a\"b", .payload = "{}", .message_id = "message-1"};
  message.recipient_dids = {"did:1", "did:2"};
  message.push_token = PushToken{"fcm", "secret", "project-1"};
  message.received_at = Time(1769860800123ms);
  message.ttl = 60s;

  const auto added =
      outcome_of<AddedMessage>([&](auto done) { client->add_message(message, std::move(done)); });

  EXPECT_TRUE(added);
  EXPECT_EQ(gateway.calls.back().params,
            R"({"connectionId":"a\"b","recipientDids":["did:1","did:2"],"payload":{},)"
            R"("messageId":"message-1","pushNotificationToken":{"type":"fcm","token":"secret",)"
            R"("project":"project-1"},"receivedAt":"2026-01-31T12:00:00.123Z","ttlSeconds":60})");
}

TEST_F(ClientTest, AddsManyMessagesWithAnIdEach) {
  gateway.answers["addMessages"] =
      R"("result":[{"messageId":"m-1","receivedAt":"2026-01-31T12:00:00Z"},)"
      R"({"messageId":"m-2","receivedAt":"2026-01-31T12:00:00Z"}])";
  connect();

  const auto added = outcome_of<std::vector<AddedMessage>>([&](auto done) {
    client->add_messages(
        {{.connection_id = "a", .payload = "{}"}, {.connection_id = "b", .payload = "{}"}},
        std::move(done));
  });

  ASSERT_TRUE(added);
  ASSERT_EQ(added->size(), 2u);
  EXPECT_EQ((*added)[1].message_id, "m-2");
  const std::string& params = gateway.calls.back().params;
  EXPECT_NE(params.find(R"("messageId":")"), params.rfind(R"("messageId":")"));
}

TEST_F(ClientTest, ReadsMessagesStatusAndAcknowledgement) {
  gateway.answers["takeFromQueue"] =
      R"("result":[{"id":"m-1","receivedAt":"2026-01-31T12:00:00Z","encryptedMessage":{"a": 1e2}}])";
  gateway.answers["getQueueStatus"] =
      R"("result":{"messageCount":2,"totalBytes":132,"oldestReceivedTime":"2026-01-31T12:00:00Z",)"
      R"("newestReceivedTime":null,"longestWaitedSeconds":9,"inFlight":1,"liveDelivery":true})";
  gateway.answers["__listMethods"] = R"("result":["ping","addMessage"])";
  connect();

  const auto taken = outcome_of<std::vector<QueuedMessage>>([&](auto done) {
    client->take_from_queue({.connection_id = "a", .recipient_did = "d", .limit = 5},
                            std::move(done));
  });
  const auto status = outcome_of<QueueStatus>(
      [&](auto done) { client->queue_status({.connection_id = "a"}, std::move(done)); });
  const auto left = outcome_of<Acknowledgement>(
      [&](auto done) { client->acknowledge("a", {"m-1"}, std::move(done)); });
  const auto methods = outcome_of<Texts>([&](auto done) { client->list_methods(std::move(done)); });

  ASSERT_TRUE(taken && status && left && methods);
  ASSERT_EQ(taken->size(), 1u);
  EXPECT_EQ((*taken)[0].payload, R"({"a": 1e2})");
  EXPECT_EQ(gateway.calls[1].params, R"({"connectionId":"a","recipientDid":"d","limit":5})");
  EXPECT_EQ(status->message_count, 2u);
  EXPECT_EQ(status->oldest_received, Time(1769860800000ms));
  EXPECT_EQ(status->newest_received, std::nullopt);
  EXPECT_EQ(status->longest_waited, 9s);
  EXPECT_EQ(status->in_flight, 1u);
  EXPECT_TRUE(status->live_delivery);
  EXPECT_EQ(left->removed, 1u);
  EXPECT_EQ(left->remaining, 2u);
  EXPECT_EQ(*methods, (Texts{"ping", "addMessage"}));
}

TEST_F(ClientTest, RemovesWhatItTookOnlyAfterReceipt) {
  gateway.answers["takeFromQueue"] =
      R"("result":[{"id":"m-1","receivedAt":"2026-01-31T12:00:00Z","encryptedMessage":{}}])";
  connect();

  const auto taken = outcome_of<std::vector<QueuedMessage>>([&](auto done) {
    client->take_from_queue({.connection_id = "a", .deletion = Deletion::after_receipt},
                            std::move(done));
  });

  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->size(), 1u);
  EXPECT_EQ(gateway.methods(), (Texts{"rpc.on", "takeFromQueue", "removeMessages"}));
  EXPECT_EQ(gateway.calls[1].params, R"({"connectionId":"a"})");
  EXPECT_EQ(gateway.calls[2].params, R"({"connectionId":"a","messageIds":["m-1"]})");
}

// --- errors -------------------------------------------------------------------------------------

TEST_F(ClientTest, GivesEveryErrorItsType) {
  const std::vector<std::pair<int, ErrorKind>> codes = {
      {401, ErrorKind::unauthorized},   {413, ErrorKind::too_large},
      {507, ErrorKind::quota_exceeded}, {-32602, ErrorKind::invalid_parameters},
      {503, ErrorKind::unavailable},    {504, ErrorKind::deadline_exceeded},
      {500, ErrorKind::remote},         {-32601, ErrorKind::remote}};
  connect();

  for (const auto& [code, kind] : codes) {
    gateway.answers["takeFromQueue"] = R"("error":{"code":)" + std::to_string(code) +
                                       R"(,"message":"No","data":{"details":"why"}})";
    // This one is not repeated, whatever the error.
    const auto taken = outcome_of<std::vector<QueuedMessage>>([&](auto done) {
      client->take_from_queue({.connection_id = "a", .deletion = Deletion::in_the_take},
                              std::move(done));
    });
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().kind, kind) << code;
    EXPECT_EQ(taken.error().code, code);
    EXPECT_EQ(taken.error().method, "takeFromQueue");
    EXPECT_EQ(taken.error().details, "why");
  }
}

TEST_F(ClientTest, FailsWithTheErrorThatStaysUntilTheTimeIsUp) {
  gateway.answers["addMessage"] = R"("error":{"code":503,"message":"Service unavailable"})";
  ClientOptions options = quick_options();
  options.total_timeout = 500ms;
  connect(options);

  auto added = add();
  // A pause of the machine over the end of that time is a timeout; then it is tried again.
  for (int n = 0; n < 20 && !added && added.error().kind == ErrorKind::timed_out; ++n) {
    added = add();
  }

  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().kind, ErrorKind::unavailable);
  EXPECT_GT(gateway.count("addMessage"), 1u);
}

TEST_F(ClientTest, SaysThatAnAnswerIsNotWhatTheProtocolPromises) {
  gateway.answers["getAvailableMessageCount"] = R"("result":"seven")";
  connect();

  const auto counted = count();

  ASSERT_FALSE(counted);
  EXPECT_EQ(counted.error().kind, ErrorKind::unexpected_answer);
}

TEST_F(ClientTest, RefusesWhatWouldBreakTheConnectionWithoutSendingIt) {
  ClientOptions options = quick_options();
  options.max_request_bytes = 1000;
  connect(options);
  const std::string deep = R"({"a":)" + std::string(130, '[') + std::string(130, ']') + "}";

  for (const std::string& payload : {std::string("text"), std::string("[1]"), std::string("{}, {}"),
                                     std::string("{\"a\":\"\xff\"}"), deep}) {
    const auto added = add(payload);
    ASSERT_FALSE(added) << payload;
    EXPECT_EQ(added.error().kind, ErrorKind::invalid_parameters);
  }
  const auto large = add(R"({"a":")" + std::string(1000, 'x') + "\"}");
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().kind, ErrorKind::too_large);
  const auto no_text =
      outcome_of<bool>([&](auto done) { client->has_live_session("\xff", std::move(done)); });
  ASSERT_FALSE(no_text);
  EXPECT_EQ(no_text.error().kind, ErrorKind::invalid_parameters);

  EXPECT_EQ(gateway.methods(), Texts{"rpc.on"});
}

TEST_F(ClientTest, RepeatsWhatTheGatewayCannotDoAtTheMoment) {
  gateway.answers["addMessage"] = R"("error":{"code":503,"message":"Service unavailable"})";
  connect();

  std::optional<Outcome<AddedMessage>> added;
  client->add_message({.connection_id = "a", .payload = "{}"},
                      [&](Outcome<AddedMessage> outcome) { added = std::move(outcome); });
  run_until([&] { return gateway.count("addMessage") == 1; });
  gateway.answers["addMessage"] =
      R"("result":{"messageId":"m-1","receivedAt":"2026-01-31T12:00:00Z"})";
  run_until([&] { return added.has_value(); });

  EXPECT_TRUE(*added);
  EXPECT_EQ(gateway.count("addMessage"), 2u);
  EXPECT_EQ(gateway.calls[1].params, gateway.calls[2].params);
}

TEST_F(ClientTest, FailsACallThatIsNotAnsweredInTime) {
  gateway.answers["addMessage"] = "";
  ClientOptions options = quick_options();
  options.call_timeout = 300ms;
  options.total_timeout = 340ms;
  connect(options);

  const auto added = add();

  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().kind, ErrorKind::timed_out);
}

TEST_F(ClientTest, RefusesCallsBeforeConnect) {
  make_client(quick_options());

  const auto counted = count();

  ASSERT_FALSE(counted);
  EXPECT_EQ(counted.error().kind, ErrorKind::not_connected);
}

TEST_F(ClientTest, NamesTheOptionThatIsWrong) {
  const auto complaint = [this](ClientOptions options) -> std::string {
    try {
      Client(io, std::move(options));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "none";
  };

  EXPECT_EQ(complaint({}), "urls: at least one address is needed");
  EXPECT_EQ(complaint({.urls = {"http://a"}}),
            "urls: url \"http://a\": must start with ws:// or wss://");
  EXPECT_EQ(complaint({.urls = {"ws://a"}, .call_timeout = 0ms}), "call_timeout: must be above 0");
}

}  // namespace
}  // namespace mpr::client
