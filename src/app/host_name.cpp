#include "app/host_name.hpp"

#include <unistd.h>

#include <array>

namespace mpr {

std::string host_name() {
  std::array<char, 256> name{};
  // One that does not fit may lack its zero at the end.
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

}  // namespace mpr
