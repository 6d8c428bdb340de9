#include "gateway/methods.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rpc/json_rpc.hpp"
#include "rpc/wire.hpp"
#include "tests/unit/pickup/gateway_bed.hpp"

namespace mpr::test {
namespace {

// Methods over a real service with everything in memory; calls come as JSON, as from a client.
struct MethodsBed {
  explicit MethodsBed(MessageStore* other_store = nullptr)
      : gateway(backend, "gateway-1", other_store), methods(gateway.service) {}

  Result<std::string> execute(rpc::Call call, std::uint64_t socket = 1) {
    return gateway.loop.run(
        methods.execute(GatewayBed::caller(socket), std::move(call), Deadline::never()));
  }
  // The result of the method, or "code: details" of its failure.
  std::string call(std::string_view method, std::string_view params, std::uint64_t socket = 1) {
    const rpc::Frame frame =
        rpc::Decoder(rpc::Decoder::Limits{})
            .decode(R"({"jsonrpc":"2.0","id":1,"method":")" + std::string(method) +
                    R"(","params":)" + std::string(params) + "}");
    auto outcome = execute(std::get<rpc::Request>(frame.members.at(0)).call, socket);
    if (outcome) return *outcome;
    return std::string(to_string(outcome.error().code)) + ": " + outcome.error().context;
  }
  std::string add(std::string_view more = "") {
    return call("addMessage",
                R"({"connectionId":"c","recipientDids":["did:a"],"payload":{"n": 1})" +
                    std::string(more) + "}");
  }

  Backend backend;
  GatewayBed gateway;
  Methods methods;
};

constexpr std::string_view kQueue = R"({"connectionId":"c"})";
const std::string kNow = to_iso8601(FakeClock::kStart);

TEST(Methods, AnswerPingAndListMethods) {
  MethodsBed bed;
  EXPECT_EQ(bed.call("ping", "{}"), R"("pong")");
  EXPECT_EQ(bed.call("__listMethods", "{}"), rpc::list_methods_result());
}

TEST(Methods, AnswerAddMessageWithAnObject) {
  MethodsBed bed;
  EXPECT_EQ(bed.add(), R"({"messageId":"message-1","receivedAt":")" + kNow + "\"}");
  EXPECT_EQ(bed.add(R"(,"messageId":"chosen-id")"),
            R"({"messageId":"chosen-id","receivedAt":")" + kNow + "\"}");
}

TEST(Methods, AnswerAddMessagesInOrder) {
  MethodsBed bed;
  EXPECT_EQ(bed.call("addMessages", R"({"messages":[]})"), "[]");
  EXPECT_EQ(bed.call("addMessages",
                     R"({"messages":[{"connectionId":"c","recipientDids":[],"payload":{"n":1}},)"
                     R"({"connectionId":"d","recipientDids":[],"payload":{"n":2}}]})"),
            R"([{"messageId":"message-1","receivedAt":")" + kNow +
                R"("},{"messageId":"message-2","receivedAt":")" + kNow + "\"}]");
}

TEST(Methods, TakeMessagesWithPayloadsAsTheyCame) {
  MethodsBed bed;
  EXPECT_EQ(bed.call("takeFromQueue", kQueue), "[]");
  bed.add();
  const std::string message =
      R"([{"id":"message-1","receivedAt":")" + kNow + R"(","encryptedMessage":{"n": 1}}])";
  EXPECT_EQ(bed.call("takeFromQueue", kQueue), message);
  EXPECT_EQ(bed.call("takeFromQueue", R"({"connectionId":"c","recipientDid":"did:b"})"), "[]");
  EXPECT_EQ(bed.call("takeFromQueue", R"({"connectionId":"c","deleteMessages":true})"), message);
  EXPECT_EQ(bed.call("takeFromQueue", kQueue), "[]");
}

TEST(Methods, CountAndDescribeAQueue) {
  MethodsBed bed;
  bed.add();
  bed.add();
  EXPECT_EQ(bed.call("getAvailableMessageCount", kQueue), "2");
  EXPECT_EQ(bed.call("getQueueStatus", kQueue),
            R"({"messageCount":2,"totalBytes":16,"oldestReceivedTime":")" + kNow +
                R"(","newestReceivedTime":")" + kNow +
                R"(","longestWaitedSeconds":0,"inFlight":0,"liveDelivery":false})");
}

TEST(Methods, AnswerRemovalsWithTrueWhateverWasThere) {
  MethodsBed bed;
  bed.add();
  const std::string ids = R"({"connectionId":"c","messageIds":["message-1","unknown-1"]})";
  EXPECT_EQ(bed.call("removeMessages", ids), "true");
  EXPECT_EQ(bed.call("removeMessages", ids), "true");
  bed.add();
  EXPECT_EQ(bed.call("removeAllMessages", kQueue), "true");
  EXPECT_EQ(bed.call("getAvailableMessageCount", kQueue), "0");
}

