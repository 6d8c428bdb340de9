// Events, slow readers and keepalive over real sockets.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "rpc/wire.hpp"
#include "tests/unit/gateway/server_bed.hpp"

namespace mpr::test {
namespace {

using namespace std::chrono_literals;
using websocket::CloseCode;
using websocket::Opcode;
using Kind = websocket::Event::Kind;

std::string payload_of(int number, std::size_t filling = 0) {
  return R"({"n":)" + std::to_string(number) + R"(,"f":")" + std::string(filling, 'x') + "\"}";
}

// Every "n" of an event's payloads.
std::vector<int> numbers_in(const std::string& event) {
  std::vector<int> numbers;
  constexpr std::string_view kKey = R"("encryptedMessage":{"n":)";
  for (std::size_t at = event.find(kKey); at != std::string::npos; at = event.find(kKey, at + 1)) {
    numbers.push_back(std::stoi(event.substr(at + kKey.size())));
  }
  return numbers;
}

// Receives events until `count` messages came.
std::vector<int> receive_numbers(TestSocket& socket, std::size_t count) {
  std::vector<int> numbers;
  while (numbers.size() < count) {
    const std::string event = socket.receive_text();
    if (event.empty()) break;
    for (const int n : numbers_in(event)) numbers.push_back(n);
  }
  return numbers;
}

TEST(Delivery, GoesToTheHolderWhetherOrNotItSubscribed) {
  ServerBed bed;
  TestSocket holder(bed.port);
  TestSocket sender(bed.port);  // on the other io thread
  EXPECT_EQ(holder.call("addLiveSession", session_params("c")), result("true", "1"));
  sender.call("addMessage", add_params("c", payload_of(1)));
  const std::string event = holder.receive_text();
  EXPECT_TRUE(event.starts_with(
      R"({"jsonrpc":"2.0","method":"messagesReceived","params":{"connectionId":"c","messages":[{)"))
      << event;
  EXPECT_EQ(numbers_in(event), std::vector{1});
}

TEST(Delivery, ComesToASenderThatIsItsOwnReceiver) {
  ServerBed bed;
  TestSocket socket(bed.port);
  socket.call("addLiveSession", session_params("c"));
  socket.send_call("addMessage", add_params("c", payload_of(1)), "2");
  const std::string both = socket.receive_text() + socket.receive_text();
  EXPECT_EQ(numbers_in(both), std::vector{1});
  EXPECT_NE(both.find("messageId"), std::string::npos);
}

TEST(Delivery, KeepsTheOrderOfEachSenderAcrossThreads) {
  ServerBed bed({}, {.sessions = {.max_in_flight = 100'000}});
  TestSocket holder(bed.port);
  holder.call("addLiveSession", session_params("c"));
  constexpr int kSenders = 3;
  constexpr int kEach = 300;
  std::vector<std::thread> senders;
  for (int s = 0; s < kSenders; ++s) {
    senders.emplace_back([&, s] {
      TestSocket sender(bed.port);
      for (int i = 0; i < kEach; ++i) {
        sender.send_call("addMessage", add_params("c", payload_of(s * 1000 + i)), "1");
      }
      for (int i = 0; i < kEach; ++i) sender.receive_text();
    });
  }
  const std::vector<int> numbers = receive_numbers(holder, kSenders * kEach);
  for (std::thread& sender : senders) sender.join();
  std::vector<int> next(kSenders, 0);
  for (const int n : numbers) {
    const auto sender = static_cast<std::size_t>(n / 1000);
    ASSERT_EQ(n % 1000, next[sender]++) << "sender " << sender;
  }
}

TEST(Delivery, TellsTheFormerHolderThatItsSessionWasReplaced) {
  ServerBed bed;
  TestSocket former(bed.port);
  TestSocket newer(bed.port);
  former.call("rpc.on", R"(["liveSessionReplaced"])");
  former.call("addLiveSession", session_params("c"));
  newer.call("addLiveSession", session_params("c"));
  EXPECT_EQ(former.receive_text(),
            rpc::live_session_replaced_event(ConnectionId("c"), SessionId("session-1")));
}

TEST(Delivery, GoesToSubscribersWhileASessionIsAnOrphan) {
  ServerBed bed;
  {
    TestSocket lost(bed.port);
    lost.call("addLiveSession", session_params("c"));
  }
  TestSocket back(bed.port);
  while (bed.metrics().live_sessions_orphaned.value() == 0) back.call("ping");
  back.call("rpc.on", R"(["messagesReceived"])");
  back.send_call("addMessage", add_params("c", payload_of(7)), "9");
  const std::string both = back.receive_text() + back.receive_text();
  EXPECT_EQ(numbers_in(both), std::vector{7});
}

// What a reader that is slow does not get at once stays pending and comes later, in order.
TEST(Delivery, OfASlowReaderIsPostponedAndNotLost) {
  ServerBed bed({.outbound_bytes = 200'000},
                {.sessions = {.max_in_flight = 100'000, .acknowledgement_deadline = 1h}});
  TestSocket slow(bed.port, "/", {}, 4096);
  slow.call("addLiveSession", session_params("c"));
  TestSocket sender(bed.port);
  constexpr int kMessages = 400;
  constexpr std::size_t kFilling = 40'000;  // 16 MB: more than the kernel buffers
  for (int i = 0; i < kMessages; ++i) {
    sender.call("addMessage", add_params("c", payload_of(i, kFilling)));
  }
  EXPECT_GT(bed.metrics().deliveries_postponed.value(), 0u);
  EXPECT_LT(bed.metrics().outbound_bytes.value(), 400'000);
  const std::vector<int> numbers = receive_numbers(slow, kMessages);
  ASSERT_EQ(numbers.size(), static_cast<std::size_t>(kMessages));
  for (int i = 0; i < kMessages; ++i) ASSERT_EQ(numbers[static_cast<std::size_t>(i)], i);
}

TEST(Delivery, StopsReadingFromAPeerThatDoesNotReadItsAnswers) {
  ServerBed bed({.outbound_bytes = 100'000});
  TestSocket socket(bed.port, "/", {}, 4096);
  socket.call("addMessage", add_params("c", payload_of(1, 50'000)));
  constexpr int kTakes = 400;  // 20 MB of answers
  std::thread asking([&] {
    for (int i = 0; i < kTakes; ++i) {
      socket.send_call("takeFromQueue", R"({"connectionId":"c"})", std::to_string(i));
    }
  });
  asking.join();
  for (int i = 0; i < kTakes; ++i) {
    EXPECT_TRUE(socket.receive_text().ends_with(R"(,"id":)" + std::to_string(i) + "}"));
  }
  EXPECT_EQ(bed.metrics().outbound_bytes.value(), 0);
}

// Calls that were read together may each have a large answer: they wait for the reader one by one.
TEST(Delivery, HoldsBackTakesWhileTheirAnswersWouldPileUp) {
  ServerBed bed({.outbound_bytes = 100'000});
  TestSocket slow(bed.port, "/", {}, 4096);
  slow.call("addMessage", add_params("c", payload_of(1, 50'000)));
  constexpr int kTakes = 300;  // 15 MB of answers, 20 KB of requests
  for (int i = 0; i < kTakes; ++i) {
    slow.send_call("takeFromQueue", R"({"connectionId":"c"})", std::to_string(i));
  }
  TestSocket other(bed.port);
  while (bed.metrics().calls.value() < kTakes) other.call("ping");
  other.call("ping");
  EXPECT_LT(bed.metrics().outbound_bytes.value(), 200'000);
  for (int i = 0; i < kTakes; ++i) {
    EXPECT_TRUE(slow.receive_text().ends_with(R"(,"id":)" + std::to_string(i) + "}"));
  }
}

TEST(Delivery, DoesNotTakeForASocketThatIsGone) {
  ServerBed bed({.outbound_bytes = 100'000});
  TestSocket other(bed.port);
  for (int i = 0; i < 40; ++i) other.call("addMessage", add_params("c", payload_of(i, 500'000)));
  {
    TestSocket gone(bed.port, "/", {}, 4096);
    for (int i = 0; i < 40; ++i) {
      gone.send_call("takeFromQueue", R"({"connectionId":"c","limit":1,"deleteMessages":true})",
                     std::to_string(i));
    }
    while (bed.metrics().calls.value() < 80) other.call("ping");
  }
  while (bed.metrics().sockets_open.value() > 1) other.call("ping");
  const std::string left = other.call("getAvailableMessageCount", R"({"connectionId":"c"})");
  const int remaining = std::stoi(left.substr(left.find(R"("result":)") + 9));
  EXPECT_GT(remaining, 20) << "only what was on its way to the socket may be gone";
}

TEST(Delivery, RefusesTheTakesOfABatchThatGrowsTooLarge) {
  ServerBed bed({.outbound_bytes = 100'000});
  TestSocket socket(bed.port);
  socket.call("addMessage", add_params("c", payload_of(1, 60'000)));
  std::string batch = "[";
  for (int i = 0; i < 5; ++i) {
    if (i > 0) batch += ',';
    batch += R"({"jsonrpc":"2.0","method":"takeFromQueue","params":{"connectionId":"c"},"id":)" +
             std::to_string(i) + "}";
  }
  socket.send(batch + "]");
  const std::string answer = socket.receive_text();
  EXPECT_LT(answer.size(), 200'000u);
  EXPECT_TRUE(answer.contains(R"("code":413)")) << answer.substr(answer.size() - 300);
  EXPECT_TRUE(answer.ends_with(R"("id":4}])"));
}

TEST(Delivery, EndsForAReaderThatIsTooSlowForTooLong) {
  ServerBed bed({.outbound_bytes = 10'000, .slow_reader_timeout = 100ms});
  TestSocket slow(bed.port, "/", {}, 4096);
  slow.call("addLiveSession", session_params("c"));
  TestSocket sender(bed.port);
  while (bed.metrics().sockets_open.value() == 2) {
    sender.call("addMessage", add_params("c", payload_of(1, 100'000)));
  }
  EXPECT_EQ(sender.call("getAvailableMessageCount", R"({"connectionId":"none"})").find("error"),
            std::string::npos);
}

TEST(Keepalive, PingsASilentPeerAndCutsItWhenItStaysSilent) {
  ServerBed bed({.ping_interval = 50ms, .dead_after = 2s});
  TestSocket silent(bed.port);
  EXPECT_EQ(silent.receive().kind, Kind::ping);
  EXPECT_EQ(silent.receive_close(), CloseCode::none) << "cut, not closed";
  EXPECT_EQ(bed.metrics().sockets_lost_keepalive.value(), 1u);
}

TEST(Keepalive, KeepsAPeerThatAnswers) {
  ServerBed bed({.ping_interval = 20ms, .dead_after = 2s});
  TestSocket socket(bed.port);
  for (int i = 0; i < 10; ++i) {
    const auto received = socket.receive();
    ASSERT_EQ(received.kind, Kind::ping);
    socket.send_frame(Opcode::pong, received.text);
  }
  EXPECT_EQ(bed.metrics().sockets_lost_keepalive.value(), 0u);
}

}  // namespace
}  // namespace mpr::test
