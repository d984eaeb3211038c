// AccessBook over catalog rows, with all of it in memory as well. Thread-safe.
#pragma once

#include <memory>

#include "storage/access.h"
#include "storage/internal/database.h"

namespace holdfast::storage {

// Reads the rows. Borrows the database.
std::unique_ptr<AccessBook> make_local_access(Database& database);

}  // namespace holdfast::storage
