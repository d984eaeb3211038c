#include "convert/output.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/base/error.h"
#include "storage/base/file.h"
#include "storage/base/sync.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kBlockBytes = 1 << 20;
constexpr std::uint64_t kWritebackBytes = 16 << 20;
constexpr std::size_t kPieceBytes = 256 << 10;

fs::path part_of(const fs::path& path) { return path.string() + ".part"; }

// What a file of that size, a part of which may have its blocks already, still takes.
std::uint64_t missing_bytes(const fs::path& path, std::uint64_t size_bytes) {
  constexpr std::uint64_t kStatBlock = 512;
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return size_bytes;
  return size_bytes -
         std::min(size_bytes, static_cast<std::uint64_t>(status.st_blocks) * kStatBlock);
}

class FileOutput final : public Output {
 public:
  explicit FileOutput(const OutputFileOptions& options)
      : path_(options.path),
        part_(part_of(options.path)),
        size_(options.size_bytes),
        force_(options.force) {
    check_free_name();
    lock_part();
    // Of nothing there is nothing to keep.
    const bool fresh = !options.resume || file_size(fd_.get(), part_) == 0;
    try {
      // Whoever held the lock before may have finished meanwhile.
      check_free_name();
      allocate(options.resume);
    } catch (const Error&) {
      if (fresh) ::unlink(part_.c_str());
      throw;
    }
    owned_ = true;
  }

  FileOutput(const FileOutput&) = delete;
  FileOutput& operator=(const FileOutput&) = delete;

  ~FileOutput() override {
    if (owned_) ::unlink(part_.c_str());
  }

  bool holds(storage::ByteRange range, const Digest& sha256) const override {
    if (range.offset > size_ || range.length > size_ - range.offset) return false;
    Sha256 hasher;
    for_each_block(range, [&](std::span<const std::byte> block) { hasher.update(block); });
    return hasher.finish() == sha256;
  }

  // Outputs of one reading may have their tensors in different orders. What this one wrote ahead
  // of its turn is read back in pieces, from memory as a rule; and where that comes up to `offset`,
  // the hash is in step again.
  Sha256Feed feed(std::uint64_t offset, std::span<const std::byte> bytes) override {
    if (bytes.empty()) return {};
    auto hashing = hashing_.lock();
    behind_.clear();
    if (offset != hashing->end) catch_up(*hashing, offset, kCatchUpFactor * bytes.size());
    if (offset != hashing->end) return {.hasher = &hasher_, .bytes = behind_};
    hashing->end += bytes.size();
    hashing->ahead.erase(offset);
    if (behind_.empty()) return {.hasher = &hasher_, .bytes = bytes};
    behind_.insert(behind_.end(), bytes.begin(), bytes.end());
    return {.hasher = &hasher_, .bytes = behind_};
  }

  // In pieces: the page cache finds memory for small writes where for large ones it clears memory
  // out of use, which costs four times as much.
  void write(std::uint64_t offset, std::span<const std::byte> bytes) override {
    const storage::ByteRange written{offset, bytes.size()};
    while (!bytes.empty()) {
      const std::size_t length = std::min(bytes.size(), kPieceBytes - offset % kPieceBytes);
      write_at(fd_.get(), offset, bytes.first(length), part_);
      start_writeback(offset, length);
      offset += length;
      bytes = bytes.subspan(length);
    }
    auto hashing = hashing_.lock();
    if (written.offset < hashing->end || written.length == 0) return;
    hashing->ahead.insert_or_assign(written.offset, written.length);
  }

  // The disk writes what is left while it is hashed.
  Digest seal() override {
    ::sync_file_range(fd_.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
    const std::uint64_t hashed = hashing_.lock()->end;
    for_each_block({hashed, size_ - hashed},
                   [&](std::span<const std::byte> block) { hasher_.update(block); });
    sync_data(fd_.get(), part_);
    return hasher_.finish();
  }

  void finish() override {
    if (!(force_ ? ::rename(part_.c_str(), path_.c_str()) == 0 : take_free_name())) {
      if (errno == EEXIST) fail_exists();
      fail_errno("rename", part_.string(), errno);
    }
    owned_ = false;
    sync_directory(directory());
  }

  void keep() noexcept override { owned_ = false; }

 private:
  struct Hashing {
    std::uint64_t end = 0;  // of what the hasher was fed
    // What is written from there on, and was not fed: offset → length.
    std::map<std::uint64_t, std::uint64_t> ahead;
  };

  // Of what was written and is next, not beyond `offset`.
  void catch_up(Hashing& hashing, std::uint64_t offset, std::uint64_t bytes_max) {
    const std::uint64_t begin = hashing.end;
    auto next = hashing.ahead.find(begin);
    while (next != hashing.ahead.end() && next->first == hashing.end && next->first != offset &&
           bytes_max > 0) {
      const std::uint64_t length = std::min(next->second, bytes_max), left = next->second - length;
      hashing.end += length;
      bytes_max -= length;
      next = hashing.ahead.erase(next);
      if (left > 0) hashing.ahead.emplace(hashing.end, left);
    }
    behind_.resize(hashing.end - begin);
    read_at(fd_.get(), begin, behind_, part_);
  }

  fs::path directory() const {
    const fs::path parent = path_.parent_path();
    return parent.empty() ? fs::path(".") : parent;
  }

  // Renames without ever replacing. Sets errno on failure.
  bool take_free_name() const {
    const char* const from = part_.c_str();
    const char* const to = path_.c_str();
    if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return true;
    // NFS and others do not know the flag; a second name never replaces either.
    return errno == EINVAL && ::link(from, to) == 0 && ::unlink(from) == 0;
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

  // Opens the part and locks it. Between the two another process may have renamed or removed the
  // file: then its lock says nothing about the name, and writing would hit a finished output.
  void lock_part() {
    constexpr int kTriesMax = 100;
    for (int i = 0; i < kTriesMax; ++i) {
      UniqueFd fd = open_file(part_, O_RDWR | O_CREAT);
      if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) break;
        fail_errno("lock", part_.string(), errno);
      }
      struct stat opened{}, named{};
      if (::fstat(fd.get(), &opened) != 0) fail_errno("stat", part_.string(), errno);
      const bool is_there = ::stat(part_.c_str(), &named) == 0;
      if (is_there && opened.st_ino == named.st_ino && opened.st_dev == named.st_dev) {
        fd_ = std::move(fd);
        return;
      }
    }
    fail(ErrorKind::Conflict, part_.string() + ": another process is writing it");
  }

