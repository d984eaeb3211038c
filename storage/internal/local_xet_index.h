// The indexes of Xet as catalog rows (storage/FORMAT.md, "xet"). Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "storage/internal/database.h"
#include "storage/xet/index.h"

namespace holdfast::storage {

// Borrows both; `generation` grows with every file that gets an index.
std::unique_ptr<xet::Index> make_local_xet_index(Database& database,
                                                 std::atomic<std::uint64_t>& generation);

// All rows about an object, with those that a stopped run left.
void erase_xet_rows(Batch& batch, const Database& database, const Digest& object);

}  // namespace holdfast::storage
