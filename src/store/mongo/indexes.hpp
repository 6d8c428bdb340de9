// The indexes that the store works with. Created at start if they are not there; an existing one
// that differs is reported and left alone.
#pragma once

#include <string>
#include <vector>

#include "store/mongo/database.hpp"

namespace mpr::mongo {

// Yields what is not as it should be, in words; the error is that the database cannot be asked.
Result<std::vector<std::string>> create_indexes(Database& database);

// The names of those that are missing.
Result<std::vector<std::string>> missing_indexes(Database& database);

// FerretDB, which says so of itself: it limits the length of what is indexed.
Result<bool> is_ferretdb(Database& database);

}  // namespace mpr::mongo
