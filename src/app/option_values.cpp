// How values are read and described: the part of options.hpp that knows the kinds.
#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <utility>

#include "app/options.hpp"

namespace mpr {

namespace {

struct Unit {
  std::string_view suffix;
  std::uint64_t factor;
};
// Longest suffix first: "KiB" must not be read as "K" with a rest.
constexpr auto kUnits = std::to_array<Unit>({
    {"KiB", 1ULL << 10},
    {"MiB", 1ULL << 20},
    {"GiB", 1ULL << 30},
    {"TiB", 1ULL << 40},
    {"K", 1ULL << 10},
    {"M", 1ULL << 20},
    {"G", 1ULL << 30},
    {"T", 1ULL << 40},
    {"B", 1},
});

std::optional<std::uint64_t> parse_whole(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  std::uint64_t factor = 1;
  for (const Unit& unit : kUnits) {
    if (!text.ends_with(unit.suffix)) continue;
    text.remove_suffix(unit.suffix.size());
    while (text.ends_with(' ')) text.remove_suffix(1);
    factor = unit.factor;
    break;
  }
  const auto value = parse_whole(text);
  if (!value || *value > UINT64_MAX / factor) return std::nullopt;
  return *value * factor;
}

std::optional<std::uint64_t> index_of(std::string_view choice, std::string_view choices) {
  for (std::uint64_t index = 0;; ++index) {
    const std::size_t bar = choices.find('|');
    if (choices.substr(0, bar) == choice) return index;
    if (bar == std::string_view::npos) return std::nullopt;
    choices.remove_prefix(bar + 1);
  }
}

std::optional<log::Level> parse_level(std::string_view text) {
  using enum log::Level;
  static constexpr std::array kByNumber = {error, error, warn, info, debug, debug};
  const auto number = parse_whole(text);
  if (!number) return log::parse_level(text);
  if (*number >= kByNumber.size()) return std::nullopt;
  return kByNumber[*number];
}

bool is_address(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> parsed;
  return inet_pton(AF_INET, text.c_str(), parsed.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), parsed.data()) == 1;
}

std::optional<std::uint64_t> within(const Option& option, std::optional<std::uint64_t> value) {
  return value && *value >= option.least && *value <= option.most ? value : std::nullopt;
}

std::optional<std::uint64_t> parse_number(const Option& option, std::string_view text) {
  switch (option.kind) {
    case OptionKind::port: {
      const auto value = parse_whole(text);
      return value && *value <= 65535 ? value : std::nullopt;
    }
    case OptionKind::count:
    case OptionKind::milliseconds:
      return within(option, parse_whole(text));
    case OptionKind::bytes:
      return within(option, parse_bytes(text));
    case OptionKind::choice:
      return index_of(text, option.choices);
    case OptionKind::log_level: {
      const auto level = parse_level(text);
      if (!level) return std::nullopt;
      return static_cast<std::uint64_t>(*level);
    }
    default:
      return std::nullopt;
  }
}

bool is_text(OptionKind kind) {
  return kind == OptionKind::text || kind == OptionKind::path || kind == OptionKind::secret ||
         kind == OptionKind::address;
}

std::string quoted_choices(std::string_view choices) {
  std::string out(choices);
  for (std::size_t bar = 0; (bar = out.find('|')) != std::string::npos;) {
    out.replace(bar, 1, out.find('|', bar + 1) == std::string::npos ? " or " : ", ");
  }
  return out;
}

}  // namespace

Result<OptionValue> parse_value(const Option& option, std::string_view text) {
  if (is_text(option.kind)) {
    OptionValue value{.text = std::string(text)};
    // An option without a default may be left empty; the others need something to work with.
    const bool missing = text.empty() && !option.standard.empty();
    const bool wrong = option.kind == OptionKind::address && !is_address(value.text);
    if (missing || wrong) return fail(Errc::invalid_argument, expectation_of(option));
    return value;
  }
  const auto number = parse_number(option, text);
  if (!number) return fail(Errc::invalid_argument, expectation_of(option));
  return OptionValue{.number = *number};
}

std::string expectation_of(const Option& option) {
  const auto range = [&](auto shown) { return shown(option.least) + " to " + shown(option.most); };
  const auto plain = [](std::uint64_t n) { return std::to_string(n); };
  switch (option.kind) {
    case OptionKind::text:
      return "a text";
    case OptionKind::secret:
      return "a text";
    case OptionKind::path:
      return "a path";
    case OptionKind::address:
      return "an IPv4 or IPv6 address such as 127.0.0.1 or 0.0.0.0";
    case OptionKind::port:
      return "a port number from 0 to 65535";
    case OptionKind::count:
      return "a whole number from " + range(plain);
    case OptionKind::bytes:
      return "a size from " + range(readable_bytes) + ", such as 16MiB";
    case OptionKind::milliseconds:
      return "a whole number of milliseconds from " + range(plain);
    case OptionKind::choice:
      return quoted_choices(option.choices);
    case OptionKind::log_level:
      return "debug, info, warn or error (or verbose, log, fatal, or a number from 0 to 5)";
  }
  return "";
}

std::string readable_bytes(std::uint64_t bytes) {
  for (const auto& [suffix, factor] : {kUnits[3], kUnits[2], kUnits[1], kUnits[0]}) {
    if (bytes >= factor && bytes % factor == 0) {
      return std::to_string(bytes / factor) + " " + std::string(suffix);
    }
  }
  return std::to_string(bytes);
}

}  // namespace mpr
