#include "app/options.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>

namespace mpr {
namespace {

std::uint64_t number(std::string_view name, std::string_view text) {
  const auto value = parse_value(*find_option(name), text);
  EXPECT_TRUE(value) << name << "=" << text;
  return value ? value->number : UINT64_MAX;
}

TEST(Options, HaveUniqueNamesAndFlags) {
  std::set<std::string> names;
  std::set<std::string> flags;
  for (const Option& option : options()) {
    EXPECT_TRUE(names.insert(std::string(option.name)).second) << option.name;
    EXPECT_TRUE(flags.insert(flag_of(option)).second) << flag_of(option);
  }
}

TEST(Options, HaveDefaultsThatPassTheirOwnCheck) {
  for (const Option& option : options()) {
    EXPECT_TRUE(parse_value(option, option.standard)) << option.name;
  }
}

TEST(Options, HaveHelpThatEndsLikeASentence) {
  for (const Option& option : options()) {
    EXPECT_TRUE(option.help.ends_with('.')) << option.name;
    EXPECT_EQ(option.help.find('|'), std::string_view::npos) << option.name << " breaks its table";
  }
}

TEST(Options, StandTogetherByGroup) {
  std::set<OptionGroup> seen;
  const Option* previous = nullptr;
  for (const Option& option : options()) {
    if (previous == nullptr || previous->group != option.group) {
      EXPECT_TRUE(seen.insert(option.group).second) << option.name;
    }
    previous = &option;
  }
}

TEST(Options, DeriveFlagsFromNames) {
  EXPECT_EQ(flag_of(*find_option("WS_PORT")), "--ws-port");
  EXPECT_EQ(flag_of(*find_option("MPR_DATA_DIR")), "--data-dir");
  EXPECT_EQ(flag_of(*find_option("THRESHOLD_TIMESTAMP")), "--threshold-timestamp");
}

TEST(OptionValues, ReadSizesWithAndWithoutUnits) {
  EXPECT_EQ(number("MPR_SEGMENT_BYTES", "1048576"), 1048576U);
  EXPECT_EQ(number("MPR_SEGMENT_BYTES", "2048KiB"), 2097152U);
  EXPECT_EQ(number("MPR_SEGMENT_BYTES", "64MiB"), 67108864U);
  EXPECT_EQ(number("MPR_SEGMENT_BYTES", "64 MiB"), 67108864U);
  EXPECT_EQ(number("MPR_SEGMENT_BYTES", "1G"), 1073741824U);
  EXPECT_EQ(number("MPR_MAX_STORE_BYTES", "1TiB"), 1ULL << 40);
  EXPECT_EQ(number("MPR_MAX_STORE_BYTES", "0"), 0U);
  EXPECT_EQ(number("MPR_MAX_STORE_BYTES", "7B"), 7U);
}

TEST(OptionValues, ReadLogLevelsAsNamesAndNumbers) {
  const auto level = [](std::string_view text) {
    return static_cast<log::Level>(number("LOG_LEVEL", text));
  };
  using enum log::Level;
  EXPECT_EQ(level("debug"), debug);
  EXPECT_EQ(level("verbose"), debug);
  EXPECT_EQ(level("info"), info);
  EXPECT_EQ(level("log"), info);
  EXPECT_EQ(level("warn"), warn);
  EXPECT_EQ(level("fatal"), error);
  EXPECT_EQ(level("0"), error);
  EXPECT_EQ(level("1"), error);
  EXPECT_EQ(level("2"), warn);
  EXPECT_EQ(level("3"), info);
  EXPECT_EQ(level("5"), debug);
}

TEST(OptionValues, SayWhatWouldBeRight) {
  struct Case {
    std::string_view name;
    std::string_view text;
    std::string_view expected;
  };
  static constexpr auto kCases = std::to_array<Case>({
      {"WS_PORT", "65536", "a port number from 0 to 65535"},
      {"WS_PORT", "-1", "a port number from 0 to 65535"},
      {"WS_PORT", "", "a port number from 0 to 65535"},
      {"WS_PORT", "3100 ", "a port number from 0 to 65535"},
      {"APP_PORT", "http", "a port number from 0 to 65535"},
      {"MPR_BIND", "localhost", "an IPv4 or IPv6 address such as 127.0.0.1 or 0.0.0.0"},
      {"MPR_BIND", "127.0.0.256", "an IPv4 or IPv6 address such as 127.0.0.1 or 0.0.0.0"},
      {"MPR_BIND", "", "an IPv4 or IPv6 address such as 127.0.0.1 or 0.0.0.0"},
      {"MPR_DATA_DIR", "", "a path"},
      {"MPR_BACKEND", "Embedded", "auto, embedded, memory or redis"},
      {"MPR_BACKEND", "embedded|memory", "auto, embedded, memory or redis"},
      {"MPR_LOG_FORMAT", "xml", "text or json"},
      {"LOG_LEVEL", "6",
       "debug, info, warn or error (or verbose, log, fatal, or a number from 0 to 5)"},
      {"LOG_LEVEL", "loud",
       "debug, info, warn or error (or verbose, log, fatal, or a number from 0 to 5)"},
      {"MPR_IO_THREADS", "257", "a whole number from 0 to 256"},
      {"MPR_IO_THREADS", "1.5", "a whole number from 0 to 256"},
      {"MPR_MAX_IN_FLIGHT", "0", "a whole number from 1 to 1000000"},
      {"MPR_MAX_IN_FLIGHT", "99999999999999999999", "a whole number from 1 to 1000000"},
      {"MPR_ACK_DEADLINE_MS", "15s", "a whole number of milliseconds from 100 to 86400000"},
      {"MPR_CALL_TIMEOUT_MS", "2000", "a whole number of milliseconds from 50 to 1950"},
      {"MPR_SEGMENT_BYTES", "1KiB", "a size from 1 MiB to 1 GiB, such as 16MiB"},
      {"MPR_SEGMENT_BYTES", "64 MB x", "a size from 1 MiB to 1 GiB, such as 16MiB"},
      {"MPR_SEGMENT_BYTES", "MiB", "a size from 1 MiB to 1 GiB, such as 16MiB"},
      {"MPR_SEGMENT_BYTES", "99999999999TiB", "a size from 1 MiB to 1 GiB, such as 16MiB"},
  });
  for (const auto& [name, text, expected] : kCases) {
    const auto value = parse_value(*find_option(name), text);
    ASSERT_FALSE(value) << name << "=" << text;
    EXPECT_EQ(value.error(), (Error{Errc::invalid_argument, std::string(expected)}));
  }
}

TEST(OptionValues, RefuseNumbersOutsideEveryNumericOption) {
  for (const Option& option : options()) {
    const bool bounded = option.kind == OptionKind::count || option.kind == OptionKind::bytes ||
                         option.kind == OptionKind::milliseconds;
    if (!bounded) continue;
    EXPECT_TRUE(parse_value(option, std::to_string(option.least))) << option.name;
    EXPECT_TRUE(parse_value(option, std::to_string(option.most))) << option.name;
    EXPECT_FALSE(parse_value(option, std::to_string(option.most + 1))) << option.name;
    if (option.least > 0) {
      EXPECT_FALSE(parse_value(option, std::to_string(option.least - 1))) << option.name;
    }
    for (const char* wrong : {"", " ", "-1", "+1", "0x10", "1e3", "many", "1,000"}) {
      EXPECT_FALSE(parse_value(option, wrong)) << option.name << "=" << wrong;
    }
  }
}

TEST(OptionValues, AcceptAddressesOfBothFamilies) {
  for (const char* address : {"0.0.0.0", "10.1.2.3", "::1", "::", "fe80::1"}) {
    EXPECT_TRUE(parse_value(*find_option("MPR_BIND"), address)) << address;
  }
}

TEST(Nearest, FindsTheMistypedNameAndNothingFarAway) {
  static constexpr auto kNames = std::to_array<std::string_view>({"MPR_DATA_DIR", "MPR_BACKEND"});
  EXPECT_EQ(nearest("MPR_DATADIR", kNames), "MPR_DATA_DIR");
  EXPECT_EQ(nearest("MPR_DATA_DIRECTORY", kNames), "MPR_DATA_DIR");
  EXPECT_EQ(nearest("MPR_BAKEND", kNames), "MPR_BACKEND");
  EXPECT_EQ(nearest("MPR_COLOUR_SCHEME_OF_THE_PAGE", kNames), std::nullopt);
}

TEST(ReadableBytes, UsesTheLargestUnitThatDividesExactly) {
  EXPECT_EQ(readable_bytes(0), "0");
  EXPECT_EQ(readable_bytes(1000), "1000");
  EXPECT_EQ(readable_bytes(1024), "1 KiB");
  EXPECT_EQ(readable_bytes(1536), "1536");
  EXPECT_EQ(readable_bytes(16ULL << 20), "16 MiB");
  EXPECT_EQ(readable_bytes(3ULL << 40), "3 TiB");
}

}  // namespace
}  // namespace mpr
