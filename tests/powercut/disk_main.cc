// A "disk" in user space that logs every write and flush before it does it: a file system with one
// file, over which a loop device and a real file system are mounted.
// usage: powercut_disk MOUNTPOINT IMAGE LOG ACKS
#define FUSE_USE_VERSION 31
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string_view>

#include <fcntl.h>
#include <fuse3/fuse.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/powercut/block_log.h"

namespace {

using holdfast::tests::BlockOperation;
using holdfast::tests::BlockRecord;

constexpr std::string_view kDisk = "/disk";

// FUSE hands every callback this one object; single-threaded (-s).
struct Disk {
  int image = -1;
  int log = -1;
  const char* acks = nullptr;

  void record(BlockOperation operation, off_t offset, std::string_view data) const {
    struct stat info{};
    const bool has_acks = ::stat(acks, &info) == 0;
    const BlockRecord record{.operation = operation,
                             .offset = static_cast<std::uint64_t>(offset),
                             .length = data.size(),
                             .ack_bytes = has_acks ? static_cast<std::uint64_t>(info.st_size) : 0};
    // A log with a gap would prove nothing.
    if (::write(log, &record, sizeof record) != static_cast<ssize_t>(sizeof record) ||
        ::write(log, data.data(), data.size()) != static_cast<ssize_t>(data.size()))
      std::abort();
  }
};

const Disk& disk() { return *static_cast<const Disk*>(::fuse_get_context()->private_data); }

int get_attributes(const char* path, struct stat* info, fuse_file_info*) {
  *info = {};
  if (std::string_view(path) == "/") {
    info->st_mode = S_IFDIR | 0755;
    info->st_nlink = 2;
    return 0;
  }
  if (path != kDisk || ::fstat(disk().image, info) != 0) return -ENOENT;
  info->st_mode = S_IFREG | 0600;
  return 0;
}

int open_disk(const char*, fuse_file_info* file) {
  file->direct_io = 1;
  return 0;
}

int read_disk(const char*, char* out, std::size_t size, off_t offset, fuse_file_info*) {
  const ssize_t count = ::pread(disk().image, out, size, offset);
  return count < 0 ? -errno : static_cast<int>(count);
}

int write_disk(const char*, const char* data, std::size_t size, off_t offset, fuse_file_info*) {
  disk().record(BlockOperation::Write, offset, {data, size});
  const ssize_t count = ::pwrite(disk().image, data, size, offset);
  return count < 0 ? -errno : static_cast<int>(count);
}

int sync_disk(const char*, int, fuse_file_info*) {
  disk().record(BlockOperation::Flush, 0, {});
  return 0;
}

// Discards are not logged, so the loop device must not think that they work.
int refuse_allocation(const char*, int, off_t, off_t, fuse_file_info*) { return -EOPNOTSUPP; }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: powercut_disk MOUNTPOINT IMAGE LOG ACKS\n";
    return 64;
  }
  Disk disk{.image = ::open(argv[2], O_RDWR | O_CLOEXEC),
            .log = ::open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
            .acks = argv[4]};
  if (disk.image < 0 || disk.log < 0) {
    std::cerr << "powercut_disk: " << std::strerror(errno) << "\n";
    return 2;
  }
  fuse_operations operations{};
  operations.getattr = get_attributes;
  operations.open = open_disk;
  operations.read = read_disk;
  operations.write = write_disk;
  operations.fsync = sync_disk;
  operations.fallocate = refuse_allocation;
  char foreground[] = "-f", single[] = "-s";
  char* arguments[] = {argv[0], argv[1], foreground, single};
  return fuse_main(4, arguments, &operations, &disk);
}
