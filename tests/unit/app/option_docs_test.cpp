#include "app/option_docs.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

namespace mpr {
namespace {

std::string contents(const std::string& path) {
  std::ifstream in(std::string(MPR_SOURCE_DIR) + "/" + path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(Help, IsAsTheGoldenFileSays) {
  EXPECT_EQ(help_text(), contents("tests/golden/help.txt"))
      << "if the change is meant: mpr help > tests/golden/help.txt";
}

TEST(Help, FitsATerminal) {
  std::istringstream in(help_text());
  for (std::string line; std::getline(in, line);) EXPECT_LE(line.size(), 80U) << line;
}

TEST(ConfigurationReference, IsWhatTheTableSays) {
  EXPECT_EQ(configuration_reference(), contents("docs/configuration.md"))
      << "if the change is meant: mpr help --markdown > docs/configuration.md";
}

}  // namespace
}  // namespace mpr
