#include "app/shown_urls.hpp"

#include <gtest/gtest.h>

#include "app/mongo_uri.hpp"

namespace mpr {
namespace {

TEST(ShownUrls, HideUserAndPasswordAlone) {
  EXPECT_EQ(shown_url("redis://h"), "redis://h");
  EXPECT_EQ(shown_url("rediss://me:s3cret@h.example:6380/2"), "rediss://***@h.example:6380/2");
  EXPECT_EQ(shown_url("redis://:s3@cret@[::1]:6379"), "redis://***@[::1]:6379");
  EXPECT_EQ(shown_url("mongodb://u:s3cret@a:1,b.c/pickup?tlsCertificateKeyFilePassword=s3cret"),
            "mongodb://***@a:1,b.c/pickup?***");
  EXPECT_EQ(shown_nodes("a:1, redis://u:s3cret@b:2,[::1]:3"), "a:1,redis://***@b:2,[::1]:3");
}

TEST(ShownUrls, HideWhatMayBeAPassword) {
  for (const char* const url :
       {"s3cret", "redis://:s3cret", "redis://u:s3/cret@h", "redis://u:s3#cret@h:1",
        "mongodb://u:s3?cret@h/db", "redis://h:s3cret", "redis://h s3cret", "redis://h/s3cret!"}) {
    EXPECT_EQ(shown_url(url).find("cret"), std::string::npos) << url;
    EXPECT_NE(shown_url(url).find("***"), std::string::npos) << url;
  }
  EXPECT_EQ(shown_nodes("u:s3cret@h:1"), "***");
}

TEST(MongoUri, TellsItsOptionsAndItsDatabase) {
  const std::string uri = "mongodb://u:p?w=2@h,i:1/pickup?ReadPreference=Secondary&w=1";
  EXPECT_EQ(mongo_uri_option(uri, "readPreference"), "secondary");
  EXPECT_EQ(mongo_uri_option(uri, "w"), "1");
  EXPECT_EQ(mongo_uri_option(uri, "tls"), "");
  EXPECT_EQ(mongo_uri_database(uri), "pickup");
  EXPECT_EQ(mongo_uri_database("mongodb://h"), "test");
  EXPECT_EQ(mongo_uri_database("mongodb://h/?w=1"), "test");
}

}  // namespace
}  // namespace mpr
