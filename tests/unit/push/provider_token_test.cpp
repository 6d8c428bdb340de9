#include "push/provider_token.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/fake_clock.hpp"
#include "tests/unit/push/test_keys.hpp"

namespace mpr {
namespace {

using namespace std::chrono_literals;

class ProviderTokenTest : public testing::Test {
 protected:
  test::FakeClock clock;
  ApnsIdentity identity =
      *ApnsIdentity::parse(R"({"keyId":"K","teamId":"T"})", test::p256_pem(), "app");
  ProviderToken token{identity, clock};
};

TEST_F(ProviderTokenTest, IsUsedForFiftyMinutes) {
  const std::string first = token.get();
  clock.advance(50min - 1ms);
  EXPECT_EQ(token.get(), first);
  clock.advance(1ms);
  EXPECT_NE(token.get(), first);
}

TEST_F(ProviderTokenTest, IsMadeAnewWhenAppleCallsItExpired) {
  const std::string first = token.get();
  EXPECT_TRUE(token.expired(first));
  EXPECT_NE(token.get(), first);
}

TEST_F(ProviderTokenTest, IsMadeAnewOnceForAllWhoUsedIt) {
  const std::string first = token.get();
  token.expired(first);
  const std::string second = token.get();
  EXPECT_TRUE(token.expired(first));
  EXPECT_EQ(token.get(), second);
}

TEST_F(ProviderTokenTest, IsNotMadeAnewTwiceWithinTwentyMinutes) {
  token.expired(token.get());
  const std::string second = token.get();
  clock.advance(20min - 1ms);
  EXPECT_FALSE(token.expired(second));
  EXPECT_EQ(token.get(), second);
  clock.advance(1ms);
  EXPECT_TRUE(token.expired(second));
}

}  // namespace
}  // namespace mpr
