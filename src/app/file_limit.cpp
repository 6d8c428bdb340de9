#include "app/file_limit.hpp"

#include <sys/resource.h>

namespace mpr {

namespace {

// The operators' server takes up to 256; a large log is some hundred segments.
constexpr std::uint64_t kReserve = 1000;

rlimit open_files() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit;
}

}  // namespace

void raise_file_limit() {
  rlimit limit = open_files();
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);  // where it is refused, the present limit goes on to hold
}

std::uint64_t room_for_connections() {
  const std::uint64_t limit = open_files().rlim_cur;
  return limit > 2 * kReserve ? limit - kReserve : limit / 2;
}

}  // namespace mpr
