// The one table of options. Parsing, `mpr help`, docs/configuration.md and `mpr check` are all made
// from it, so an option is added by adding a line to the table in options.cpp and a member to
// Settings. Immutable; any thread may read it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "app/settings.hpp"
#include "base/error.hpp"

namespace mpr {

enum class OptionGroup { network, storage, backends, live_delivery, push, limits, times, logs };
std::string_view title_of(OptionGroup group);

enum class OptionKind {
  text,
  path,
  address,       // an IPv4 or IPv6 address
  port,          // 0 lets the system choose
  count,         // a whole number
  bytes,         // a whole number, KiB, MiB, GiB or TiB may follow
  milliseconds,  // a whole number
  choice,        // one of `choices`
  log_level,
  secret,  // shown as far as the option's `shown` says
};

// A value that passed its option's check. Which member counts depends on the kind.
struct OptionValue {
  std::uint64_t number = 0;  // of choices: the index
  std::string text = {};
};

struct Option {
  std::string_view name;  // of the environment variable, and the key in a configuration file
  OptionGroup group;
  OptionKind kind;
  std::string_view standard;  // the default, as an operator would write it; "" is none
  std::uint64_t least = 0;    // bounds of count, bytes and milliseconds
  std::uint64_t most = 0;
  std::string_view choices = {};  // "embedded|memory"
  std::string_view help;          // one or two sentences
  void (*assign)(Settings&, const OptionValue&);
  // What of a secret may be shown; null: nothing.
  std::string (*shown)(std::string_view) = nullptr;

  bool secret() const noexcept { return kind == OptionKind::secret; }
};

// Every option, grouped, in the order in which the reference shows them.
std::span<const Option> options();
const Option* find_option(std::string_view name);

// "MPR_DATA_DIR" -> "--data-dir", "WS_PORT" -> "--ws-port".
std::string flag_of(const Option& option);

// Checks one value. The error's context says what would be right ("a whole number from 1 to 100"),
// without the value itself.
Result<OptionValue> parse_value(const Option& option, std::string_view text);

// What would be right for the option, for people: "a whole number from 1 to 64".
std::string expectation_of(const Option& option);

// The known name that is nearest to a mistyped one, if any is near: at most two edits, or a third
// of its letters.
std::optional<std::string_view> nearest(std::string_view mistyped,
                                        std::span<const std::string_view> known);

// Names of the existing service that have no effect here: they are warned about.
std::span<const std::string_view> foreign_names();

// "16777216" -> "16 MiB", for help texts and reports; exact multiples only.
std::string readable_bytes(std::uint64_t bytes);

}  // namespace mpr
