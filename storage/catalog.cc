#include "storage/catalog.h"

#include <algorithm>

#include "storage/base/glob.h"

namespace holdfast::storage {

std::string FileRecord::etag() const { return lfs && object ? to_hex(*object) : to_hex(blob); }

bool Selection::selects(std::string_view path) const {
  const auto matches = [path](const std::string& pattern) { return glob_match(pattern, path); };
  return (include.empty() || std::ranges::any_of(include, matches)) &&
         std::ranges::none_of(exclude, matches);
}

}  // namespace holdfast::storage
