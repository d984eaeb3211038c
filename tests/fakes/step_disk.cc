#include "tests/fakes/step_disk.h"

#include <cerrno>
#include <string>
#include <utility>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include "storage/base/error.h"
#include "tests/fakes/steps.h"

namespace holdfast::tests {
namespace {

namespace fs = std::filesystem;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

IOStatus to_status(int error, const std::string& path) {
  return error == ENOSPC ? IOStatus::NoSpace(path, "no space left") : IOStatus::IOError(path);
}

class StepFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  StepFile(std::unique_ptr<rocksdb::FSWritableFile>&& file, std::string path, Steps& steps)
      : FSWritableFileOwnerWrapper(std::move(file)), path_(std::move(path)), steps_(steps) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* context) override {
    const std::uint64_t before = target()->GetFileSize(options, context);
    steps_.appended(path_, before);
    const int error = steps_.step(Steps::Kind::Write);
    if (error == 0) return target()->Append(data, options, context);
    if (steps_.writes_half())
      target()
          ->Append(Slice(data.data(), data.size() / 2), options, context)
          .PermitUncheckedError();
    return to_status(error, path_);
  }

  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* context) override {
    return Append(data, options, context);
  }

  IOStatus Sync(const IOOptions& options, IODebugContext* context) override {
    if (const int error = steps_.step(Steps::Kind::Sync)) return to_status(error, path_);
    const IOStatus status = target()->Sync(options, context);
    steps_.synced(path_);
    return status;
  }

  IOStatus Fsync(const IOOptions& options, IODebugContext* context) override {
    return Sync(options, context);
  }

 private:
  std::string path_;
  Steps& steps_;
};

class StepDirectory final : public rocksdb::FSDirectoryWrapper {
 public:
  StepDirectory(std::unique_ptr<rocksdb::FSDirectory>&& directory, std::string path, Steps& steps)
      : FSDirectoryWrapper(std::move(directory)), path_(std::move(path)), steps_(steps) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* context) override {
    return FsyncWithDirOptions(options, context, {});
  }

  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* context,
                               const rocksdb::DirFsyncOptions& what) override {
    if (const int error = steps_.step(Steps::Kind::Sync)) return to_status(error, path_);
    const IOStatus status = FSDirectoryWrapper::FsyncWithDirOptions(options, context, what);
    steps_.synced_directory(fs::path(path_ + "/").parent_path());
    return status;
  }

 private:
  std::string path_;
  Steps& steps_;
};

class StepFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit StepFileSystem(std::shared_ptr<Steps> steps)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), steps_(std::move(steps)) {}

  const char* Name() const override { return "StepFileSystem"; }

  IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                           IODebugContext* context) override {
    if (const int error = steps_->step(Steps::Kind::Name)) return to_status(error, path);
    std::unique_ptr<rocksdb::FSWritableFile> made;
    const IOStatus status = target()->NewWritableFile(path, options, &made, context);
    if (!status.ok()) return status;
    steps_->created(path);
    *file = std::make_unique<StepFile>(std::move(made), path, *steps_);
    return status;
  }

  IOStatus NewDirectory(const std::string& path, const IOOptions& options,
                        std::unique_ptr<rocksdb::FSDirectory>* directory,
                        IODebugContext* context) override {
    std::unique_ptr<rocksdb::FSDirectory> made;
    const IOStatus status = target()->NewDirectory(path, options, &made, context);
    if (status.ok()) *directory = std::make_unique<StepDirectory>(std::move(made), path, *steps_);
    return status;
  }

  IOStatus DeleteFile(const std::string& path, const IOOptions& options,
                      IODebugContext* context) override {
    if (const int error = steps_->step(Steps::Kind::Remove)) return to_status(error, path);
    return target()->DeleteFile(path, options, context);
  }

  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* context) override {
    if (const int error = steps_->step(Steps::Kind::Name)) return to_status(error, from);
    if (steps_->remembers()) steps_->renaming(to);
    const IOStatus status = target()->RenameFile(from, to, options, context);
    if (status.ok()) steps_->renamed(from, to);
    return status;
  }

  IOStatus GetFreeSpace(const std::string& path, const IOOptions& options, std::uint64_t* bytes,
                        IODebugContext* context) override {
    const IOStatus status = target()->GetFreeSpace(path, options, bytes, context);
    if (steps_->full()) *bytes = 0;
    return status;
  }

  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions& options,
                    IODebugContext* context) override {
    if (const int error = steps_->step(Steps::Kind::Name)) return to_status(error, to);
    const IOStatus status = target()->LinkFile(from, to, options, context);
    if (status.ok()) steps_->created(to);
    return status;
  }

 private:
  std::shared_ptr<Steps> steps_;
};

