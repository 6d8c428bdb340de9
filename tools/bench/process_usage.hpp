// What the kernel knows about a process: CPU time used and memory held. Any thread may ask.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "base/error.hpp"

namespace mpr::bench {

struct ProcessUsage {
  double cpu_seconds = 0;  // user and system, in steps of the kernel's tick (10 ms)
  std::uint64_t resident_bytes = 0;
};

// Fails when there is no such process.
Result<ProcessUsage> usage_of(pid_t pid);
// Of this process; CPU time to the microsecond.
ProcessUsage own_usage();

// Lets this process open as many files as the system allows; the limit then in force.
std::uint64_t raise_file_limit();

}  // namespace mpr::bench
