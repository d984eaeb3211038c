// The calls that make bytes and names durable, behind a seam so that tests can let them fail. There
// is no other way to sync a file of the store. Thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>

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
};

const Disk& real_disk() noexcept;

}  // namespace holdfast::storage
