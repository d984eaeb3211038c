#include "storage/base/file.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "storage/base/error.h"

namespace holdfast {
namespace {

// Removes a temporary file unless it was renamed away.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::filesystem::path path) : path_(std::move(path)) {}

  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  void keep() noexcept { path_.clear(); }

 private:
  std::filesystem::path path_;
};

std::filesystem::path directory_of(const std::filesystem::path& path) {
  const auto parent = path.parent_path();
  return parent.empty() ? "." : parent;
}

}  // namespace

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) ::close(fd_);
}

int UniqueFd::release() noexcept { return std::exchange(fd_, -1); }

UniqueFd open_file(const std::filesystem::path& path, int flags, unsigned mode) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0 && errno == ENOENT) fail(ErrorKind::NotFound, path.string() + ": no such file");
  if (fd < 0) fail_errno("open", path.string(), errno);
  return UniqueFd(fd);
}

std::uint64_t file_size(int fd, const std::filesystem::path& path) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) fail_errno("stat", path.string(), errno);
  return static_cast<std::uint64_t>(info.st_size);
}

void read_at(int fd, std::uint64_t offset, std::span<std::byte> out,
             const std::filesystem::path& path) {
  while (!out.empty()) {
    const ssize_t count = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_errno("read", path.string(), errno);
    if (count == 0)
      fail(ErrorKind::Corrupt, path.string() + ": expected " + std::to_string(out.size()) +
                                   " more bytes, ends at " + std::to_string(offset));
    offset += static_cast<std::uint64_t>(count);
    out = out.subspan(static_cast<std::size_t>(count));
  }
}

void write_at(int fd, std::uint64_t offset, std::span<const std::byte> bytes,
              const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_errno("write", path.string(), errno);
    offset += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

std::string read_file(const std::filesystem::path& path, std::uint64_t size_max_bytes) {
  const UniqueFd fd = open_file(path, O_RDONLY);
  // Files such as those of /proc say 0 and give more, so the size is a hint and reading goes on to
  // the end.
  std::string text(static_cast<std::size_t>(std::min(file_size(fd.get(), path), size_max_bytes)),
                   '\0');
  std::size_t used = 0;
  while (true) {
    if (used == text.size()) text.resize(text.size() + 4096);
    const ssize_t count = ::read(fd.get(), text.data() + used, text.size() - used);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_errno("read", path.string(), errno);
    if (count == 0) break;
    used += static_cast<std::size_t>(count);
    if (used > size_max_bytes)
      fail(ErrorKind::LimitExceeded, path.string() + ": expected at most " +
                                         std::to_string(size_max_bytes) + " bytes, found more");
  }
  text.resize(used);
  return text;
}

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes,
                           unsigned mode) {
  static std::atomic<unsigned> serial{0};
  auto temporary = path;
  temporary += ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(++serial);
  TemporaryFile guard(temporary);
  {
    const UniqueFd fd = open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode);
    write_at(fd.get(), 0, bytes, temporary);
    if (::fsync(fd.get()) != 0) fail_errno("fsync", temporary.string(), errno);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) fail_errno("rename", path.string(), errno);
  guard.keep();
  sync_directory(directory_of(path));
}

void sync_data(int fd, const std::filesystem::path& path) {
  if (::fdatasync(fd) != 0) fail_errno("fdatasync", path.string(), errno);
}

void sync_directory(const std::filesystem::path& directory) {
  const UniqueFd fd = open_file(directory, O_RDONLY | O_DIRECTORY);
  if (::fsync(fd.get()) != 0) fail_errno("fsync", directory.string(), errno);
}

std::uint64_t free_bytes(const std::filesystem::path& path) {
  struct statvfs info{};
  if (::statvfs(path.c_str(), &info) != 0) fail_errno("statvfs", path.string(), errno);
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

}  // namespace holdfast