TEST(Methods, AcknowledgeAndSayWhatRemains) {
  MethodsBed bed;
  bed.add();
  bed.add();
  EXPECT_EQ(bed.call("acknowledge", R"({"connectionId":"c","messageIds":["message-1","x"]})"),
            R"({"removed":1,"remaining":1})");
}

TEST(Methods, OpenAskForAndEndLiveSessions) {
  MethodsBed bed;
  EXPECT_EQ(bed.call("getLiveSession", kQueue), "false");
  EXPECT_EQ(bed.call("addLiveSession", R"({"connectionId":"c","sessionId":"s"})", 1), "true");
  EXPECT_EQ(bed.call("getLiveSession", kQueue, 2), "true");
  EXPECT_EQ(bed.call("removeLiveSession", kQueue, 2), "false") << "another socket holds it";
  EXPECT_EQ(bed.call("removeLiveSession", R"({"connectionId":"c","sessionId":"other"})"), "false");
  EXPECT_EQ(bed.call("removeLiveSession", kQueue, 1), "true");
  EXPECT_EQ(bed.call("getLiveSession", kQueue), "false");
}

TEST(Methods, KeepTenantsApart) {
  MethodsBed bed;
  bed.add();
  rpc::GetAvailableMessageCount count;
  count.request.connection_id = ConnectionId("c");
  const auto outcome = bed.gateway.loop.run(bed.methods.execute(
      GatewayBed::caller(1, "another"), rpc::Call(std::move(count)), Deadline::never()));
  EXPECT_EQ(outcome, "0");
}

TEST(Methods, LeaveTheStateOfSocketsToTheSession) {
  MethodsBed bed;
  for (const rpc::Call& call :
       {rpc::Call(rpc::Subscribe{}), rpc::Call(rpc::Unsubscribe{}), rpc::Call(rpc::Login{})}) {
    const auto outcome = bed.execute(call);
    ASSERT_FALSE(outcome.has_value());
    EXPECT_EQ(outcome.error().code, Errc::internal);
  }
}

// A store that refuses everything, as if its backend were down.
class DownStore final : public MessageStore {
 public:
  Task<Result<AddOutcome>> add(NewMessage, Deadline) override { co_return down(); }
  Task<Result<std::vector<StoredMessage>>> take(TakeQuery, Deadline) override { co_return down(); }
  Task<Result<std::uint64_t>> count(QueueQuery, Deadline) override { co_return down(); }
  Task<Result<QueueStatus>> status(QueueQuery, Deadline) override { co_return down(); }
  Task<Result<Position>> tail(Connection, Deadline) override { co_return down(); }
  Task<Result<std::optional<PushToken>>> newest_push_token(Connection, Deadline) override {
    co_return down();
  }
  Task<Result<RemoveOutcome>> remove(Connection, std::vector<MessageId>, Deadline) override {
    co_return down();
  }
  Task<Result<RemoveOutcome>> remove_all(Connection, std::optional<RecipientDid>,
                                         Deadline) override {
    co_return down();
  }
  Result<void> ready() const override { return down(); }
  StoreTotals totals() const override { return {}; }

 private:
  static std::unexpected<Error> down() { return fail(Errc::unavailable, "the store is down"); }
};

TEST(Methods, AnswerAFailureNeverWithAResult) {
  DownStore store;
  MethodsBed bed(&store);
  const std::string down = "unavailable: the store is down";
  const std::string ids = R"({"connectionId":"c","messageIds":["message-1"]})";
  EXPECT_EQ(bed.add(), down);
  EXPECT_EQ(bed.call("takeFromQueue", kQueue), down);
  EXPECT_EQ(bed.call("getAvailableMessageCount", kQueue), down);
  EXPECT_EQ(bed.call("getQueueStatus", kQueue), down);
  EXPECT_EQ(bed.call("removeMessages", ids), down);
  EXPECT_EQ(bed.call("acknowledge", ids), down);
  EXPECT_EQ(bed.call("removeAllMessages", kQueue), down);
  EXPECT_EQ(bed.call("addLiveSession", R"({"connectionId":"c","sessionId":"s"})"), down);
  const std::string added = bed.call(
      "addMessages", R"({"messages":[{"connectionId":"c","recipientDids":[],"payload":{}}]})");
  EXPECT_TRUE(added.starts_with("unavailable: ")) << added;
}

}  // namespace
}  // namespace mpr::test
