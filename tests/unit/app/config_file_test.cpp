#include "app/config_file.hpp"

#include <gtest/gtest.h>

namespace mpr {

// GTest prints entries through this.
static void PrintTo(const ConfigFileEntry& entry, std::ostream* out) {
  *out << entry.key << "=" << entry.value << " (line " << entry.line << ")";
}
static bool operator==(const ConfigFileEntry& a, const ConfigFileEntry& b) {
  return a.key == b.key && a.value == b.value && a.line == b.line;
}

namespace {

using Entries = std::vector<ConfigFileEntry>;

TEST(ConfigFile, ReadsKeysValuesCommentsAndBlankLines) {
  const ConfigFile file = parse_config_file(
      "# the service\n"
      "WS_PORT=3100\n"
      "\n"
      "  MPR_DATA_DIR = /var/lib/mpr   # on the fast disk\r\n"
      "MPR_BACKEND=");
  EXPECT_EQ(file.entries, (Entries{{"WS_PORT", "3100", 2},
                                   {"MPR_DATA_DIR", "/var/lib/mpr", 4},
                                   {"MPR_BACKEND", "", 5}}));
  EXPECT_TRUE(file.bad_lines.empty());
}

TEST(ConfigFile, KeepsHashesAndEqualsThatBelongToAValue) {
  const ConfigFile file = parse_config_file(
      "A=to#ken\n"
      "B=\"with # inside\"\n"
      "C='single' # comment\n"
      "D=a=b\n"
      "E=\"unclosed\n"
      "F=\"a\"b\n"
      "G=#comment\n");
  EXPECT_EQ(file.entries, (Entries{{"A", "to#ken", 1},
                                   {"B", "with # inside", 2},
                                   {"C", "single", 3},
                                   {"D", "a=b", 4},
                                   {"E", "\"unclosed", 5},
                                   {"F", "\"a\"b", 6},
                                   {"G", "", 7}}));
}

TEST(ConfigFile, NumbersTheLinesThatAreNeither) {
  const ConfigFile file = parse_config_file("WS_PORT 3100\n=5\nexport WS_PORT=1\nOK=1\n");
  EXPECT_EQ(file.bad_lines, (std::vector<std::size_t>{1, 2, 3}));
  EXPECT_EQ(file.entries, (Entries{{"OK", "1", 4}}));
}

TEST(ConfigFile, OfNothingIsEmpty) {
  EXPECT_TRUE(parse_config_file("").entries.empty());
  EXPECT_TRUE(parse_config_file("\n\n").bad_lines.empty());
}

}  // namespace
}  // namespace mpr
