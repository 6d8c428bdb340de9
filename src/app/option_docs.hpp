// The table of options as people read it: help on the terminal and docs/configuration.md. Both have
// golden tests. Pure functions.
#pragma once

#include <string>

namespace mpr {

// Subcommands and all options, wrapped for a terminal of 80 columns.
std::string help_text();

// docs/configuration.md.
std::string configuration_reference();

}  // namespace mpr
