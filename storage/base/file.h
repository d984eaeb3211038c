// Files and directories as the store needs them: descriptors that close themselves, whole-buffer
// reads and writes, and the syncs that make a name durable. All throw Error(Io|NoSpace|NotFound)
// naming the path. Functions are thread-safe; UniqueFd has one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace holdfast {

class UniqueFd {
 public:
  UniqueFd() = default;

  explicit UniqueFd(int fd) noexcept : fd_(fd) {}

  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}

  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd();

  int get() const noexcept { return fd_; }

  bool valid() const noexcept { return fd_ >= 0; }

  int release() noexcept;

 private:
  int fd_ = -1;
};

// open(2) with O_CLOEXEC. NotFound for ENOENT.
UniqueFd open_file(const std::filesystem::path& path, int flags, unsigned mode = 0644);

std::uint64_t file_size(int fd, const std::filesystem::path& path);

// Reads or writes the whole buffer at `offset`; a short file is Error(Corrupt) "ends at …".
void read_at(int fd, std::uint64_t offset, std::span<std::byte> out,
             const std::filesystem::path& path);
void write_at(int fd, std::uint64_t offset, std::span<const std::byte> bytes,
              const std::filesystem::path& path);

// The whole file as text; LimitExceeded above `size_max_bytes`.
std::string read_file(const std::filesystem::path& path,
                      std::uint64_t size_max_bytes = 256ULL << 20);

// Writes a temporary file beside `path`, fsyncs it, renames it over `path`, fsyncs the directory.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes,
                           unsigned mode = 0644);

// fdatasync / fsync of an open file. On failure the caller must abandon the file: the kernel may
// have dropped the dirty pages, so a second sync would lie (the PostgreSQL "fsyncgate" of 2018).
void sync_data(int fd, const std::filesystem::path& path);
void sync_directory(const std::filesystem::path& directory);

// Bytes that an unprivileged writer may still use on the file system of `path`.
std::uint64_t free_bytes(const std::filesystem::path& path);

}  // namespace holdfast
