// Every change that the store makes to its files, behind a seam so that tests can let each of them
// fail, or be the last before a crash. There is no other way to change a file of the store; the
// catalog's own go through catalog_env(). Thread-safe.
//
// All throw Error(NoSpace|Io) naming the path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "storage/base/file.h"

namespace rocksdb {
class Env;
}

namespace holdfast::storage {

class Disk {
 public:
  virtual ~Disk() = default;

  // As holdfast::sync_data and holdfast::sync_directory.
  virtual void sync_data(int fd, const std::filesystem::path& path) const;
  virtual void sync_directory(const std::filesystem::path& directory) const;
  // Gives the file its size and its blocks. NoSpace when the disk cannot hold it.
  virtual void preallocate(int fd, std::uint64_t size_bytes,
                           const std::filesystem::path& path) const;

  // A new file, open for reading and writing; there must be none of this name.
  virtual UniqueFd create(const std::filesystem::path& path, unsigned mode) const;
  // As holdfast::write_at.
  virtual void write(int fd, std::uint64_t offset, std::span<const std::byte> bytes,
                     const std::filesystem::path& path) const;
  // As holdfast::read_at, for files that are copied or read back whole; readers do not come here.
  virtual void read(int fd, std::uint64_t offset, std::span<std::byte> out,
                    const std::filesystem::path& path) const;
  // False when there is no `from`.
  [[nodiscard]] virtual bool rename(const std::filesystem::path& from,
                                    const std::filesystem::path& to) const;
  // A second name for the same file. False when there is no `from`, or `to` lies where it cannot
  // have one.
  [[nodiscard]] virtual bool link(const std::filesystem::path& from,
                                  const std::filesystem::path& to) const;
  // Fine when it is gone already.
  virtual void remove(const std::filesystem::path& path) const;
  // The same for what may as well stay for a while: an error is no error.
  void discard(const std::filesystem::path& path) const noexcept;
  // True when it was not there.
  virtual bool make_directory(const std::filesystem::path& path) const;

  // What the catalog's files go through; null for the system's. Outlives the store.
  virtual rocksdb::Env* catalog_env() const noexcept;
};

const Disk& real_disk() noexcept;

}  // namespace holdfast::storage
