// From flags, environment and file to Settings: who said what, what is wrong, what is suspicious.
// Flag beats environment beats file beats default. Everything wrong is reported at once. Plain
// functions without state; reads only the files that the options name.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/options.hpp"
#include "app/settings.hpp"

namespace mpr {

enum class Source { standard, file, environment, flag };

// One option's value and where it came from.
struct Chosen {
  const Option* option = nullptr;
  Source source = Source::standard;
  std::string where;  // "default", "environment", "flag --ws-port", "mpr.conf line 3"
  std::string text;   // as written; of secrets: *** or the part that may be shown
};

struct Configuration {
  Settings settings;           // complete and checked if `problems` is empty
  std::vector<Chosen> chosen;  // one per option, in the table's order
  std::vector<std::string> warnings;
  std::vector<std::string> problems;  // a start has to stop, and say all of them

  const Chosen& operator[](std::string_view name) const;
};

using Environment = std::vector<std::pair<std::string, std::string>>;

// The environment of this process.
Environment process_environment();

// `flags` are the words behind the subcommand: `--name value`, `--name=value`. An empty variable,
// or an empty value in the file, counts as not set.
Configuration configure(std::span<const std::string> flags, const Environment& environment);

// Options as the start message shows them: "MPR_BACKEND=memory MPR_MAX_CONNECTIONS=5", only those
// that differ from their default.
std::string summary_of_changes(const Configuration& configuration);

}  // namespace mpr
