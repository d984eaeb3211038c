#include "storage/internal/disk.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
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

UniqueFd Disk::create(const std::filesystem::path& path, unsigned mode) const {
  return open_file(path, O_RDWR | O_CREAT | O_EXCL, mode);
}

void Disk::write(int fd, std::uint64_t offset, std::span<const std::byte> bytes,
                 const std::filesystem::path& path) const {
  holdfast::write_at(fd, offset, bytes, path);
}

void Disk::read(int fd, std::uint64_t offset, std::span<std::byte> out,
                const std::filesystem::path& path) const {
  read_at(fd, offset, out, path);
}

bool Disk::rename(const std::filesystem::path& from, const std::filesystem::path& to) const {
  if (::rename(from.c_str(), to.c_str()) == 0) return true;
  if (errno != ENOENT) fail_errno("rename", from.string(), errno);
  return false;
}

bool Disk::link(const std::filesystem::path& from, const std::filesystem::path& to) const {
  if (::link(from.c_str(), to.c_str()) == 0) return true;
  // Another file system, or one without links, or one that has enough of this file.
  if (errno != ENOENT && errno != EXDEV && errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK)
    fail_errno("link", to.string(), errno);
  return false;
}

void Disk::remove(const std::filesystem::path& path) const {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail_errno("unlink", path.string(), errno);
}

void Disk::discard(const std::filesystem::path& path) const noexcept {
  try {
    remove(path);
  } catch (const Error&) {
    return;
  }
}

bool Disk::make_directory(const std::filesystem::path& path) const {
  if (::mkdir(path.c_str(), 0755) == 0) return true;
  if (errno != EEXIST) fail_errno("create directory", path.string(), errno);
  return false;
}

rocksdb::Env* Disk::catalog_env() const noexcept { return nullptr; }

const Disk& real_disk() noexcept {
  static const Disk kDisk;
  return kDisk;
}

}  // namespace holdfast::storage
