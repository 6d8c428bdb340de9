#include "store/redis/server_address.hpp"

#include <gtest/gtest.h>

namespace mpr::redis {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

TEST(ServerUrl, IsRead) {
  const auto plain = parse_server_url("redis://localhost");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->address, (ServerAddress{"localhost", 6379}));
  EXPECT_EQ(plain->login, Login{});

  const auto full = parse_server_url(" rediss://mpr:p%40ss%3Aword@redis.example:7000/5?x=y ");
  ASSERT_TRUE(full.has_value()) << full.error().context;
  EXPECT_EQ(full->address, (ServerAddress{"redis.example", 7000}));
  EXPECT_EQ(full->login.user, "mpr");
  EXPECT_EQ(full->login.password, "p@ss:word");
  EXPECT_EQ(full->login.database, 5u);
  EXPECT_EQ(full->login.tls, Tls::on);

  const auto password_only = parse_server_url("redis://:secret@[::1]:7000/");
  ASSERT_TRUE(password_only.has_value());
  EXPECT_EQ(password_only->address, (ServerAddress{"::1", 7000}));
  EXPECT_EQ(password_only->login.user, "");
  EXPECT_EQ(password_only->login.password, "secret");
}

TEST(ServerUrl, IsRefusedWithoutRepeatingThePassword) {
  for (const std::string_view url :
       {"", "localhost:6379", "http://h", "redis://", "redis://u:secret@", "redis://u:secret@h:0",
        "redis://u:secret@h:65536", "redis://u:secret@h:x", "redis://u:secret@h:/1",
        "redis://u:secret@h/x", "redis://u:secret@h/-1", "redis://u:secret%@h",
        "redis://u:secret%zz@h", "redis://u:secret@[::1", "redis://u:secret@[::1]x"}) {
    const auto read = parse_server_url(url);
    ASSERT_FALSE(read.has_value()) << url;
    EXPECT_EQ(read.error().code, Errc::invalid_argument) << url;
    EXPECT_FALSE(read.error().context.contains("secret")) << read.error().context;
  }
}

TEST(ServerAddress, IsWrittenAsItIsRead) {
  EXPECT_EQ(to_text({"h", 1}), "h:1");
  EXPECT_EQ(to_text({"::1", 7000}), "[::1]:7000");
}

TEST(Nodes, AreRead) {
  const auto nodes = parse_nodes(" a:1, redis://b:2 ,c,,[::1]:4 ");
  ASSERT_TRUE(nodes.has_value()) << nodes.error().context;
  EXPECT_EQ(*nodes, (std::vector<ServerAddress>{{"a", 1}, {"b", 2}, {"c", 6379}, {"::1", 4}}));
}

TEST(Nodes, AreRefused) {
  for (const std::string_view nodes : {"", " , ", "a:", ":1", "a:b", "a:1,b:70000", "ftp://a"}) {
    EXPECT_FALSE(parse_nodes(nodes).has_value()) << nodes;
  }
}

TEST(NatMap, IsReadAsListOrJson) {
  const Pairs expected = {{"10.0.0.1:6379", "127.0.0.1:7000"}, {"[::1]:1", "h:2"}};
  const auto list = parse_nat_map(" 10.0.0.1=127.0.0.1:7000 , [::1]:1=h:2 ");
  ASSERT_TRUE(list.has_value()) << list.error().context;
  EXPECT_EQ(*list, expected);
  const auto json = parse_nat_map(
      R"( {"10.0.0.1:6379": {"host":"127.0.0.1","port":7000}, "[::1]:1":{"port":"2","host":"h"} } )");
  ASSERT_TRUE(json.has_value()) << json.error().context;
  EXPECT_EQ(*json, expected);
  EXPECT_EQ(parse_nat_map("{}"), Pairs{});
  EXPECT_EQ(parse_nat_map(""), Pairs{});
}

TEST(NatMap, IsRefused) {
  for (const std::string_view text :
       {"a:1", "a:1=", "=b:1", "a:x=b:1", "{", R"({"a:1"})", R"({"a:1":"b:1"})",
        R"({"a:1":{"host":"b"}})", R"({"a:1":{"host":"b","port":0}})",
        R"({"a:1":{"host":"b","port":1}} x)", R"({"a:1":{"host":"b","port":1},})",
        R"({"a:1":{"host":"b","port":1,"x":1}})", R"({"a:1":{"host":"b","port":1})"}) {
    const auto read = parse_nat_map(text);
    ASSERT_FALSE(read.has_value()) << text;
    EXPECT_EQ(read.error().code, Errc::invalid_argument) << text;
  }
}

}  // namespace
}  // namespace mpr::redis
