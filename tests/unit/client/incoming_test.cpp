#include "client/incoming.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mpr::client {
namespace {

void expect_incoming(std::string_view frame, Incoming::Kind kind, std::uint64_t id,
                     std::string_view method, std::string_view text) {
  IncomingReader reader;
  const auto read = reader.read(frame);
  ASSERT_TRUE(read) << frame << ": " << read.error().context;
  EXPECT_EQ(read->kind, kind) << frame;
  EXPECT_EQ(read->id, id) << frame;
  EXPECT_EQ(read->method, method) << frame;
  EXPECT_EQ(read->text, text) << frame;
}

TEST(IncomingReader, ReadsResultsInWhateverOrderTheirMembersStand) {
  using enum Incoming::Kind;
  expect_incoming(R"({"jsonrpc":"2.0","result":true,"id":7})", result, 7, "", "true");
  expect_incoming(R"({"jsonrpc":"2.0","result":{"a":[1,{"id":3}]},"id":0})", result, 0, "",
                  R"({"a":[1,{"id":3}]})");
  expect_incoming(R"({"jsonrpc":"2.0","result":"\",\"id\":5}","id":12})", result, 12, "",
                  R"("\",\"id\":5}")");
  expect_incoming(R"({"jsonrpc":"2.0","id":9,"result":{"id":4}})", result, 9, "", R"({"id":4})");
  expect_incoming(R"({ "id": 9007199254740991, "result": null, "jsonrpc": "2.0" })", result,
                  9007199254740991, "", "null");
}

TEST(IncomingReader, ReadsErrors) {
  expect_incoming(R"({"jsonrpc":"2.0","error":{"code":500,"message":"m"},"id":8})",
                  Incoming::Kind::error, 8, "", R"({"code":500,"message":"m"})");
}

TEST(IncomingReader, ReadsEvents) {
  using enum Incoming::Kind;
  expect_incoming(R"({"jsonrpc":"2.0","method":"messagesReceived","params":{"id":""}})", event, 0,
                  "messagesReceived", R"({"id":""})");
  expect_incoming(R"({"params": [1], "method": "x", "jsonrpc": "2.0"})", event, 0, "x", "[1]");
  expect_incoming(R"({"jsonrpc":"2.0","method":"alone"})", event, 0, "alone", "");
}

TEST(IncomingReader, RefusesWhatIsNeither) {
  for (const char* frame :
       {"", "[]", "7", "{", "{}", R"({"jsonrpc":"2.0"})", R"({"jsonrpc":"2.0","result":1})",
        R"({"jsonrpc":"2.0","result":1,"id":null})", R"({"jsonrpc":"2.0","result":1,"id":"7"})",
        R"({"jsonrpc":"2.0","result":1,"id":-7})", R"({"jsonrpc":"2.0","id":7})",
        R"({"jsonrpc":"2.0","result":,"id":})",
        R"({"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null})"}) {
    IncomingReader reader;
    EXPECT_FALSE(reader.read(frame)) << frame;
  }
}

TEST(IncomingReader, IsReusable) {
  IncomingReader reader;
  for (std::uint64_t id = 1; id < 200; ++id) {
    const std::string frame =
        R"({"id":)" + std::to_string(id) + R"(,"result":")" + std::string(id * 10, 'x') + "\"}";
    const auto read = reader.read(frame);
    ASSERT_TRUE(read);
    ASSERT_EQ(read->id, id);
    ASSERT_EQ(read->text.size(), id * 10 + 2);
  }
}

}  // namespace
}  // namespace mpr::client
