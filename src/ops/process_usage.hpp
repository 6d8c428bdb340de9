// What this process takes from its machine, as the kernel tells. Any thread; each call reads /proc.
#pragma once

#include <cstdint>

namespace mpr {

struct ProcessUsage {
  std::uint64_t resident_bytes = 0;
  double cpu_seconds = 0;
  std::uint64_t open_files = 0;
  std::uint64_t open_files_limit = 0;
};

// What cannot be read stays 0.
ProcessUsage process_usage();

}  // namespace mpr
