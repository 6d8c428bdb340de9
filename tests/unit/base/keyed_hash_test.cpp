#include "base/keyed_hash.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <set>
#include <string>

namespace mpr {
namespace {

constexpr Hash128 kKey{0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};

TEST(KeyedHash, IsTheSameForTheSameKeyAndTexts) {
  EXPECT_EQ(KeyedHash(kKey)({"tenant", "phone"}), KeyedHash(kKey)({"tenant", "phone"}));
  EXPECT_EQ(KeyedHash(kKey).key(), kKey);
}

TEST(KeyedHash, DiffersWhereTextsDifferInAnyWay) {
  const KeyedHash hash(kKey);
  std::set<Hash128> seen;
  std::size_t texts = 0;
  const auto see = [&](std::initializer_list<std::string_view> list) {
    ++texts;
    seen.insert(hash(list));
  };
  see({});
  see({""});
  see({"", ""});
  see({"ab", "c"});
  see({"a", "bc"});
  see({"abc"});
  see({"abc", ""});
  see({"", "abc"});
  see({std::string_view("a\0", 2)});
  see({"a"});
  for (std::size_t length = 2; length < 40; ++length) {
    if (length != 3) see({std::string(length, 'a')});
    see({std::string(length, '\0')});
  }
  EXPECT_EQ(seen.size(), texts);
}

TEST(KeyedHash, DiffersWithTheKey) {
  EXPECT_NE(KeyedHash(kKey)({"phone"}), KeyedHash({kKey.high ^ 1, kKey.low})({"phone"}));
  EXPECT_NE(KeyedHash(kKey)({"phone"}), KeyedHash({kKey.high, kKey.low ^ 1})({"phone"}));
  EXPECT_NE(KeyedHash::random().key(), KeyedHash::random().key());
}

TEST(KeyedHash, ChangesAboutHalfItsBitsWithOneBitOfTheText) {
  const KeyedHash hash(kKey);
  const std::string text = "0f8fad5b-d9cb-469f-a165-70867728950e";
  const Hash128 before = hash({text});
  int changed = 0;
  int flips = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string other = text;
      other[i] = static_cast<char>(other[i] ^ (1 << bit));
      const Hash128 after = hash({other});
      changed += std::popcount(before.high ^ after.high) + std::popcount(before.low ^ after.low);
      ++flips;
    }
  }
  EXPECT_NEAR(static_cast<double>(changed) / flips, 64, 2);
}

}  // namespace
}  // namespace mpr
