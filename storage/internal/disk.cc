#include "storage/internal/disk.h"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/base/file.h"

namespace holdfast::storage {

void Disk::sync_data(int fd, const std::filesystem::path& path) const {
  holdfast::sync_data(fd, path);
}

void Disk::sync_directory(const std::filesystem::path& directory) const {
  holdfast::sync_directory(directory);
}

void Disk::preallocate(int fd, std::uint64_t size_bytes, const std::filesystem::path& path) const {
  int result = 0;
  do {
    result = ::fallocate(fd, 0, 0, static_cast<off_t>(size_bytes));
  } while (result != 0 && errno == EINTR);
  if (result == 0) return;
  if (errno != EOPNOTSUPP) fail_errno("preallocate", path.string(), errno);
  // A file system that cannot preallocate: at least refuse what cannot fit.
  const std::uint64_t free = free_bytes(path);
  if (free < size_bytes)
    fail(ErrorKind::NoSpace, path.string() + ": expected " + std::to_string(size_bytes) +
                                 " free bytes, found " + std::to_string(free));
  if (::ftruncate(fd, static_cast<off_t>(size_bytes)) != 0)
    fail_errno("set size", path.string(), errno);
}

const Disk& real_disk() noexcept {
  static const Disk kDisk;
  return kDisk;
}

}  // namespace holdfast::storage
