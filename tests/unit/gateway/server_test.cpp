// The gateway from outside: a real server, real sockets, a store in memory.
#include "gateway/server.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "net/websocket/handshake.hpp"
#include "rpc/wire.hpp"
#include "tests/unit/gateway/server_bed.hpp"

namespace mpr::test {
namespace {

using namespace std::chrono_literals;
using websocket::CloseCode;
using websocket::Opcode;
using Kind = websocket::Event::Kind;

const std::string kUnauthorized = R"("code":401)";

bool contains(std::string_view text, std::string_view part) { return text.contains(part); }

// --- the handshake ---------------------------------------------------------------------------

TEST(Server, RefusesWhatIsNoWebSocketHandshake) {
  ServerBed bed;
  EXPECT_TRUE(send_and_receive_all(bed.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                  .starts_with("HTTP/1.1 426 "));
  EXPECT_TRUE(send_and_receive_all(bed.port, "POST / HTTP/1.1\r\nHost: x\r\n\r\n")
                  .starts_with("HTTP/1.1 405 "));
  EXPECT_TRUE(
      send_and_receive_all(bed.port, "\x16\x03\x01 nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(send_and_receive_all(bed.port, "GET / HTTP/1.1\r\nX: " + std::string(9000, 'x'))
                  .starts_with("HTTP/1.1 431 "));
  EXPECT_EQ(bed.metrics().sockets_refused.value(), 4u);
  EXPECT_EQ(bed.metrics().sockets_accepted.value(), 0u);
}

TEST(Server, CutsAHandshakeThatTakesTooLong) {
  ServerBed bed({.handshake_timeout = 50ms});
  EXPECT_TRUE(
      send_and_receive_all(bed.port, "GET / HTTP/1.1\r\nHost:").starts_with("HTTP/1.1 408 "));
}

TEST(Server, TurnsAwayWhatIsOverTheLimitOfConnections) {
  ServerBed bed({.max_connections = 2});
  TestSocket first(bed.port);
  {
    TestSocket second(bed.port);
    EXPECT_TRUE(send_and_receive_all(bed.port, "GET / HTTP/1.1\r\n").starts_with("HTTP/1.1 503 "));
    second.send_frame(Opcode::close, "");
    EXPECT_EQ(second.receive_close(), CloseCode::none);
    EXPECT_EQ(second.receive().kind, Kind::need_more);
  }
  while (bed.metrics().sockets_open.value() > 1) first.call("ping");
  TestSocket third(bed.port);  // there is room again, whatever became of the refused one
  EXPECT_EQ(third.call("ping"), result(R"("pong")", "1"));
}

TEST(Server, ReadsFramesThatComeRightBehindTheHandshake) {
  ServerBed bed;
  const std::string key = websocket::make_client_key();
  std::string bytes = websocket::client_request("localhost", "/?socket_id=eager", key);
  websocket::ClientFrameWriter writer;
  writer.append(bytes, Opcode::text, R"({"jsonrpc":"2.0","method":"ping","id":1})");
  writer.append(bytes, Opcode::close, websocket::close_payload(CloseCode::normal, ""));
  const std::string answer = send_and_receive_all(bed.port, bytes);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 101 ")) << answer;
  EXPECT_TRUE(contains(answer, result(R"("pong")", "1"))) << answer;
}

// --- frames ----------------------------------------------------------------------------------

TEST(Server, AnswersTextAndBinaryAndFragmentedFramesWithText) {
  ServerBed bed;
  TestSocket socket(bed.port);
  EXPECT_EQ(socket.call("ping"), result(R"("pong")", "1"));
  socket.send_frame(Opcode::binary, R"({"jsonrpc":"2.0","method":"ping","id":"b"})");
  EXPECT_EQ(socket.receive_text(), result(R"("pong")", R"("b")"));
  // A fragmented text, with a ping in between.
  socket.send_raw(std::string("\x01\x80\0\0\0\0", 6) + std::string("\x89\x82\0\0\0\0hi", 8) +
                  std::string("\x80\xa8\0\0\0\0", 6) +
                  R"({"jsonrpc":"2.0","method":"ping","id":3})");
  const auto pong = socket.receive();
  EXPECT_EQ(pong.kind, Kind::pong);
  EXPECT_EQ(pong.text, "hi");
  EXPECT_EQ(socket.receive_text(), result(R"("pong")", "3"));
}

TEST(Server, ClosesWithTheCodeThatFitsTheError) {
  ServerBed bed({.max_frame_bytes = 1000});
  const auto code_for = [&](const std::string& bytes) {
    TestSocket socket(bed.port);
    socket.send_raw(bytes);
    return socket.receive_close();
  };
  EXPECT_EQ(code_for(std::string("\x81\x02{}", 4)), CloseCode::protocol_error);
  EXPECT_EQ(code_for(std::string("\x83\x80\0\0\0\0", 6)), CloseCode::protocol_error);
  EXPECT_EQ(code_for(std::string("\x81\x82\0\0\0\0\xc3(", 8)), CloseCode::invalid_data);
  EXPECT_EQ(code_for(std::string("\x81\xfe\x03\xe9\0\0\0\0", 8)), CloseCode::too_big);
  EXPECT_EQ(bed.metrics().protocol_errors.value(), 4u);
}

TEST(Server, EchoesTheCloseOfAClient) {
  ServerBed bed;
  for (const CloseCode code :
       {CloseCode::normal, CloseCode::going_away, CloseCode::none, static_cast<CloseCode>(4321)}) {
    TestSocket socket(bed.port);
    socket.send_frame(Opcode::close, websocket::close_payload(code, ""));
    const auto received = socket.receive();
    EXPECT_EQ(received.kind, Kind::close);
    EXPECT_EQ(received.code, code);
    EXPECT_EQ(socket.receive().kind, Kind::need_more);
  }
}

TEST(Server, TakesMessagesOfManyMegabytes) {
  ServerBed bed;
  TestSocket socket(bed.port);
  const std::string payload = R"({"big":")" + std::string(5u << 20, 'x') + "\"}";
  EXPECT_TRUE(contains(socket.call("addMessage", add_params("c", payload)), "messageId"));
  const std::string taken = socket.call("takeFromQueue", R"({"connectionId":"c"})");
  EXPECT_TRUE(contains(taken, R"("encryptedMessage":)" + payload));
}

// --- calls -----------------------------------------------------------------------------------

TEST(Server, AnswersABatchInTheOrderOfItsMembers) {
  ServerBed bed;
  TestSocket socket(bed.port);
  socket.send(R"([{"jsonrpc":"2.0","method":"ping","id":1},{"jsonrpc":"2.0","method":"ping"},)"
              R"({"jsonrpc":"2.0","method":"nonsense","id":2},)"
              R"({"jsonrpc":"2.0","method":"rpc.on","params":["messagesReceived"],"id":3}])");
  const std::string answer = socket.receive_text();
  EXPECT_TRUE(answer.starts_with("[" + result(R"("pong")", "1") + ",")) << answer;
  EXPECT_TRUE(contains(answer, R"("code":-32601)"));
  EXPECT_TRUE(answer.ends_with(result(R"({"messagesReceived":"ok"})", "3") + "]")) << answer;
}

TEST(Server, SendsNothingForNotifications) {
  ServerBed bed;
  TestSocket socket(bed.port);
  socket.send(R"([{"jsonrpc":"2.0","method":"ping"},{"jsonrpc":"2.0","method":"ping","id":null}])");
  socket.send(R"({"jsonrpc":"2.0","method":"addMessage","params":)" + add_params("c", "{}") + "}");
  EXPECT_EQ(socket.call("getAvailableMessageCount", R"({"connectionId":"c"})"), result("1", "1"));
}

TEST(Server, AnswersSubscriptionsWithResults) {
  ServerBed bed;
  TestSocket socket(bed.port);
  EXPECT_EQ(socket.call("rpc.on", R"(["messagesReceived","toString"])"),
            result(R"({"messagesReceived":"ok","toString":"provided event invalid"})", "1"));
  EXPECT_EQ(socket.call("rpc.on", R"(["messagesReceived"])"),
            result(R"({"messagesReceived":"socket has already been subscribed to event"})", "2"));
  EXPECT_EQ(socket.call("rpc.off", R"(["messagesReceived","serverDraining","toString"])"),
            result(R"({"messagesReceived":"ok","serverDraining":"not subscribed",)"
                   R"("toString":"provided event invalid"})",
                   "3"));
}

TEST(Server, KeepsTheOrderOfCallsOfOneConnection) {
  ServerBed bed;
  TestSocket socket(bed.port);
  bed.store.hold();
  socket.send_call("addMessage", add_params("c", R"({"n":1})"), "1");
  socket.send_call("addMessage", add_params("c", R"({"n":2})"), "2");
  socket.send_call("getAvailableMessageCount", R"({"connectionId":"c"})", "3");
  socket.send_call("getAvailableMessageCount", R"({"connectionId":"other"})", "4");
  EXPECT_EQ(socket.receive_text(), result("0", "4")) << "other connections do not wait";
  bed.store.wait_for_held(2);
  bed.store.release();
  EXPECT_TRUE(contains(socket.receive_text(), "messageId"));
  EXPECT_TRUE(contains(socket.receive_text(), "messageId"));
  EXPECT_EQ(socket.receive_text(), result("2", "3"));
}

TEST(Server, AnswersACallThatTakesTooLongAndDropsWhatComesLate) {
  ServerBed bed({.call_timeout = 50ms});
  TestSocket socket(bed.port);
  bed.store.hold();
  socket.send_call("addMessage", add_params("c", "{}"), "1");
  socket.send_call("getAvailableMessageCount", R"({"connectionId":"c"})", "2");
  EXPECT_TRUE(contains(socket.receive_text(), R"("code":504)"));
  EXPECT_TRUE(contains(socket.receive_text(), R"("code":504)")) << "it waited for the add";
  bed.store.release();
  EXPECT_EQ(socket.call("getAvailableMessageCount", R"({"connectionId":"c"})"), result("0", "1"))
      << "the store found the deadline passed";
  EXPECT_EQ(bed.metrics().calls_timed_out.value(), 2u);
}

TEST(Server, CountsACallThatTheStoreGaveUpAsOneThatTookTooLong) {
  ServerBed bed;
  TestSocket socket(bed.port);
  bed.store.give_up_next();
  EXPECT_TRUE(contains(socket.call("addMessage", add_params("c", "{}")), R"("code":504)"));
  EXPECT_EQ(bed.metrics().calls_timed_out.value(), 1u);
}

TEST(Server, AnswersACallThatThrowsWith500) {
  ServerBed bed;
  TestSocket socket(bed.port);
  bed.store.throw_next();
  EXPECT_TRUE(contains(socket.call("addMessage", add_params("c", "{}")), R"("code":500)"));
  EXPECT_TRUE(contains(socket.call("addMessage", add_params("c", "{}")), "messageId"));
}

TEST(Server, ReadsOnWhenCallsInFlightHaveEnded) {
  ServerBed bed({.calls_in_flight = 2});
  TestSocket socket(bed.port);
  bed.store.hold();
  for (int i = 1; i <= 50; ++i) {
    socket.send_call("addMessage", add_params("c" + std::to_string(i), "{}"), std::to_string(i));
  }
  bed.store.wait_for_held(2);
  bed.store.release();
  for (int i = 1; i <= 50; ++i) EXPECT_TRUE(contains(socket.receive_text(), "messageId"));
}

TEST(Server, FinishesTheCallsOfASocketThatIsGone) {
  ServerBed bed;
  bed.store.hold();
  {
    TestSocket socket(bed.port);
    socket.send_call("addMessage", add_params("c", "{}"), "1");
    socket.send_call("addLiveSession", session_params("c"), "2");
    bed.store.wait_for_held(1);
  }
  TestSocket other(bed.port);
  bed.store.release();
  while (other.call("getAvailableMessageCount", R"({"connectionId":"c"})").find("\"result\":1") ==
         std::string::npos) {
  }
}

// --- logging in ------------------------------------------------------------------------------

TEST(Server, LetsNobodyDoAnythingBeforeLoggingIn) {
  ServerBed bed({.auth_token = "secret"});
  TestSocket socket(bed.port);
  EXPECT_EQ(socket.call("ping"), result(R"("pong")", "1"));
  EXPECT_TRUE(contains(socket.call("__listMethods"), "addMessage"));
  EXPECT_TRUE(contains(socket.call("addMessage", add_params("c", "{}")), kUnauthorized));
  EXPECT_TRUE(contains(socket.call("rpc.on", R"(["messagesReceived"])"), kUnauthorized));
  EXPECT_TRUE(contains(socket.call("rpc.login", R"({"token":"secre"})"), kUnauthorized));
  EXPECT_TRUE(contains(socket.call("rpc.login", R"({"token":"secreT"})"), kUnauthorized));
  EXPECT_EQ(socket.call("rpc.login", R"({"token":"secret"})"), result("true", "7"));
  EXPECT_TRUE(contains(socket.call("addMessage", add_params("c", "{}")), "messageId"));
}

TEST(Server, TakesTheTokenInTheHandshakeToo) {
  ServerBed bed({.auth_token = "secret"});
  TestSocket socket(bed.port, "/", "secret");
  EXPECT_TRUE(contains(socket.call("addMessage", add_params("c", "{}")), "messageId"));
  EXPECT_THROW(TestSocket(bed.port, "/", "wrong"), std::runtime_error);
}

TEST(Server, AnswersLoginWithTrueWhenNobodyHasTo) {
  ServerBed bed;
  TestSocket socket(bed.port);
  EXPECT_EQ(socket.call("rpc.login", R"({"token":"anything"})"), result("true", "1"));
}

// --- the end ---------------------------------------------------------------------------------

TEST(Server, DrainsByAnsweringAndClosingWith1012) {
  ServerBed bed;
  TestSocket idle(bed.port);
  TestSocket busy(bed.port);
  idle.call("rpc.on", R"(["serverDraining"])");
  bed.store.hold();
  busy.send_call("addMessage", add_params("c", "{}"), "1");
  bed.store.wait_for_held(1);
  std::thread draining([&] { bed.server.drain(); });
  EXPECT_EQ(idle.receive_text(), rpc::server_draining_event(5000));
  EXPECT_EQ(idle.receive_close(), CloseCode::service_restart);
  idle.send_frame(Opcode::close, websocket::close_payload(CloseCode::service_restart, ""));
  EXPECT_EQ(idle.receive().kind, Kind::need_more);
  EXPECT_THROW(TestSocket{bed.port}, std::runtime_error) << "nothing listens any more";
  bed.store.release();
  EXPECT_TRUE(contains(busy.receive_text(), "messageId"));
  EXPECT_EQ(busy.receive_close(), CloseCode::service_restart);
  busy.send_frame(Opcode::close, websocket::close_payload(CloseCode::service_restart, ""));
  draining.join();
  EXPECT_EQ(bed.metrics().sockets_open.value(), 0);
}

TEST(Server, DrainsInBoundedTimeWhateverClientsAndStoreDo) {
  ServerBed bed({.drain_timeout = 250ms});
  TestSocket deaf(bed.port);
  TestSocket busy(bed.port);
  bed.store.hold();
  busy.send_call("addMessage", add_params("c", "{}"), "1");
  bed.store.wait_for_held(1);
  const auto begin = std::chrono::steady_clock::now();
  bed.server.drain();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  EXPECT_EQ(deaf.receive_close(), CloseCode::service_restart);
  EXPECT_EQ(busy.receive_close(), CloseCode::service_restart);
}

TEST(Server, SaysWhichPortItCannotHave) {
  ServerBed bed;
  Metrics metrics;
  Server second({.port = bed.port}, metrics);
  second.bind_service(bed.service, bed.methods);
  const auto started = second.start();
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().code, Errc::unavailable);
  EXPECT_TRUE(contains(started.error().context, std::to_string(bed.port)));
}

TEST(Server, TurnsAtLeastTenTimesASecond) {
  ServerBed bed;
  TestSocket socket(bed.port);
  socket.call("ping");
  EXPECT_LT(bed.server.longest_silence(), 5s);
}

}  // namespace
}  // namespace mpr::test
