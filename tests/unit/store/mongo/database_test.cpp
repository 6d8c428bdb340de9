// What can be said of the URI and of errors without a server.
#include "store/mongo/database.hpp"

#include <gtest/gtest.h>

#include "store/mongo/description.hpp"
#include "tests/support/log_capture.hpp"

namespace mpr::mongo {

TEST(MongoUri, ABadUriIsRefusedWithoutShowingIt) {
  for (const char* uri : {"", "http://host", "mongodb://", "mongodb://user:secret@:99999/x",
                          "mongodb://user:secret@host/?tls=perhaps&tlsInsecure=true&tlsCAFile=1"
                          "&tlsAllowInvalidHostnames=true"}) {
    const auto pool = Pool::open(uri, "", 1);
    ASSERT_FALSE(pool.has_value()) << uri;
    EXPECT_EQ(pool.error().code, Errc::invalid_argument);
    EXPECT_EQ(pool.error().context.find("secret"), std::string::npos);
  }
}

TEST(MongoUri, TheDatabaseIsTheGivenOneOrThatOfTheUriOrTest) {
  EXPECT_EQ((*Pool::open("mongodb://h", "", 1))->database(), "test");
  EXPECT_EQ((*Pool::open("mongodb://h/pickup", "", 1))->database(), "pickup");
  EXPECT_EQ((*Pool::open("mongodb://h/pickup?w=1", "other", 1))->database(), "other");
}

TEST(MongoUri, TlsAndAuthenticationAreSeen) {
  const auto plain = Pool::open("mongodb://h/", "", 1);
  EXPECT_FALSE((*plain)->uses_tls());
  EXPECT_FALSE((*plain)->uses_authentication());
  const auto safe = Pool::open("mongodb://me:s%2Fecret@h/?tls=true", "", 1);
  EXPECT_TRUE((*safe)->uses_tls());
  EXPECT_TRUE((*safe)->uses_authentication());
  EXPECT_EQ((*safe)->without_secrets("x s/ecret y s/ecret"), "x *** y ***");
}

TEST(MongoUri, WritesThatNobodyAnswersAreRefused) {
  for (const char* uri :
       {"mongodb://h/?w=0", "mongodb://u:secret@h/pickup?retryWrites=false&w=0"}) {
    const auto pool = Pool::open(uri, "", 1);
    ASSERT_FALSE(pool.has_value()) << uri;
    EXPECT_EQ(pool.error().code, Errc::invalid_argument);
    EXPECT_NE(pool.error().context.find("w=0"), std::string::npos);
  }
}

TEST(MongoUri, AReadPreferenceIsNotUsedAndThatIsSaid) {
  const test::LogCapture log;
  EXPECT_TRUE(Pool::open("mongodb://h/?readPreference=primary", "", 1).has_value());
  EXPECT_TRUE(log.with("read preference").empty());
  EXPECT_TRUE(Pool::open("mongodb://h/?readPreference=secondaryPreferred", "", 1).has_value());
  EXPECT_EQ(log.with("read preference").size(), 1U);
}

TEST(MongoErrors, WhatAnotherAttemptMayHealIsTransient) {
  for (const std::uint32_t code : {10107U, 13435U, 11602U, 189U, 91U, 50U, 6U, 64U, 43U, 14031U}) {
    EXPECT_TRUE(is_transient(code)) << code;
  }
  for (const std::uint32_t code : {11000U, 2U, 121U, 10334U}) {
    EXPECT_FALSE(is_transient(code)) << code;
  }
}

TEST(MongoDescription, SaysEverythingInOneSentence) {
  MongoDescription found;
  found.version = "7.0.1";
  found.kind = MongoDescription::Kind::replica_set;
  found.database = "pickup";
  found.set_name = "rs0";
  found.primary = "a:1";
  found.nodes = {{"a:1", "PRIMARY"}, {"b:1", "SECONDARY"}};
  found.tls = true;
  found.missing_indexes = {"mpr_queue"};
  EXPECT_EQ(found.sentence(),
            "MongoDB 7.0.1, a replica set \"rs0\" of 2, primary a:1, a:1 is PRIMARY, b:1 is "
            "SECONDARY, database pickup, with TLS, without authentication, indexes that a gateway "
            "will create: mpr_queue");
}

}  // namespace mpr::mongo
