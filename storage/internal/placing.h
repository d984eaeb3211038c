// The end of a restore: the parts of a store that was built and checked in restoring/ move into
// place, and those of the store before out of their way. A marker, durable before the first of
// these renames, makes them all or nothing: whoever finds it, the next restore or the next open,
// goes on to the end (storage/FORMAT.md). The caller holds the directory's lock. Errors: NoSpace,
// Io; Corrupt or Unsupported for a marker that cannot be understood.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/base/json.h"
#include "storage/internal/disk.h"
#include "storage/internal/layout.h"

namespace holdfast::storage {

inline constexpr std::uint64_t kPlacingVersion = 1;

// The parts of a store. The first makes it one, so it leaves first and arrives last.
inline constexpr std::array<std::string_view, 6> kStoreParts = {"FORMAT",     "catalog", "blobs",
                                                                "quarantine", "staging", "trash"};

// What the marker says.
struct Placing {
  std::uint64_t replaced = 0;  // the store before goes to replaced-N; 0: there was none
  std::string backup;          // which one is restored
  Json::Object result;         // of the restore
};

// Nothing when no restore was cut off here.
std::optional<Placing> find_placing(const Layout& target);

// From here on the store in restoring/ is the one.
void begin_placing(const Layout& target, const Placing& placing, const Disk& disk);
void finish_placing(const Layout& target, const Placing& placing, const Disk& disk);

}  // namespace holdfast::storage
