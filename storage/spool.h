// Where things lie that live no longer than who makes them: packs between git and the catalog. On
// the store's own disk, for a system's temporary folder is memory on many; and below its staging,
// so that the next open removes what a kill left.
#pragma once

#include <cstdint>
#include <filesystem>

#include "storage/store.h"

namespace holdfast::storage {

// A folder that is there while the store is. Whoever makes something in it removes it.
std::filesystem::path spool_directory(const Store& store);

// The bytes of all files there are in staging now, objects on their way in among them: no more than
// that can be gone on with instead of being written. Throws Io.
std::uint64_t staged_bytes(const Store& store);

}  // namespace holdfast::storage
