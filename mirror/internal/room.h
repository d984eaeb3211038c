// Whether the store's disk has room for what is about to be written there.
#pragma once

#include <cstdint>
#include <filesystem>

namespace holdfast::mirror {

// NoSpace, with all figures, unless `bytes` fit on the disk of `folder` and leave kFreeMargin to
// the catalog. What is `staged` of them already takes no room any more.
void check_room(const std::filesystem::path& folder, std::uint64_t bytes, std::uint64_t staged = 0);

}  // namespace holdfast::mirror
