// What an operator should know although the start goes on. Shown by `check`, in the log of `serve`
// and on the status page. Pure but for the process's limit of open files, which it reads.
#pragma once

#include <string>
#include <vector>

#include "app/settings.hpp"

namespace mpr {

std::vector<std::string> start_warnings(const Settings& settings);

}  // namespace mpr
