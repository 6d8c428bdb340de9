// The status page: one HTML text without outside resources, which fetches /status.json by itself.
// Made from status_page.html when the build is configured.
#pragma once

#include <string_view>

namespace mpr {

std::string_view status_page();

}  // namespace mpr
