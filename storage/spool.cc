#include "storage/spool.h"

#include <system_error>

#include "storage/base/error.h"
#include "storage/internal/layout.h"

namespace holdfast::storage {

namespace fs = std::filesystem;

fs::path spool_directory(const Store& store) { return Layout{store.directory()}.staging(); }

std::uint64_t staged_bytes(const Store& store) {
  const fs::path staging = Layout{store.directory()}.staging();
  std::error_code error;
  std::uint64_t bytes = 0;
  for (fs::directory_iterator file(staging, error), end; !error && file != end;
       file.increment(error)) {
    std::error_code gone;  // or a folder: neither is anything to go on with
    const std::uint64_t size_bytes = file->file_size(gone);
    if (!gone) bytes += size_bytes;
  }
  if (error) fail_errno("list", staging.string(), error.value());
  return bytes;
}

}  // namespace holdfast::storage
