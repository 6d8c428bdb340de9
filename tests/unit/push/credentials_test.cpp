#include <gtest/gtest.h>

#include <string>

#include "push/apns_identity.hpp"
#include "push/fcm_account.hpp"
#include "tests/unit/push/test_keys.hpp"

namespace mpr {
namespace {

std::string account(const std::string& project, const std::string& pem) {
  return R"({"type":"service_account","project_id":")" + project +
         R"(","client_email":"a@b","token_uri":"https://t/token","private_key":")" +
         test::escaped(pem) + R"("})";
}

TEST(FcmAccount, IsReadFromGooglesFile) {
  const auto read = FcmAccount::parse(account("my-project", test::rsa_pem()));
  ASSERT_TRUE(read) << read.error().context;
  EXPECT_EQ(read->project_id, "my-project");
  EXPECT_EQ(read->client_email, "a@b");
  EXPECT_EQ(read->token_uri, "https://t/token");
}

TEST(FcmAccount, SaysWhatIsWrongWithoutShowingIt) {
  const auto context = [](const std::string& json) {
    const auto read = FcmAccount::parse(json);
    return read ? std::string("no error") : read.error().context;
  };
  EXPECT_EQ(context(""), "is no JSON object");
  EXPECT_EQ(context("[]"), "is no JSON object");
  EXPECT_EQ(context(R"({"project_id":7})"), R"(has no text member "project_id")");
  EXPECT_EQ(context(R"({"project_id":"p","client_email":"c","token_uri":"t"})"),
            R"(has no text member "private_key")");
  EXPECT_EQ(context(account("p", "secret")), R"("private_key" is no RSA private key in PEM form)");
  EXPECT_EQ(context(account("p", test::p256_pem())),
            R"("private_key" is no RSA private key in PEM form)");
  EXPECT_EQ(context(account("p/../q", test::rsa_pem())),
            R"(has characters in "project_id" that cannot be there)");
}

TEST(ApnsIdentity, IsReadFromFileKeyAndTopic) {
  const auto read = ApnsIdentity::parse(R"({"keyId":"K","teamId":"T","production":true})",
                                        test::p256_pem(), "org.example.app");
  ASSERT_TRUE(read) << read.error().context;
  EXPECT_EQ(read->key_id, "K");
  EXPECT_EQ(read->team_id, "T");
  EXPECT_TRUE(read->production);
  EXPECT_EQ(read->topic, "org.example.app");
}

TEST(ApnsIdentity, SaysWhichOptionIsWrong) {
  const auto context = [](const std::string& json, const std::string& pem,
                          const std::string& topic) {
    const auto read = ApnsIdentity::parse(json, pem, topic);
    return read ? std::string("no error") : read.error().context;
  };
  const std::string good = R"({"keyId":"K","teamId":"T"})";
  EXPECT_EQ(context("x", test::p256_pem(), "t"), "APNS_CFG_FILE: is no JSON object");
  EXPECT_EQ(context(R"({"keyId":"K"})", test::p256_pem(), "t"),
            R"(APNS_CFG_FILE: has no text member "teamId")");
  for (const std::string& pem : {test::rsa_pem(), test::p384_pem(), std::string("secret")}) {
    EXPECT_EQ(context(good, pem, "t"), "APNS_PATH_KEY: is no EC P-256 private key in PEM form");
  }
  EXPECT_EQ(context(good, test::p256_pem(), "a\r\nb: c"), "APNS_TOPIC: is no bundle id");
}

}  // namespace
}  // namespace mpr
