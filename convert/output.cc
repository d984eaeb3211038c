#include "convert/output.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/base/file.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

class FileOutput final : public Output {
 public:
  explicit FileOutput(const OutputFileOptions& options)
      : path_(options.path),
        part_(options.path.string() + ".part"),
        size_(options.size_bytes),
        force_(options.force) {
    check_free_name();
    fd_ = open_file(part_, O_RDWR | O_CREAT, 0644);
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
      fail(ErrorKind::Conflict, part_.string() + ": another process is writing it");
    }
    owned_ = true;
    if (::ftruncate(fd_.get(), 0) != 0) fail_errno("truncate", part_.string(), errno);
    allocate(options.size_bytes);
  }

  FileOutput(const FileOutput&) = delete;
  FileOutput& operator=(const FileOutput&) = delete;

  ~FileOutput() override {
    if (owned_) ::unlink(part_.c_str());
  }

  void write(std::uint64_t offset, std::span<const std::byte> bytes) override {
    write_at(fd_.get(), offset, bytes, part_);
    if (offset != hashed_) return;
    hasher_.update(bytes);
    hashed_ += bytes.size();
  }

  Digest finish() override {
    hash_rest();
    sync_data(fd_.get(), part_);
    const unsigned flags = force_ ? 0 : RENAME_NOREPLACE;
    if (::renameat2(AT_FDCWD, part_.c_str(), AT_FDCWD, path_.c_str(), flags) != 0) {
      if (errno == EEXIST) fail_exists();
      fail_errno("rename", part_.string(), errno);
    }
    owned_ = false;
    sync_directory(directory());
    return hasher_.finish();
  }

 private:
  fs::path directory() const {
    const fs::path parent = path_.parent_path();
    return parent.empty() ? fs::path(".") : parent;
  }

  [[noreturn]] void fail_exists() const {
    fail(ErrorKind::Conflict, path_.string() + ": exists already (--force replaces it)");
  }

  void check_free_name() const {
    std::error_code error;
    if (fs::is_directory(path_, error)) {
      fail(ErrorKind::Conflict, path_.string() + ": is a directory");
    }
    if (!force_ && fs::exists(path_, error)) fail_exists();
  }

  // Says that the disk is full before hours of work, not after.
  void allocate(std::uint64_t size) {
    const std::uint64_t free = free_bytes(directory());
    if (free < size) {
      fail(ErrorKind::NoSpace, path_.string() + ": needs " + std::to_string(size) + " bytes, " +
                                   std::to_string(free) + " are free");
    }
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
      fail_errno("allocate", part_.string(), errno);
    }
  }

  // Writes that came in file order are hashed already; after the first that did not, the rest is
  // read back.
  void hash_rest() {
    constexpr std::uint64_t kBlock = 1 << 20;
    std::vector<std::byte> block;
    for (; hashed_ < size_; hashed_ += block.size()) {
      block.resize(static_cast<std::size_t>(std::min(kBlock, size_ - hashed_)));
      read_at(fd_.get(), hashed_, block, part_);
      hasher_.update(block);
    }
  }

  fs::path path_, part_;
  std::uint64_t size_;
  std::uint64_t hashed_ = 0;
  Sha256 hasher_;
  bool force_;
  bool owned_ = false;
  UniqueFd fd_;
};

class ObjectOutput final : public Output {
 public:
  ObjectOutput(storage::BlobStore& blobs, const std::string& key, std::uint64_t size_bytes)
      : writer_(fresh(blobs, {.lease_key = key, .size_bytes = size_bytes})) {}

  ObjectOutput(const ObjectOutput&) = delete;
  ObjectOutput& operator=(const ObjectOutput&) = delete;

  ~ObjectOutput() override {
    if (writer_ != nullptr) writer_->discard();
  }

  void write(std::uint64_t offset, std::span<const std::byte> bytes) override {
    writer_->write_at(offset, bytes);
  }

  Digest finish() override {
    const Digest digest = writer_->commit(std::nullopt);
    writer_.reset();
    return digest;
  }

 private:
  // What an earlier run staged under the key may belong to another plan.
  static std::unique_ptr<storage::BlobWriter> fresh(storage::BlobStore& blobs,
                                                    const storage::WriteIntent& intent) {
    blobs.create(intent)->discard();
    return blobs.create(intent);
  }

  std::unique_ptr<storage::BlobWriter> writer_;
};

}  // namespace

std::unique_ptr<Output> create_output_file(const OutputFileOptions& options) {
  return std::make_unique<FileOutput>(options);
}

std::unique_ptr<Output> create_output_object(storage::BlobStore& blobs, const std::string& key,
                                             std::uint64_t size_bytes) {
  return std::make_unique<ObjectOutput>(blobs, key, size_bytes);
}

}  // namespace holdfast::convert
