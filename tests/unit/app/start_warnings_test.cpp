#include "app/start_warnings.hpp"

#include <gtest/gtest.h>

namespace mpr {
namespace {

Settings safe() {
  Settings settings;
  settings.bind = "127.0.0.1";
  settings.max_connections = 10;
  return settings;
}

TEST(StartWarnings, AreNoneForASafeStart) {
  EXPECT_TRUE(start_warnings(safe()).empty());
  Settings six = safe();
  six.bind = "::1";
  EXPECT_TRUE(start_warnings(six).empty());
}

TEST(StartWarnings, SayThatTheServiceIsOpenToEverybody) {
  for (const char* address : {"0.0.0.0", "::", "10.0.0.1"}) {
    Settings open = safe();
    open.bind = address;
    ASSERT_EQ(start_warnings(open).size(), 1U) << address;
    EXPECT_NE(start_warnings(open).front().find(address), std::string::npos);
    open.auth_token = Secret("token");
    EXPECT_TRUE(start_warnings(open).empty()) << address;
  }
}

TEST(StartWarnings, SayThatMemoryForgets) {
  Settings forgetful = safe();
  forgetful.backend = Backend::memory;
  EXPECT_EQ(
      start_warnings(forgetful),
      std::vector<std::string>{"messages are kept in memory only (MPR_BACKEND): they are gone "
                               "when the process ends"});
}

TEST(StartWarnings, SayThatOneNodeIsNoMajority) {
  Settings careless = safe();
  careless.backend = Backend::redis;
  careless.call_timeout = std::chrono::milliseconds(1);
  careless.threshold_timestamp = std::chrono::milliseconds(2);
  careless.mongodb_uri = Secret("mongodb://h/pickup?w=majority");
  EXPECT_TRUE(start_warnings(careless).empty());
  careless.mongodb_uri = Secret("mongodb://h/pickup?w=1");
  ASSERT_EQ(start_warnings(careless).size(), 1U);
  EXPECT_NE(start_warnings(careless).front().find("w=1"), std::string::npos);
}

TEST(StartWarnings, SayThatMessagesMoveWhileCallsStillRun) {
  Settings hasty = safe();
  hasty.backend = Backend::redis;
  hasty.mongodb_uri = Secret("mongodb://h");
  hasty.call_timeout = std::chrono::milliseconds(1800);
  hasty.threshold_timestamp = std::chrono::milliseconds(1801);
  EXPECT_TRUE(start_warnings(hasty).empty());
  hasty.threshold_timestamp = std::chrono::milliseconds(1800);
  ASSERT_EQ(start_warnings(hasty).size(), 1U);
  EXPECT_TRUE(start_warnings(hasty).front().starts_with("THRESHOLD_TIMESTAMP is not longer"));
  hasty.durability = DurabilityMode::durable;
  EXPECT_TRUE(start_warnings(hasty).empty());
}

TEST(StartWarnings, SayThatThereAreMoreConnectionsThanFiles) {
  Settings many = safe();
  many.max_connections = SIZE_MAX;
  ASSERT_EQ(start_warnings(many).size(), 1U);
  EXPECT_TRUE(start_warnings(many).front().starts_with("MPR_MAX_CONNECTIONS is "));
}

}  // namespace
}  // namespace mpr
