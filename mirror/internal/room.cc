#include "mirror/internal/room.h"

#include <string>

#include "mirror/limits.h"
#include "storage/base/error.h"
#include "storage/base/file.h"

namespace holdfast::mirror {

void check_room(const std::filesystem::path& folder, std::uint64_t bytes, std::uint64_t staged) {
  const std::uint64_t needed = bytes + kFreeMargin, free = free_bytes(folder);
  if (needed <= free + staged) return;
  fail(ErrorKind::NoSpace,
       folder.string() + ": " + std::to_string(needed) + " bytes are needed (" +
           std::to_string(kFreeMargin) + " of them stay free for the catalog), " +
           std::to_string(free) + " are free" +
           (staged > 0 ? " beside " + std::to_string(staged) + " that are staged" : ""));
}

}  // namespace holdfast::mirror
