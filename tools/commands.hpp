// The subcommands that drive a gateway from outside. Each prints to standard output and returns the
// process's exit code: 0 all well, 1 something failed, 2 wrong usage.
#pragma once

#include <span>
#include <string>

namespace mpr {

// `mpr bench ...`: the load generator. `args` are the words behind "bench".
int bench_command(std::span<const std::string> args);

// `mpr demo ...`: shows a live delivery and an offline queue, step by step.
int demo_command(std::span<const std::string> args);

}  // namespace mpr
