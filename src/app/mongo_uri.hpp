// Looks up what a MongoDB URI says, without the driver, whose complaints may quote the URI.
#pragma once

#include <string>
#include <string_view>

namespace mpr {

// "mongodb://h/db?readPreference=Secondary", "readpreference" -> "secondary". Names are compared
// without case, as the drivers do; of several the last counts. Empty: it is not there.
std::string mongo_uri_option(std::string_view uri, std::string_view name);

// The database that the URI names; "test" if it names none, as for the drivers.
std::string mongo_uri_database(std::string_view uri);

}  // namespace mpr