  // Says that the disk is full before hours of work, not after.
  void allocate(bool resume) {
    if (!resume && ::ftruncate(fd_.get(), 0) != 0) fail_errno("truncate", part_.string(), errno);
    check_room(directory(), missing_bytes(part_, size_));
    if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0) {
      fail_errno("allocate", part_.string(), errno);
    }
  }

  // The disk works while the next tensors are encoded, so that seal() finds little left to do. Only
  // a hint: where it fails, sync_data says why.
  void start_writeback(std::uint64_t offset, std::uint64_t length) {
    unflushed_ += length;
    if (unflushed_ < kWritebackBytes) return;
    ::sync_file_range(fd_.get(), 0, static_cast<off64_t>(offset + length), SYNC_FILE_RANGE_WRITE);
    unflushed_ = 0;
  }

  template <class Use>
  void for_each_block(storage::ByteRange range, Use use) const {
    std::vector<std::byte> block;
    while (range.length > 0) {
      block.resize(static_cast<std::size_t>(std::min(kBlockBytes, range.length)));
      read_at(fd_.get(), range.offset, block, part_);
      use(block);
      range.offset += block.size();
      range.length -= block.size();
    }
  }

  fs::path path_, part_;
  std::uint64_t size_;
  std::uint64_t unflushed_ = 0;
  Sha256 hasher_;
  Sync<Hashing> hashing_;
  std::vector<std::byte> behind_;
  bool force_;
  bool owned_ = false;
  UniqueFd fd_;
};

class ObjectOutput final : public Output {
 public:
  ObjectOutput(storage::BlobStore& blobs, const OutputObjectOptions& options)
      : writer_(start(blobs, options)), missing_(writer_->missing()) {}

  ObjectOutput(const ObjectOutput&) = delete;
  ObjectOutput& operator=(const ObjectOutput&) = delete;

  ~ObjectOutput() override {
    if (writer_ != nullptr) writer_->discard();
  }

  // The store has its own record of what is staged under the key, which only the same conversion
  // has.
  bool holds(storage::ByteRange range, const Digest&) const override {
    return std::ranges::none_of(missing_, [&](const storage::ByteRange& gap) {
      return gap.offset < range.offset + range.length && range.offset < gap.offset + gap.length;
    });
  }

  // The store refuses to write staged bytes twice, so only what was missing at the start is passed
  // on.
  void write(std::uint64_t offset, std::span<const std::byte> bytes) override {
    const std::uint64_t end = offset + bytes.size();
    auto gap = std::ranges::upper_bound(missing_, offset, {}, [](const storage::ByteRange& range) {
      return range.offset + range.length;
    });
    for (; gap != missing_.end() && gap->offset < end; ++gap) {
      const std::uint64_t from = std::max(offset, gap->offset);
      const std::uint64_t to = std::min(end, gap->offset + gap->length);
      writer_->write_at(from, bytes.subspan(from - offset, to - from));
    }
  }

  Digest seal() override {
    const Digest digest = writer_->commit(std::nullopt);
    writer_.reset();
    return digest;
  }

  // A stored object becomes visible with the revision that names it.
  void finish() override {}

  void keep() noexcept override { writer_.reset(); }

 private:
  static std::unique_ptr<storage::BlobWriter> start(storage::BlobStore& blobs,
                                                    const OutputObjectOptions& options) {
    const storage::WriteIntent intent{.lease_key = options.lease_key,
                                      .size_bytes = options.size_bytes};
    // What an earlier run staged under the key may belong to another plan.
    if (!options.resume) blobs.create(intent)->discard();
    return blobs.create(intent);
  }

  std::unique_ptr<storage::BlobWriter> writer_;
  std::vector<storage::ByteRange> missing_;  // in order
};

}  // namespace

Sha256Feed Output::feed(std::uint64_t, std::span<const std::byte>) { return {}; }

std::unique_ptr<Output> create_output_file(const OutputFileOptions& options) {
  return std::make_unique<FileOutput>(options);
}

std::uint64_t bytes_to_take(const OutputFileOptions& options) {
  return missing_bytes(part_of(options.path), options.size_bytes);
}

void check_room(const fs::path& folder, std::uint64_t needed_bytes) {
  const std::uint64_t free = free_bytes(folder);
  if (needed_bytes <= free) return;
  fail(ErrorKind::NoSpace, folder.string() + ": " + std::to_string(needed_bytes) +
                               " more bytes are needed, " + std::to_string(free) + " are free");
}

std::unique_ptr<Output> create_output_object(storage::BlobStore& blobs,
                                             const OutputObjectOptions& options) {
  return std::make_unique<ObjectOutput>(blobs, options);
}

}  // namespace holdfast::convert
