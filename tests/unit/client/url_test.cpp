#include "client/url.hpp"

#include <gtest/gtest.h>

namespace mpr::client {
namespace {

TEST(Url, ReadsHostPortAndTarget) {
  const auto parse = [](std::string_view text) { return parse_url(text).value_or(Url{}); };
  EXPECT_EQ(parse("ws://127.0.0.1:3100"), (Url{"127.0.0.1", 3100, "/"}));
  EXPECT_EQ(parse("ws://gateway"), (Url{"gateway", 80, "/"}));
  EXPECT_EQ(parse("ws://[::1]:9/a/b?c=d"), (Url{"::1", 9, "/a/b?c=d"}));
  EXPECT_EQ(parse("ws://h:65535?socket_id=7"), (Url{"h", 65535, "/?socket_id=7"}));
  EXPECT_EQ(parse("wss://h"), (Url{"h", 443, "/", Transport::tls}));
  EXPECT_EQ(parse("wss://h:9/a"), (Url{"h", 9, "/a", Transport::tls}));
}

TEST(Url, SaysWhatIsWrong) {
  for (const auto& [text, reason] : {std::pair{"http://h", "must start with ws://"},
                                     {"wss://", "names no host"},
                                     {"ws://", "names no host"},
                                     {"ws://:80", "names no host"},
                                     {"ws://[::1", "names no host"},
                                     {"ws://h:", "port"},
                                     {"ws://h:0", "port"},
                                     {"ws://h:65536", "port"},
                                     {"ws://h:80x", "port"},
                                     {"ws://[::1]x", "odd"},
                                     {"ws://u@h", "must not contain"},
                                     {"ws://h/ a", "must not contain"}}) {
    const auto url = parse_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_NE(url.error().context.find(reason), std::string::npos) << url.error().context;
    EXPECT_NE(url.error().context.find(text), std::string::npos) << url.error().context;
  }
}

TEST(Url, KnowsLoopbackByItsLiteralNamesOnly) {
  for (const char* host : {"127.0.0.1", "127.200.3.4", "::1", "localhost"}) {
    EXPECT_TRUE(is_loopback(host)) << host;
  }
  for (const char* host :
       {"0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "localhost.example", "", "h"}) {
    EXPECT_FALSE(is_loopback(host)) << host;
  }
}

}  // namespace
}  // namespace mpr::client
