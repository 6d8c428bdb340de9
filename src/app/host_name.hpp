// The name of this machine, as operators know it. Any thread may ask.
#pragma once

#include <string>

namespace mpr {

std::string host_name();

}  // namespace mpr
