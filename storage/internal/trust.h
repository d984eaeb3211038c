// Whether gc may believe the catalog: after a row could not be read, or a file was found without
// the row that keeps its object, it may not, until fsck finds the catalog complete. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "storage/internal/database.h"

namespace holdfast::storage {

// Why gc must not run; nothing when it may.
std::optional<std::string> find_distrust(const Database& database);

// Remembered over restarts as far as the catalog can be written at all.
void distrust(Database& database, std::string_view why) noexcept;
void trust_again(Database& database);

}  // namespace holdfast::storage
