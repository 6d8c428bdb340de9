#include "rpc/call_decoder.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "core/selection.hpp"
#include "rpc/wire.hpp"
#include "tests/unit/rpc/rendering.hpp"

namespace mpr::rpc {
namespace {

// A parameter of a method, with params that are right but for `@`, which stands for its value.
struct Parameter {
  std::string method;
  std::string params;
  std::string place;
  std::string refusal;
  std::set<std::string> fine;  // types of value that are accepted
};

const std::string kId = "must be a non-empty string of at most 255 bytes";
const std::string kDid = "must be a non-empty string of at most 2048 bytes";
const std::string kNumber = "must be a non-negative integer";

std::string add_with(const std::string& member) {
  return R"({"connectionId":"c","recipientDids":[],"payload":{},)" + member + "}";
}

std::vector<Parameter> parameters() {
  std::vector<Parameter> all;
  const std::string ids = "must be an array of at most 100000 strings";
  const std::string token = R"({"type":"fcm","token":"t"})";
  for (const char* method : {"takeFromQueue", "getAvailableMessageCount", "getQueueStatus",
                             "removeAllMessages", "getLiveSession", "removeLiveSession"}) {
    all.push_back({method, R"({"connectionId":@})", "connectionId", kId, {"string"}});
  }
  for (const char* method :
       {"takeFromQueue", "getAvailableMessageCount", "getQueueStatus", "removeAllMessages"}) {
    all.push_back({method,
                   R"({"connectionId":"c","recipientDid":@})",
                   "recipientDid",
                   kDid,
                   {"null", "string"}});
  }
  for (const char* method : {"removeMessages", "acknowledge"}) {
    all.push_back(
        {method, R"({"connectionId":@,"messageIds":[]})", "connectionId", kId, {"string"}});
    all.push_back({method, R"({"connectionId":"c","messageIds":@})", "messageIds", ids, {"array"}});
    all.push_back(
        {method, R"({"connectionId":"c","messageIds":["a",@]})", "messageIds[1]", kId, {"string"}});
  }
  const auto take = [](const std::string& member) {
    return R"({"connectionId":"c",")" + member + R"(":@})";
  };
  all.push_back({"takeFromQueue", take("limit"), "limit", kNumber, {"null", "number"}});
  all.push_back({"takeFromQueue", take("limitBytes"), "limitBytes", kNumber, {"null", "number"}});
  all.push_back({"takeFromQueue",
                 take("deleteMessages"),
                 "deleteMessages",
                 "must be true or false",
                 {"null", "bool"}});
  all.push_back(
      {"addLiveSession", R"({"connectionId":@,"sessionId":"s"})", "connectionId", kId, {"string"}});
  all.push_back(
      {"addLiveSession", R"({"connectionId":"c","sessionId":@})", "sessionId", kId, {"string"}});
  all.push_back({"addLiveSession",
                 R"({"connectionId":"c","sessionId":"s","resume":@})",
                 "resume",
                 "must be true or false",
                 {"null", "bool"}});
  all.push_back({"removeLiveSession",
                 R"({"connectionId":"c","sessionId":@})",
                 "sessionId",
                 kId,
                 {"null", "string"}});
  all.push_back({"addMessage",
                 R"({"connectionId":@,"recipientDids":[],"payload":{}})",
                 "connectionId",
                 kId,
                 {"string"}});
  all.push_back({"addMessage",
                 R"({"connectionId":"c","recipientDids":@,"payload":{}})",
                 "recipientDids",
                 "must be an array of at most 256 strings",
                 {"array"}});
  all.push_back({"addMessage",
                 R"({"connectionId":"c","recipientDids":[@],"payload":{}})",
                 "recipientDids[0]",
                 kDid,
                 {"string"}});
  all.push_back({"addMessage",
                 R"({"connectionId":"c","recipientDids":[],"payload":@})",
                 "payload",
                 "must be a JSON object",
                 {"object"}});
  all.push_back({"addMessage",
                 add_with(R"("pushNotificationToken":@)"),
                 "pushNotificationToken",
                 "must be an object",
                 {"null", "object"}});
  all.push_back({"addMessage",
                 add_with(R"("pushNotificationToken":{"type":"fcm","token":@})"),
                 "pushNotificationToken.token",
                 "must be a non-empty string of at most 4096 bytes",
                 {"null", "string", "empty"}});
  all.push_back({"addMessage",
                 add_with(R"("pushNotificationToken":{"token":"t","type":@})"),
                 "pushNotificationToken.type",
                 R"(must be \"fcm\", \"apns\" or \"webhook\")",
                 {}});
  all.push_back({"addMessage",
                 add_with(R"("pushNotificationToken":{"token":"t","type":"apns","project":@})"),
                 "pushNotificationToken.project",
                 kId,
                 {"null", "string"}});
  all.push_back({"addMessage", add_with(R"("messageId":@)"), "messageId", kId, {"null", "string"}});
  all.push_back({"addMessage",
                 add_with(R"("receivedAt":@)"),
                 "receivedAt",
                 R"(must be an ISO 8601 time such as \"2026-01-31T12:00:00.000Z\")",
                 {"null"}});
  all.push_back({"addMessage",
                 add_with(R"("ttlSeconds":@)"),
                 "ttlSeconds",
                 "must be a whole number from 1 to 315360000",
                 {"null", "number"}});
  all.push_back({"addMessages",
                 R"({"messages":@})",
                 "messages",
                 "must be an array of at most 10000 objects",
                 {"array"}});
  all.push_back({"addMessages", R"({"messages":[@]})", "messages[0]", "must be an object", {}});
  all.push_back({"addMessages",
                 R"({"messages":[{"connectionId":"c","recipientDids":[],"payload":{}},)"
                 R"({"connectionId":"c","recipientDids":[],"payload":@}]})",
                 "messages[1].payload",
                 "must be a JSON object",
                 {"object"}});
  all.push_back({"rpc.login",
                 R"({"token":@})",
                 "token",
                 "must be a non-empty string of at most 8192 bytes",
                 {"string"}});
  return all;
}

struct Value {
  std::string type;
  std::string text;
};

const std::vector<Value> kValues = {{"null", "null"},
                                    {"bool", "true"},
                                    {"bool", "false"},
                                    {"number", "7"},
                                    {"number", "7.0"},
                                    {"string", R"("text-of-8+")"},
                                    {"empty", R"("")"},
                                    {"array", "[]"},
                                    {"object", "{}"},
                                    {"negative", "-1"},
                                    {"fraction", "0.5"},
                                    {"object", R"({"$ne":null})"},
                                    {"string of a number", R"("7")"}};

std::string filled(const Parameter& parameter, const std::string& value) {
  std::string params = parameter.params;
  return params.replace(params.find('@'), 1, value);
}

bool accepts(const Parameter& parameter, const Value& value) {
  if (value.type == "string of a number") {
    // Long enough for anything but a messageId's run of characters.
    return parameter.fine.contains("string") && parameter.place != "messageId";
  }
  return parameter.fine.contains(value.type);
}

TEST(CallDecoder, AcceptsOrNamesEveryParameterForEveryTypeOfValue) {
  for (const auto& parameter : parameters()) {
    for (const auto& value : kValues) {
      if (parameter.place == "messages[0]" && value.type == "object") continue;
      if (parameter.place == "messageId" && value.type == "string of a number") continue;
      const std::string params = filled(parameter, value.text);
      const std::string outcome = refusal(parameter.method, params);
      if (accepts(parameter, value)) {
        EXPECT_TRUE(outcome.starts_with("call ")) << parameter.method << ' ' << params << outcome;
      } else {
        EXPECT_EQ(outcome, parameter.place + ": " + parameter.refusal)
            << parameter.method << ' ' << params;
      }
    }
  }
}

TEST(CallDecoder, NamesAParameterThatIsMissing) {
  EXPECT_EQ(refusal("addMessage", "{}"), "connectionId: " + kId);
  EXPECT_EQ(refusal("addMessage", R"({"connectionId":"c"})"),
            "recipientDids: must be an array of at most 256 strings");
  EXPECT_EQ(refusal("addMessage", R"({"connectionId":"c","recipientDids":[]})"),
            "payload: must be a JSON object");
  EXPECT_EQ(refusal("addLiveSession", R"({"connectionId":"c"})"), "sessionId: " + kId);
  EXPECT_EQ(refusal("removeMessages", R"({"connectionId":"c"})"),
            "messageIds: must be an array of at most 100000 strings");
  EXPECT_EQ(refusal("addMessages", "{}"), "messages: must be an array of at most 10000 objects");
  EXPECT_EQ(refusal("addMessages", R"({"messages":[{"connectionId":"c"}]})"),
            "messages[0].recipientDids: must be an array of at most 256 strings");
}

TEST(CallDecoder, BoundsTextByItsBytesAfterUnescaping) {
  const auto with = [](const std::string& text) { return R"({"connectionId":")" + text + "\"}"; };
  const auto times = [](int count, const std::string& text) {
    std::string out;
    for (int i = 0; i < count; ++i) out += text;
    return out;
  };
  EXPECT_TRUE(refusal("getLiveSession", with(times(255, "a"))).starts_with("call "));
  EXPECT_EQ(refusal("getLiveSession", with(times(256, "a"))), "connectionId: " + kId);
  EXPECT_TRUE(refusal("getLiveSession", with(times(255, "\\u0061"))).starts_with("call "));
  EXPECT_EQ(refusal("getLiveSession", with(times(256, "\\u0061"))), "connectionId: " + kId);
  EXPECT_TRUE(refusal("getLiveSession", with(times(127, "\xc3\xa9"))).starts_with("call "));
  EXPECT_EQ(refusal("getLiveSession", with(times(128, "\xc3\xa9"))), "connectionId: " + kId);
  EXPECT_EQ(refusal("getLiveSession", with(times(100'000, "a"))), "connectionId: " + kId);
}

TEST(CallDecoder, RefusesControlCharactersAndHalfSurrogatePairsInIds) {
  for (const std::string text : {"a\\u0000b", "\\n", "a\\u001f", "\\u007f", "\x7f"}) {
    EXPECT_EQ(refusal("getLiveSession", R"({"connectionId":")" + text + "\"}"),
              "connectionId: must not contain control characters")
        << text;
  }
  EXPECT_EQ(refusal("getLiveSession", R"({"connectionId":"a\ud800"})"),
            "connectionId: must not contain half of a surrogate pair");
  EXPECT_TRUE(
      refusal("getLiveSession", R"({"connectionId":"\u0080 \ud83d\ude00"})").starts_with("call "));
}

TEST(CallDecoder, WantsMessageIdsThatPickupWalletsAccept) {
  const auto outcome = [](const std::string& id) {
    return refusal("addMessage", add_with(R"("messageId":")" + id + "\""));
  };
  const std::string refused =
      "messageId: must have at least 8 consecutive characters of [-_./a-zA-Z0-9]";
  for (const char* good : {"12345678", "a-_./Z09", "*****abcdefgh*", "0e7a2f8e-3c5b-4d4b"}) {
    EXPECT_TRUE(outcome(good).starts_with("call ")) << good;
  }
  for (const char* bad : {"1234567", "abcd:efgh:ijkl", "1234567*8", "\xc3\xa9t\xc3\xa9\xc3\xa9t"}) {
    EXPECT_EQ(outcome(bad), refused) << bad;
  }
}

TEST(CallDecoder, BoundsNumbers) {
  const auto take = [](const std::string& limit) {
    return refusal("takeFromQueue", R"({"connectionId":"c","limit":)" + limit + "}");
  };
  const auto ttl = [](const std::string& seconds) {
    return refusal("addMessage", add_with(R"("ttlSeconds":)" + seconds));
  };
  for (const char* good : {"0", "-0", "1", "10.0", "1e3", "9007199254740992"}) {
    EXPECT_TRUE(take(good).starts_with("call ")) << good;
  }
  for (const char* bad : {"-1", "1.5", "1e99", "1e400", "18446744073709551616"}) {
    EXPECT_EQ(take(bad), "limit: " + kNumber) << bad;
  }
  EXPECT_TRUE(ttl("1").starts_with("call "));
  EXPECT_TRUE(ttl("315360000").starts_with("call "));
  for (const char* bad : {"0", "-1", "1.5", "315360001"}) {
    EXPECT_EQ(ttl(bad), "ttlSeconds: must be a whole number from 1 to 315360000") << bad;
  }
}

TEST(CallDecoder, BoundsArrays) {
  const auto array_of = [](std::size_t count, const std::string& element) {
    std::string out = "[";
    for (std::size_t i = 0; i < count; ++i) out += (i > 0 ? "," : "") + element;
    return out + "]";
  };
  const auto dids = [&](std::size_t count) {
    return refusal("addMessage", R"({"connectionId":"c","payload":{},"recipientDids":)" +
                                     array_of(count, "\"d\"") + "}");
  };
  const auto ids = [&](std::size_t count) {
    return refusal("removeMessages",
                   R"({"connectionId":"c","messageIds":)" + array_of(count, "\"m\"") + "}");
  };
  const auto messages = [&](std::size_t count) {
    return refusal("addMessages",
                   R"({"messages":)" +
                       array_of(count, R"({"connectionId":"c","recipientDids":[],"payload":{}})") +
                       "}");
  };
  const auto events = [&](std::size_t count) {
    return refusal("rpc.on", array_of(count, "\"e\""));
  };
  EXPECT_TRUE(dids(256).starts_with("call "));
  EXPECT_EQ(dids(257), "recipientDids: must be an array of at most 256 strings");
  EXPECT_TRUE(ids(100'000).starts_with("call "));
  EXPECT_EQ(ids(100'001), "messageIds: must be an array of at most 100000 strings");
  EXPECT_TRUE(messages(10'000).starts_with("call "));
  EXPECT_EQ(messages(10'001), "messages: must be an array of at most 10000 objects");
  EXPECT_TRUE(events(64).starts_with("call "));
  EXPECT_EQ(events(65), "params: must be an array of at most 64 event names");
}

TEST(CallDecoder, BoundsPayloadsByTheirBytes) {
  const Decoder decoder(Decoder::Limits{.max_message_bytes = 10});
  const auto outcome = [&](const std::string& payload) {
    return render(
        decoder.decode(R"({"jsonrpc":"2.0","id":1,"method":"addMessages","params":{"messages":[)"
                       R"({"connectionId":"c","recipientDids":[],"payload":)" +
                       payload + "}]}}"));
  };
  EXPECT_TRUE(outcome(R"({"a":1234})").starts_with("call "));
  EXPECT_EQ(
      outcome(R"({"a":12345})"),
      R"({"jsonrpc":"2.0","error":{"code":413,"message":"Message too large","data":{"details":)"
      R"("messages[0].payload: larger than the 10 bytes that a message may have"}},"id":1})");
}

TEST(CallDecoder, ReadsEveryParameterOfAddMessage) {
  const Frame frame =
      Decoder(Decoder::Limits{})
          .decode(
              R"({"jsonrpc":"2.0","id":1,"method":"addMessage","params":{"ttlSeconds":60,)"
              R"("receivedAt":"2026-01-31T13:00:00.5+01:00","messageId":"message-1","connectionId":"c",)"
              R"("payload":{"ciphertext":"x"},"recipientDids":["did:a","did:b"],"unknown":[1],)"
              R"("pushNotificationToken":{"type":"apns","token":"t","project":"p","unknown":1}}})");
  const auto& request = std::get<AddMessage>(std::get<Request>(frame.members.at(0)).call).request;
  EXPECT_EQ(request.connection_id, ConnectionId("c"));
  EXPECT_EQ(request.recipient_dids,
            (std::vector<RecipientDid>{RecipientDid("did:a"), RecipientDid("did:b")}));
  EXPECT_EQ(*request.payload, R"({"ciphertext":"x"})");
  EXPECT_EQ(request.push_token,
            (PushToken{.provider = PushProvider::apns, .token = "t", .project = "p"}));
  EXPECT_EQ(request.message_id, MessageId("message-1"));
  EXPECT_EQ(to_iso8601(request.received_at.value()), "2026-01-31T12:00:00.500Z");
  EXPECT_EQ(request.ttl, std::chrono::seconds(60));
}

TEST(CallDecoder, LeavesOptionalParametersOut) {
  for (const std::string optional :
       {R"("pushNotificationToken":null,"messageId":null,"receivedAt":null,"ttlSeconds":null)",
        R"("pushNotificationToken":{})", R"("pushNotificationToken":{"type":"fcm"})",
        R"("pushNotificationToken":{"type":"expo","token":null})",
        R"("pushNotificationToken":{"type":null,"token":""})", R"("unknown":1)"}) {
    const Frame frame = Decoder(Decoder::Limits{})
                            .decode(R"({"jsonrpc":"2.0","id":1,"method":"addMessage","params":)" +
                                    add_with(optional) + "}");
    const auto& request = std::get<AddMessage>(std::get<Request>(frame.members.at(0)).call).request;
    EXPECT_EQ(request.push_token, std::nullopt) << optional;
    EXPECT_EQ(request.message_id, std::nullopt);
    EXPECT_EQ(request.received_at, std::nullopt);
    EXPECT_EQ(request.ttl, std::nullopt);
  }
}

TEST(CallDecoder, ReadsEveryParameterOfTakeFromQueue) {
  const Frame frame =
      Decoder(Decoder::Limits{})
          .decode(
              R"({"jsonrpc":"2.0","id":1,"method":"takeFromQueue","params":{"connectionId":"c",)"
              R"("recipientDid":"did:a","limit":10,"limitBytes":2e3,"deleteMessages":true}})");
  const auto& request =
      std::get<TakeFromQueue>(std::get<Request>(frame.members.at(0)).call).request;
  EXPECT_EQ(request.connection_id, ConnectionId("c"));
  EXPECT_EQ(request.recipient_did, RecipientDid("did:a"));
  EXPECT_EQ(request.limit, 10u);
  EXPECT_EQ(request.limit_bytes, 2000u);
  EXPECT_EQ(request.mode, TakeMode::remove);
}

TEST(CallDecoder, ReadsWhatAnOpenedSessionDoesToAnotherOne) {
  const auto mode = [](const std::string& member) {
    const Frame frame =
        Decoder(Decoder::Limits{})
            .decode(
                R"({"jsonrpc":"2.0","id":1,"method":"addLiveSession","params":{"connectionId":"c",)"
                R"("sessionId":"s")" +
                member + "}}");
    return std::get<AddLiveSession>(std::get<Request>(frame.members.at(0)).call).request.mode;
  };
  EXPECT_EQ(mode(""), OpenMode::replace);
  EXPECT_EQ(mode(R"(,"resume":false)"), OpenMode::replace);
  EXPECT_EQ(mode(R"(,"resume":true)"), OpenMode::resume);
}

TEST(CallDecoder, ReadsEventNamesKnownOrNot) {
  const Frame frame =
      Decoder(Decoder::Limits{})
          .decode(
              R"({"jsonrpc":"2.0","id":1,"method":"rpc.off","params":["messagesReceived","toString",""]})");
  const auto& call = std::get<Unsubscribe>(std::get<Request>(frame.members.at(0)).call);
  EXPECT_EQ(call.events, (std::vector<std::string>{"messagesReceived", "toString", ""}));
  EXPECT_EQ(refusal("rpc.on", R"(["a",1])"), "params[1]: must be a string of at most 255 bytes");
  EXPECT_EQ(refusal("rpc.on", "[\"" + std::string(256, 'a') + "\"]"),
            "params[0]: must be a string of at most 255 bytes");
  EXPECT_EQ(refusal("rpc.on", R"(["\ud800"])"), "params[0]: must be a string of at most 255 bytes");
}

TEST(CallDecoder, IgnoresParamsOfMethodsWithoutAny) {
  for (const char* method : {"ping", "__listMethods"}) {
    for (const char* params : {"null", "{}", "[]", "[1]", R"({"a":1})", "7", "true", R"("")"}) {
      EXPECT_TRUE(refusal(method, params).starts_with("call ")) << method << params;
    }
  }
}

TEST(CallDecoder, DecodesEveryMethodToACallOfItsOwn) {
  const std::string params =
      R"({"connectionId":"c","recipientDids":[],"payload":{},"messageIds":[],"sessionId":"s",)"
      R"("messages":[],"token":"t"})";
  std::set<std::string> calls;
  for (const auto method : method_names()) {
    const bool wants_events = method == "rpc.on" || method == "rpc.off";
    calls.insert(refusal(method, wants_events ? "[]" : params));
  }
  EXPECT_EQ(calls.size(), std::variant_size_v<Call>);
  for (const auto& call : calls) EXPECT_TRUE(call.starts_with("call ")) << call;
}

TEST(Calls, NameTheConnectionTheyAreAbout) {
  const ConnectionId c("c");
  AddMessage add;
  add.request.connection_id = c;
  TakeFromQueue take;
  take.request.connection_id = c;
  for (const Call& call : {Call(add), Call(take), Call(GetLiveSession{c})}) {
    ASSERT_NE(connection_of(call), nullptr);
    EXPECT_EQ(*connection_of(call), c);
  }
  for (const Call& call : {Call(Ping{}), Call(Subscribe{}), Call(AddMessages{}), Call(Login{})}) {
    EXPECT_EQ(connection_of(call), nullptr);
  }
}

}  // namespace
}  // namespace mpr::rpc
