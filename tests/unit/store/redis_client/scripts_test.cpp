#include "store/redis/scripts.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace mpr::redis {
namespace {

TEST(Scripts, AreEmbeddedWithTheirNamesAndDigests) {
  std::set<std::string> names;
  for (const Script* script : scripts::all()) {
    EXPECT_FALSE(script->text.empty()) << script->name;
    EXPECT_EQ(script->sha1, Script(script->name, script->text).sha1);
    EXPECT_TRUE(names.insert(std::string(script->name)).second) << script->name;
  }
  EXPECT_FALSE(names.empty());
}

}  // namespace
}  // namespace mpr::redis
