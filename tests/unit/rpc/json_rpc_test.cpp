#include "rpc/json_rpc.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "core/limits.hpp"
#include "tests/unit/rpc/random_json.hpp"
#include "tests/unit/rpc/rendering.hpp"

namespace mpr::rpc {
namespace {

std::string ping(std::string_view id_member) {
  return R"({"jsonrpc":"2.0","method":"ping")" + std::string(id_member) + "}";
}

template <class T>
T only_call(const std::string& text) {
  const Frame frame = Decoder(Decoder::Limits{}).decode(text);
  EXPECT_EQ(frame.members.size(), 1u) << text;
  return std::get<T>(std::get<Request>(frame.members.at(0)).call);
}

// tests/golden/rpc_rejections.txt holds frames ("--> ") and what is answered without executing
// anything ("<-- "): each answer is compared to the byte.
TEST(JsonRpc, RejectsAsTheGoldenFileSays) {
  std::ifstream in(std::string(MPR_GOLDEN_DIR) + "/rpc_rejections.txt");
  std::string line, frame;
  int answers = 0;
  while (std::getline(in, line)) {
    if (line.starts_with("--> ")) frame = line.substr(4);
    if (!line.starts_with("<-- ")) continue;
    EXPECT_EQ(decoded(frame), line.substr(4)) << frame;
    ++answers;
  }
  EXPECT_GE(answers, 40);
}

TEST(JsonRpc, EchoesIdsAsTheyCame) {
  for (const std::string_view id :
       {"0", "1", "-0", "1.5", "1e3", "123456789012345678901234567890", R"("")", R"("a")",
        R"("a\u0041")", R"("\"\\")", "\"\xc3\xa9\""}) {
    EXPECT_EQ(decoded(ping(R"(,"id":)" + std::string(id))), "call 0 id " + std::string(id));
  }
}

TEST(JsonRpc, TakesAMissingOrNullIdForANotification) {
  for (const std::string& text : {ping(""), ping(R"(,"id":null)")}) {
    const Frame frame = Decoder(Decoder::Limits{}).decode(text);
    ASSERT_EQ(frame.members.size(), 1u);
    EXPECT_TRUE(std::get<Request>(frame.members[0]).id.is_notification());
  }
}

TEST(JsonRpc, RefusesIdsOfOtherTypesAndEndlessOnes) {
  const std::string refused =
      R"({"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":)"
      R"("id: must be a string or a number of at most 1024 bytes"},"id":null})";
  for (const std::string& id :
       {std::string("{}"), std::string("[]"), std::string("[1]"), std::string("true"),
        std::string("false"), std::string(R"("\ud800")"), std::string(1025, '1'),
        '"' + std::string(1023, 'a') + '"'}) {
    EXPECT_EQ(decoded(ping(R"(,"id":)" + id)), refused) << id;
  }
  const std::string longest = '"' + std::string(1022, 'a') + '"';
  EXPECT_EQ(decoded(ping(R"(,"id":)" + longest)), "call 0 id " + longest);
}

TEST(JsonRpc, DropsANotificationWithBadParamsAndCountsIt) {
  const Frame frame = Decoder(Decoder::Limits{})
                          .decode(R"({"jsonrpc":"2.0","method":"getLiveSession","params":{}})");
  EXPECT_TRUE(frame.members.empty());
  EXPECT_EQ(frame.dropped, 1u);
}

TEST(JsonRpc, KeepsTheOrderOfABatch) {
  const std::string text = "[" + ping(R"(,"id":"b")") + ",7," + ping("") +
                           R"(,{"jsonrpc":"2.0"},)" + ping(R"(,"id":1)") + "]";
  EXPECT_EQ(decoded(text), R"([call 0 id "b",)"
                           R"({"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request",)"
                           R"("data":"a request must be an object"},"id":null},)"
                           R"(call 0 id ,)"
                           R"({"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params",)"
                           R"("data":"Method not specified"},"id":null},)"
                           R"(call 0 id 1])");
}

TEST(JsonRpc, BoundsABatch) {
  const auto batch = [](std::size_t members) {
    std::string text = "[" + ping("");
    for (std::size_t i = 1; i < members; ++i) text += "," + ping("");
    return text + "]";
  };
  const Decoder decoder(Decoder::Limits{});
  EXPECT_EQ(decoder.decode(batch(limits::kBatchMembers)).members.size(), limits::kBatchMembers);
  const Frame over = decoder.decode(batch(limits::kBatchMembers + 1));
  EXPECT_FALSE(over.batch);
  EXPECT_EQ(render(over), R"({"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request",)"
                          R"("data":"Invalid array: more than 10000 members"},"id":null})");
}

TEST(JsonRpc, DecodesNothingOfABatchThatEndsInGarbage) {
  EXPECT_EQ(decoded("[" + ping(R"(,"id":1)") + "," + ping(R"(,"id":2)") + ",}"),
            R"({"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error",)"
            R"("data":"expected a value at byte 83"},"id":null})");
}

TEST(JsonRpc, LetsTheLastOfEqualMembersCount) {
  const auto call = only_call<GetLiveSession>(
      R"({"id":1,"method":"ping","params":{"connectionId":"first","sessionId":"s"},)"
      R"("jsonrpc":"1.0","params":{"connectionId":"a","connectionId":"b"},)"
      R"("method":"getLiveSession","jsonrpc":"2.0"})");
  EXPECT_EQ(call.connection_id, ConnectionId("b"));
}

TEST(JsonRpc, KnowsEscapedNamesAndValues) {
  const auto call =
      only_call<GetLiveSession>(R"({"jsonrpc":"2\u002e0","m\u0065thod":"get\u004civeSession",)"
                                R"("params":{"connectio\u006eId":"\u0061\u20ac"},"\ud800":1})");
  EXPECT_EQ(call.connection_id, ConnectionId("a\xe2\x82\xac"));
}

TEST(JsonRpc, CutsPayloadsOutAsTheyCame) {
  for (const std::string_view payload :
       {R"({})", R"({ "a" : [ 1.50, 1e400, 123456789012345678901234567890 ] })",
        R"({"u":"\u00e9\ud83d\ude00 \ud800","raw":"é😀","s":"\/"})", R"({"a":1,"a":2})",
        "{\n\t\"nested\": {\"deep\": [[[{}]]]}\r\n}"}) {
    const auto call = only_call<AddMessage>(
        R"({"jsonrpc":"2.0","id":1,"method":"addMessage","params":{"connectionId":"c",)"
        R"("recipientDids":[],"payload": )" +
        std::string(payload) + R"( }})");
    EXPECT_EQ(*call.request.payload, payload);
  }
}

TEST(JsonRpc, KeepsRandomPayloadsAndIdsToTheByte) {
  const auto seed = fresh_seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  RandomJson random(seed);
  for (int round = 0; round < 3'000; ++round) {
    const std::string payload = random.object(4);
    const std::string id = random.string();
    const std::string extra = random.value(3);
    const std::string text = R"({"params":{"extra":)" + extra + R"(,"payload":)" + payload +
                             R"(,"recipientDids":["did:a"],"connectionId":"c"},"x":)" + extra +
                             R"(,"id":)" + id + R"(,"jsonrpc":"2.0","method":"addMessage"})";
    const Frame frame = Decoder(Decoder::Limits{}).decode(text);
    ASSERT_EQ(frame.members.size(), 1u) << text;
    const auto* request = std::get_if<Request>(&frame.members[0]);
    ASSERT_NE(request, nullptr) << render(frame) << "\n" << text;
    ASSERT_EQ(*std::get<AddMessage>(request->call).request.payload, payload);
    ASSERT_EQ(request->id.raw, id);
  }
}

TEST(JsonRpc, WritesAnswersWithExactlyOneOfResultAndError) {
  std::string out = "before ";
  append_result(out, R"({"a":1})", RequestId{R"("x")"});
  EXPECT_EQ(out, R"(before {"jsonrpc":"2.0","result":{"a":1},"id":"x"})");
  out.clear();
  append_error(out, RpcError{.code = 500, .message = "a \"b\"", .data = "[1]"}, RequestId{"7"});
  EXPECT_EQ(out, R"({"jsonrpc":"2.0","error":{"code":500,"message":"a \"b\"","data":[1]},"id":7})");
  out.clear();
  append_error(out, RpcError{.code = -32601, .message = "Method not found", .data = ""}, {});
  EXPECT_EQ(out,
            R"({"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":null})");
}

}  // namespace
}  // namespace mpr::rpc
