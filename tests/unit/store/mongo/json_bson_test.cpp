#include "store/mongo/json_bson.hpp"

#include <gtest/gtest.h>

#include "store/mongo/bson.hpp"
#include "tests/unit/rpc/random_json.hpp"

namespace mpr::mongo {

namespace {

std::string back(const std::string& bytes) {
  bson_t view;
  EXPECT_TRUE(
      bson_init_static(&view, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
  EXPECT_TRUE(bson_validate(&view, BSON_VALIDATE_UTF8, nullptr));
  std::string json;
  append_json(json, view);
  return json;
}

std::string nested(int levels) {
  std::string json;
  for (int i = 0; i < levels; ++i) json += "{\"a\":";
  json += "1";
  for (int i = 0; i < levels; ++i) json += "}";
  return json;
}

}  // namespace

TEST(JsonBson, TightObjectsComeBackAsTheyWere) {
  const std::vector<std::string> texts = {
      "{}",
      R"({"protected":"eyJ0eXAi","iv":"x","ciphertext":"-_","tag":"=="})",
      R"({"a":[],"b":[1,-2,{"x":[3]}],"c":{"d":{}},"e":null,"f":true,"g":false})",
      R"({"n":0,"m":2147483647,"l":2147483648,"k":-9223372036854775808,"j":9223372036854775807})",
      R"({"r":1.5,"s":-0.25,"t":1e+300})",
      "{\"s\":\"\\\"\\\\ \\n\\t\\r \\u0001 \xc3\xa9 \xf0\x9f\x98\x80 /\"}",
      R"({"a b":1,"\n":2,"é":3})",
      nested(60),
  };
  for (const std::string& text : texts) {
    const auto bytes = bson_of_json(text);
    ASSERT_TRUE(bytes.has_value()) << text;
    EXPECT_EQ(back(*bytes), text);
  }
}

TEST(JsonBson, WhatWouldComeBackDifferentlyIsLeftAsText) {
  const std::vector<std::string> texts = {
      "",
      "{",
      "[]",
      "1",
      "{ }",
      R"({"a": 1})",
      R"({"a":1} )",
      R"({"a":1.0})",
      R"({"a":-0})",
      R"({"a":1e3})",
      R"({"a":01})",
      R"({"a":12345678901234567890})",
      R"({"a":"\/"})",
      R"({"a":"\u0041"})",
      R"({"a":"\ud83d\ude00"})",
      R"({"a":"\u0000"})",
      R"({"a":1,"a":2})",
      R"({"a":1,})",
      R"({"a":[1,]})",
      R"({"a":tru})",
      R"({"a":[[1]]})",
      R"({"":1})",
      R"({"$where":1})",
      R"({"a.b":1})",
      "{\"a\":\"\xff\"}",
      std::string("{\"a\0b\":1}", 9),
      "{\"a\":\"tab\there\"}",
      nested(100),
  };
  for (const std::string& text : texts) EXPECT_FALSE(bson_of_json(text).has_value()) << text;
}

TEST(JsonBson, RandomJsonIsNeverChanged) {
  const std::uint64_t seed = rpc::fresh_seed();
  SCOPED_TRACE("MPR_TEST_SEED=" + std::to_string(seed));
  rpc::RandomJson random(seed);
  std::size_t converted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = random.object(4);
    if (i % 2 == 0) std::erase_if(text, [](char c) { return c == ' ' || c == '\n' || c == '\r'; });
    if (i % 5 == 0) random.damage(text);
    const auto bytes = bson_of_json(text);
    if (!bytes) continue;
    ++converted;
    ASSERT_EQ(back(*bytes), text);
  }
  EXPECT_GT(converted, 1000U);
}

TEST(JsonBson, ValuesThatJsonDoesNotHaveAreRenderedAsStrings) {
  Document document;
  bson_oid_t oid;
  bson_oid_init_from_string(&oid, "65a0000000000000000000ff");
  bson_append_oid(document.get(), "id", -1, &oid);
  document.time("at", TimePoint(std::chrono::milliseconds(1'750'000'000'123)));
  document.binary("bytes", std::string("\x00\x01\xff\xfe", 4));
  bson_append_double(document.get(), "time", -1, 1750000000123.0);
  bson_append_double(document.get(), "half", -1, 0.5);
  bson_append_undefined(document.get(), "nothing", -1);
  std::string json;
  append_json(json, *document.get());
  EXPECT_EQ(json, R"({"id":"65a0000000000000000000ff","at":"2025-06-15T15:06:40.123Z",)"
                  R"("bytes":"AAH//g==","time":1750000000123,"half":0.5,"nothing":null})");
}

}  // namespace mpr::mongo
