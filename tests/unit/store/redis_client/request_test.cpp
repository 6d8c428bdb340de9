#include "store/redis/request.hpp"

#include <gtest/gtest.h>

namespace mpr::redis {
namespace {

TEST(Request, EncodesItsCommands) {
  Request request("k");
  const std::vector<std::string> second = {"DEL", "k"};
  request.add({"SET", "k", std::string_view("a\r\n\0b", 5)}).add(second, Repeat::safe);

  EXPECT_EQ(request.routing_key(), "k");
  EXPECT_EQ(request.bytes_of(0),
            std::string_view("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\n\0b\r\n", 31));
  EXPECT_EQ(request.bytes_of(1), "*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n");
  EXPECT_EQ(request.bytes().size(), 31u + 20u);
  ASSERT_EQ(request.commands().size(), 2u);
  EXPECT_EQ(request.commands()[0].repeat, Repeat::never);
  EXPECT_EQ(request.commands()[1].repeat, Repeat::safe);
  EXPECT_EQ(request.durability(), Durability::primary);
  EXPECT_FALSE(request.is_transaction());
}

TEST(Request, KnowsATransaction) {
  Request request("k");
  request.add({"MULTI"}).add({"GET", "k"}).add({"EXEC"});
  EXPECT_TRUE(request.is_transaction());
  Request other("MULTI");
  other.add({"GET", "MULTI"});
  EXPECT_FALSE(other.is_transaction());
}

TEST(Request, CanSendAScriptByDigestOrAsText) {
  const Script script("one", "return 1");
  EXPECT_EQ(script.sha1, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
  Request request("k");
  const std::vector<std::string> keys = {"k"};
  const std::vector<std::string> arguments = {"a", ""};
  request.add({"GET", "k"}).eval(script, keys, arguments, Repeat::safe);
  EXPECT_EQ(request.bytes_of(1),
            "*6\r\n$7\r\nEVALSHA\r\n$40\r\ne0e1f9fabfc9d4800c877a703b823ac0578ff8db\r\n$1\r\n1\r\n"
            "$1\r\nk\r\n$1\r\na\r\n$0\r\n\r\n");
  EXPECT_EQ(request.with_text(1),
            "*6\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n1\r\n$1\r\nk\r\n$1\r\na\r\n$0\r\n\r\n");
}

}  // namespace
}  // namespace mpr::redis