void fail_if(int error, std::string_view what, const fs::path& path) {
  if (error != 0) fail_errno(what, path.string(), error);
}

}  // namespace

struct StepDisk::Catalog {
  explicit Catalog(std::shared_ptr<Steps> steps)
      : env(rocksdb::NewCompositeEnv(std::make_shared<StepFileSystem>(std::move(steps)))) {}

  std::unique_ptr<rocksdb::Env> env;
};

StepDisk::StepDisk()
    : steps_(std::make_shared<Steps>()), catalog_(std::make_unique<Catalog>(steps_)) {}

StepDisk::~StepDisk() = default;

void StepDisk::arm(Fault fault, int step) { steps_->arm(fault, step); }

bool StepDisk::struck() const { return steps_->struck(); }

void StepDisk::heal() { steps_->heal(); }

void StepDisk::sync_data(int fd, const fs::path& path) const {
  fail_if(steps_->step(Steps::Kind::Sync), "fdatasync", path);
  Disk::sync_data(fd, path);
  steps_->synced(path);
}

void StepDisk::sync_directory(const fs::path& directory) const {
  fail_if(steps_->step(Steps::Kind::Sync), "fsync", directory);
  Disk::sync_directory(directory);
  steps_->synced_directory(directory);
}

void StepDisk::preallocate(int fd, std::uint64_t size_bytes, const fs::path& path) const {
  fail_if(steps_->step(Steps::Kind::Write), "preallocate", path);
  Disk::preallocate(fd, size_bytes, path);
}

UniqueFd StepDisk::create(const fs::path& path, unsigned mode) const {
  fail_if(steps_->step(Steps::Kind::Name), "open", path);
  UniqueFd fd = Disk::create(path, mode);
  steps_->created(path);
  return fd;
}

void StepDisk::write(int fd, std::uint64_t offset, std::span<const std::byte> bytes,
                     const fs::path& path) const {
  const int error = steps_->step(Steps::Kind::Write);
  if (error != 0 && steps_->writes_half())
    Disk::write(fd, offset, bytes.first(bytes.size() / 2), path);
  fail_if(error, "write", path);
  Disk::write(fd, offset, bytes, path);
  steps_->wrote(path, offset, bytes.size());
}

bool StepDisk::rename(const fs::path& from, const fs::path& to) const {
  fail_if(steps_->step(Steps::Kind::Name), "rename", from);
  if (steps_->remembers()) steps_->renaming(to);
  if (!Disk::rename(from, to)) return false;
  steps_->renamed(from, to);
  return true;
}

bool StepDisk::link(const fs::path& from, const fs::path& to) const {
  fail_if(steps_->step(Steps::Kind::Name), "link", to);
  if (!Disk::link(from, to)) return false;
  steps_->created(to);
  return true;
}

void StepDisk::remove(const fs::path& path) const {
  fail_if(steps_->step(Steps::Kind::Remove), "unlink", path);
  if (!steps_->remembers() || !steps_->put_aside(path)) Disk::remove(path);
}

bool StepDisk::make_directory(const fs::path& path) const {
  if (!Disk::make_directory(path)) return false;
  steps_->created(path);
  return true;
}

rocksdb::Env* StepDisk::catalog_env() const noexcept { return catalog_->env.get(); }

}  // namespace holdfast::tests
