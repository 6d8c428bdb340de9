// What this binary is, as known when its build was configured. Constant.
#pragma once

#include <string_view>

namespace mpr {

// "0.1.0", or "0.1.0+g1a2b3c4" when built from a git tree; "-dirty" follows if it had changes.
std::string_view version();

// For `mpr version`: version, compiler, build type, libraries, a line each.
std::string_view build_report();

}  // namespace mpr
