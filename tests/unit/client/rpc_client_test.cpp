#include "client/rpc_client.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>

#include "client/call_and_wait.hpp"
#include "tests/unit/client/scripted_server.hpp"

namespace mpr::client {
namespace {

using std::chrono::seconds;
using Texts = std::vector<std::string>;

// A connected client and its server on one event loop.
class RpcClientTest : public testing::Test {
 protected:
  void connect() {
    const auto connected = connect_and_wait(io, *client, server.url(), seconds(5));
    ASSERT_TRUE(connected) << connected.error().context;
  }
  template <class Done>
  void run_until(Done done) {
    const auto until = std::chrono::steady_clock::now() + seconds(5);
    while (!done() && io.run_one_until(until) > 0) {
    }
    ASSERT_TRUE(done());
  }
  // Notes how a call ended: "result true", "error {...}", "lost why".
  RpcClient::AnswerHandler note(Texts& into) {
    return [&into](const Answer& answer) {
      constexpr const char* kNames[] = {"result ", "error ", "lost "};
      into.push_back(kNames[static_cast<int>(answer.kind)] + std::string(answer.text));
    };
  }

  boost::asio::io_context io{1};
  ScriptedServer server{io};
  std::unique_ptr<RpcClient> client = std::make_unique<RpcClient>(io, RpcClient::Options{});
};

TEST_F(RpcClientTest, WritesCallsAsJsonRpc) {
  Texts seen;
  server.on_message = [&](std::string_view text) { seen.emplace_back(text); };
  connect();

  client->call("ping", {}, [](const Answer&) {});
  client->call("addMessage", R"({"payload":{}})", [](const Answer&) {});
  run_until([&] { return seen.size() == 2; });

  EXPECT_EQ(seen,
            (Texts{R"({"jsonrpc":"2.0","method":"ping","id":0})",
                   R"({"jsonrpc":"2.0","method":"addMessage","params":{"payload":{}},"id":1})"}));
  EXPECT_EQ(client->unanswered(), 2u);
}

TEST_F(RpcClientTest, SendsTheCallsOfOneTurnInOneWrite) {
  std::size_t messages = 0;
  server.on_message = [&](std::string_view) { ++messages; };
  connect();

  for (int i = 0; i < 100; ++i) client->call("ping", {}, [](const Answer&) {});
  run_until([&] { return messages == 100; });

  EXPECT_EQ(server.reads, 1u);
}

TEST_F(RpcClientTest, MatchesAnswersInWhateverOrderTheyCome) {
  std::size_t messages = 0;
  server.on_message = [&](std::string_view) {
    if (++messages < 3) return;
    server.send_text(R"({"jsonrpc":"2.0","result":"c","id":2})");
    server.send_text(R"({"jsonrpc":"2.0","error":{"code":500,"message":"b"},"id":1})");
    server.send_text(R"({"id":0,"result":"a","jsonrpc":"2.0"})");
  };
  connect();

  Texts a;
  Texts b;
  Texts c;
  client->call("x", {}, note(a));
  client->call("x", {}, note(b));
  client->call("x", {}, note(c));
  run_until([&] { return client->unanswered() == 0; });

  EXPECT_EQ(a, Texts{"result \"a\""});
  EXPECT_EQ(b, Texts{R"(error {"code":500,"message":"b"})"});
  EXPECT_EQ(c, Texts{"result \"c\""});
}

TEST_F(RpcClientTest, HearsEventsAlsoThoseRightBehindTheHandshake) {
  websocket::append_server_frame(server.behind_handshake, websocket::Opcode::text,
                                 R"({"jsonrpc":"2.0","method":"early","params":{}})");
  Texts events;
  client->on_event([&](const Event& event) {
    events.push_back(std::string(event.method) + std::string(event.params));
  });
  connect();
  server.send_text(R"({"jsonrpc":"2.0","method":"late","params":{"a":1}})");
  run_until([&] { return events.size() == 2; });

  EXPECT_EQ(events, (Texts{"early{}", R"(late{"a":1})"}));
}

TEST_F(RpcClientTest, AnswersPings) {
  connect();
  std::string ping;
  websocket::append_server_frame(ping, websocket::Opcode::ping, "are you there");
  server.send_bytes(ping);
  run_until([&] { return !server.pongs.empty(); });

  EXPECT_EQ(server.pongs, Texts{"are you there"});
}

TEST_F(RpcClientTest, LosesItsCallsWithTheConnectionAndSaysSoOnce) {
  connect();
  Texts outcomes;
  Texts closes;
  client->on_close([&](const Error& error) { closes.push_back(error.context); });
  client->call("x", {}, note(outcomes));
  client->call("y", {}, note(outcomes));
  server.on_message = [&](std::string_view) { server.drop(); };
  run_until([&] { return !closes.empty(); });

  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_TRUE(outcomes[0].starts_with("lost connection lost: ")) << outcomes[0];
  EXPECT_EQ(outcomes[1], outcomes[0]);
  EXPECT_EQ(closes.size(), 1u);
  EXPECT_FALSE(client->open());
}

TEST_F(RpcClientTest, SaysWithWhichCodeTheServerClosed) {
  connect();
  Texts closes;
  client->on_close([&](const Error& error) { closes.push_back(error.context); });
  std::string frame;
  websocket::append_server_frame(
      frame, websocket::Opcode::close,
      websocket::close_payload(websocket::CloseCode::service_restart, "draining"));
  server.send_bytes(frame);
  run_until([&] { return !closes.empty() && !server.closes.empty(); });

  EXPECT_EQ(closes, Texts{"the server closed the connection: 1012 draining"});
  EXPECT_EQ(server.closes.front(), websocket::CloseCode::service_restart);
}

TEST_F(RpcClientTest, TrustsNoAnswerThatComesTwice) {
  server.on_message = [&](std::string_view) {
    server.send_text(R"({"jsonrpc":"2.0","result":1,"id":0})");
    server.send_text(R"({"jsonrpc":"2.0","result":2,"id":0})");
  };
  connect();
  Texts outcomes;
  Texts closes;
  client->on_close([&](const Error& error) { closes.push_back(error.context); });
  client->call("x", {}, note(outcomes));
  run_until([&] { return !closes.empty(); });

  EXPECT_EQ(outcomes, Texts{"result 1"});
  EXPECT_EQ(closes, Texts{"the server answered a call that was not waiting, id 0"});
}

TEST_F(RpcClientTest, FailsToConnectWhenTheServerDoesNotUpgrade) {
  server.handshake_answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
  const auto connected = connect_and_wait(io, *client, server.url(), seconds(5));

  ASSERT_FALSE(connected);
  EXPECT_TRUE(connected.error().context.starts_with("bad handshake: "))
      << connected.error().context;
}

TEST_F(RpcClientTest, AnswersCallsWithoutAConnectionWithLost) {
  Texts outcomes;
  client->call("x", {}, note(outcomes));
  EXPECT_TRUE(outcomes.empty());
  run_until([&] { return !outcomes.empty(); });

  EXPECT_EQ(outcomes, Texts{"lost not connected"});
}

TEST_F(RpcClientTest, SaysGoodbyeWhenItCloses) {
  connect();
  Texts outcomes;
  client->call("x", {}, note(outcomes));
  client->close();
  run_until([&] { return !server.closes.empty(); });

  EXPECT_EQ(outcomes, Texts{"lost closed by this side"});
  EXPECT_EQ(server.closes.front(), websocket::CloseCode::going_away);
}

TEST_F(RpcClientTest, MayBeDestroyedInItsOwnCallback) {
  server.on_message = [&](std::string_view) {
    server.send_text(R"({"jsonrpc":"2.0","result":1,"id":0})");
    server.send_text(R"({"jsonrpc":"2.0","result":1,"id":1})");
  };
  connect();
  bool second_heard = false;
  client->call("x", {}, [&](const Answer&) { client.reset(); });
  client->call("y", {}, [&](const Answer&) { second_heard = true; });
  run_until([&] { return client == nullptr; });
  io.poll();

  EXPECT_FALSE(second_heard);
}

TEST_F(RpcClientTest, SendsMoreThanTheKernelTakesAtOnce) {
  std::size_t received = 0;
  server.on_message = [&](std::string_view text) { received += text.size() > 500'000; };
  connect();
  const std::string params = "\"" + std::string(600'000, 'x') + "\"";
  for (int i = 0; i < 40; ++i) client->call("x", params, [](const Answer&) {});
  run_until([&] { return received == 40; });

  EXPECT_EQ(client->unanswered(), 40u);
}

TEST_F(RpcClientTest, GivesUpWaitingForAnAnswer) {
  connect();
  const auto answer = call_and_wait(io, *client, "x", {}, std::chrono::milliseconds(20));

  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error(), (Error{Errc::deadline_exceeded, "x was not answered in time"}));
}

}  // namespace
}  // namespace mpr::client
