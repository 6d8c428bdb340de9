#include "tests/unit/client/client_bed.hpp"

namespace mpr::client {
namespace {

using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

class ClientSessionsTest : public ClientBed {};

constexpr std::string_view kSession = R"({"connectionId":"phone-1","sessionId":"session-1"})";
constexpr std::string_view kResumed =
    R"({"connectionId":"phone-1","sessionId":"session-1","resume":true})";

TEST_F(ClientSessionsTest, ReadsEveryEvent) {
  connect();

  gateway.send_event("weather", R"({"rain":true})");
  gateway.send_event(
      "messagesReceived",
      R"({"connectionId":"phone-1","messages":[{"id":"m-1","receivedAt":"2026-01-31T12:00:00Z",)"
      R"("encryptedMessage":{"a": 1}}],"id":""})");
  gateway.send_event("liveSessionReplaced", kSession);
  gateway.send_event("pushTokenInvalid", R"({"connectionId":"phone-1","type":"fcm",)"
                                         R"("tokenSha256":"00ff","reason":"UNREGISTERED"})");
  run_until([&] { return events.size() == 3; });

  const auto& received = std::get<MessagesReceived>(events[0]);
  EXPECT_EQ(received.connection_id, "phone-1");
  ASSERT_EQ(received.messages.size(), 1u);
  EXPECT_EQ(received.messages[0].payload, R"({"a": 1})");
  EXPECT_EQ(std::get<LiveSessionReplaced>(events[1]).session_id, "session-1");
  EXPECT_EQ(std::get<PushTokenInvalid>(events[2]).reason, "UNREGISTERED");
}

TEST_F(ClientSessionsTest, OpensSessionsAgainAndFetchesWhatCameMeanwhile) {
  connect();
  open_session();
  gateway.answers["takeFromQueue"] =
      R"("result":[{"id":"m-1","receivedAt":"2026-01-31T12:00:00Z","encryptedMessage":{}}])";

  gateway.server.drop();
  run_until([&] { return events.size() == 1; });

  EXPECT_EQ(gateway.methods(),
            (Texts{"rpc.on", "addLiveSession", "rpc.on", "addLiveSession", "takeFromQueue"}));
  EXPECT_EQ(gateway.calls[1].params, kSession);
  EXPECT_EQ(gateway.calls[3].params, kResumed);
  EXPECT_EQ(gateway.calls[4].params, R"({"connectionId":"phone-1","limit":50})");
  EXPECT_EQ(std::get<MessagesReceived>(events[0]).messages[0].id, "m-1");
}

TEST_F(ClientSessionsTest, LeavesAPhoneThatWentElsewhereMeanwhile) {
  connect();
  open_session();
  gateway.answers["addLiveSession"] = R"("result":false)";
  gateway.server.drop();
  run_until([&] { return events.size() == 1; });
  EXPECT_EQ(std::get<LiveSessionReplaced>(events[0]).session_id, "session-1");

  gateway.calls.clear();
  gateway.server.drop();
  run_until([&] { return gateway.count("rpc.on") == 1 && client->connected(); });
  EXPECT_EQ(gateway.methods(), Texts{"rpc.on"});
}

TEST_F(ClientSessionsTest, SendsWaitingAcknowledgementsBeforeItOpensSessions) {
  connect();
  open_session();
  gateway.server.holds_handshakes = true;
  gateway.server.drop();
  run_until([&] { return !client->connected(); });

  bool removed = false;
  client->remove_messages("phone-1", {"m-1"}, [&](const Outcome<void>&) { removed = true; });
  gateway.calls.clear();
  gateway.server.answer_handshake();
  run_until([&] { return removed && gateway.count("takeFromQueue") == 1; });

  EXPECT_EQ(gateway.methods(),
            (Texts{"removeMessages", "rpc.on", "addLiveSession", "takeFromQueue"}));
}

TEST_F(ClientSessionsTest, LeavesSessionsAloneThatWereRemovedOrReplaced) {
  connect();
  open_session();
  for (const char* phone : {"phone-2", "phone-3"}) {
    const auto opened = outcome_of<bool>(
        [&](auto done) { client->add_live_session(phone, "session-1", std::move(done)); });
    ASSERT_TRUE(opened);
  }
  const auto removed = outcome_of<bool>(
      [&](auto done) { client->remove_live_session("phone-2", "session-1", std::move(done)); });
  ASSERT_TRUE(removed && *removed);
  gateway.send_event("liveSessionReplaced",
                     R"({"connectionId":"phone-3","sessionId":"session-1"})");
  run_until([&] { return events.size() == 1; });

  gateway.calls.clear();
  gateway.server.drop();
  run_until([&] { return gateway.count("takeFromQueue") == 1; });

  EXPECT_EQ(gateway.methods(), (Texts{"rpc.on", "addLiveSession", "takeFromQueue"}));
  EXPECT_EQ(gateway.calls[1].params, kResumed);
}

TEST_F(ClientSessionsTest, ARemovedSessionIsNotOpenedByTheCallThatWaited) {
  connect();
  gateway.server.holds_handshakes = true;
  gateway.server.drop();
  run_until([&] { return !client->connected(); });
  gateway.calls.clear();

  std::optional<bool> opened;
  std::optional<bool> removed;
  client->add_live_session("phone-1", "session-1",
                           [&](const Outcome<bool>& outcome) { opened = outcome && *outcome; });
  client->remove_live_session("phone-1", std::nullopt,
                              [&](const Outcome<bool>& outcome) { removed = outcome && *outcome; });
  gateway.server.answer_handshake();
  run_until([&] { return opened && removed; });

  EXPECT_EQ(gateway.methods(), (Texts{"rpc.on", "removeLiveSession"}));
  EXPECT_EQ(opened, false);
  EXPECT_EQ(removed, true);
}

// --- the end ------------------------------------------------------------------------------------

TEST_F(ClientSessionsTest, EndsItsSessionsAndFailsItsCallsBeforeItIsClosed) {
  connect();
  open_session();
  gateway.answers["addMessage"] = "";
  Texts heard;
  client->add_message({.connection_id = "a", .payload = "{}"}, [&](Outcome<AddedMessage> outcome) {
    heard.emplace_back(outcome ? "added" : to_string(outcome.error().kind));
  });

  client->close([&] { heard.emplace_back("closed"); });
  client->ping([&](const Outcome<void>& outcome) {
    heard.emplace_back(outcome ? "pong" : to_string(outcome.error().kind));
  });
  gateway.send_event("liveSessionReplaced", kSession);
  run_until([&] { return !heard.empty() && heard.back() == "closed"; });
  run_until([&] { return !gateway.server.closes.empty(); });

  EXPECT_EQ(heard, (Texts{"not_connected", "not_connected", "closed"}));
  EXPECT_TRUE(events.empty());
  EXPECT_EQ(gateway.methods().back(), "removeLiveSession");
  EXPECT_EQ(gateway.server.closes,
            std::vector<websocket::CloseCode>{websocket::CloseCode::going_away});
}

TEST_F(ClientSessionsTest, ClosesWithoutAConnectionToo) {
  gateway.server.holds_handshakes = true;
  ClientOptions options = quick_options();
  make_client(options);
  Texts heard;
  client->connect([&](Outcome<void> outcome) {
    heard.emplace_back(outcome ? "connected" : to_string(outcome.error().kind));
  });

  client->close([&] { heard.emplace_back("closed"); });
  EXPECT_TRUE(heard.empty());
  run_until([&] { return heard.size() == 2; });

  EXPECT_EQ(heard, (Texts{"not_connected", "closed"}));
}

TEST_F(ClientSessionsTest, CallsNothingBackOnceItIsDestroyed) {
  connect();
  gateway.answers["addMessage"] = "";
  int heard = 0;
  client->add_message({.connection_id = "a", .payload = "{}"},
                      [&](const Outcome<AddedMessage>&) { ++heard; });
  client->add_message({.connection_id = "a", .payload = "no object"},
                      [&](const Outcome<AddedMessage>&) { ++heard; });
  client->close([&] { ++heard; });

  client.reset();
  gateway.server.stop_listening();
  run_until([&] { return !gateway.server.closes.empty(); });
  gateway.server.drop();
  io.run();

  EXPECT_EQ(heard, 0);
  EXPECT_TRUE(events.empty());
}

TEST_F(ClientSessionsTest, MayBeDestroyedInAnyOfItsCallbacks) {
  // In an answer.
  connect();
  client->ping([&](const Outcome<void>&) { client.reset(); });
  run_until([&] { return !client; });
  // In a refusal, while another call waits.
  connect();
  gateway.answers["addMessage"] = "";
  client->add_message({.connection_id = "a", .payload = "{}"}, [](const Outcome<AddedMessage>&) {});
  client->add_message({.connection_id = "a"},
                      [&](const Outcome<AddedMessage>&) { client.reset(); });
  run_until([&] { return !client; });
  // In an event.
  connect();
  client->on_event([&](const ServerEvent&) { client.reset(); });
  gateway.send_event("serverDraining", R"({"graceMilliseconds":1})");
  run_until([&] { return !client; });
  // In connect().
  make_client(quick_options());
  client->connect([&](const Outcome<void>&) { client.reset(); });
  run_until([&] { return !client; });
  // In the end of close(), and in a call that it fails.
  connect();
  client->close([&] { client.reset(); });
  run_until([&] { return !client; });
  connect();
  client->add_message({.connection_id = "a", .payload = "{}"},
                      [&](const Outcome<AddedMessage>&) { client.reset(); });
  client->close();
  run_until([&] { return !client; });
}

}  // namespace
}  // namespace mpr::client
