// What `mpr check` finds out about Redis and MongoDB. Reads only.
#pragma once

#include <functional>
#include <string>

#include "app/settings.hpp"

namespace mpr {

enum class Verdict { good, warning, bad };

// Connects to what the redis backend needs, and reports versions, modes and settings. Seconds at
// most.
void check_servers(const Settings& settings,
                   const std::function<void(Verdict, std::string)>& report);

}  // namespace mpr
