#include "storage/internal/readers.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "storage/base/error.h"

namespace holdfast::storage {
namespace {

void check_range(std::uint64_t offset, std::uint64_t length, std::uint64_t size_bytes) {
  if (offset <= size_bytes && length <= size_bytes - offset) return;
  fail(ErrorKind::Invalid, "read: expected a range within " + std::to_string(size_bytes) +
                               " bytes, found " + std::to_string(length) + " at " +
                               std::to_string(offset));
}

class FileReader final : public BlobReader {
 public:
  FileReader(std::shared_ptr<const OpenFile> file, std::uint64_t size_bytes)
      : file_(std::move(file)), size_bytes_(size_bytes) {}

  std::uint64_t size_bytes() const noexcept override { return size_bytes_; }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    check_range(offset, out.size(), size_bytes_);
    read_at(file_->fd.get(), offset, out, file_->path);
  }

  std::vector<Extent> extents(ByteRange range) const override {
    check_range(range.offset, range.length, size_bytes_);
    if (range.length == 0) return {};
    return {FileExtent{.fd = file_->fd.get(), .offset = range.offset, .length = range.length}};
  }

 private:
  std::shared_ptr<const OpenFile> file_;
  std::uint64_t size_bytes_;
};

class MemoryReader final : public BlobReader {
 public:
  explicit MemoryReader(rocksdb::PinnableSlice bytes) : bytes_(std::move(bytes)) {}

  std::uint64_t size_bytes() const noexcept override { return bytes_.size(); }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    check_range(offset, out.size(), bytes_.size());
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
  }

  std::vector<Extent> extents(ByteRange range) const override {
    check_range(range.offset, range.length, bytes_.size());
    if (range.length == 0) return {};
    const auto all = std::as_bytes(std::span(bytes_.data(), bytes_.size()));
    return {MemoryExtent{.bytes = all.subspan(static_cast<std::size_t>(range.offset),
                                              static_cast<std::size_t>(range.length))}};
  }

 private:
  rocksdb::PinnableSlice bytes_;
};

}  // namespace

std::optional<FileName> parse_file_name(std::string_view name) noexcept {
  constexpr std::size_t kDigits = 2 * sizeof(Digest::bytes);
  if (name.size() < kDigits + 2 || name[kDigits] != '.') return std::nullopt;
  const auto digest = parse_digest(name.substr(0, kDigits));
  FileName file;
  const char* const end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + kDigits + 1, end, file.generation);
  if (!digest || parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  file.digest = *digest;
  return file;
}

std::unique_ptr<BlobReader> make_file_reader(std::shared_ptr<const OpenFile> file,
                                             std::uint64_t size_bytes) {
  return std::make_unique<FileReader>(std::move(file), size_bytes);
}

std::unique_ptr<BlobReader> make_memory_reader(rocksdb::PinnableSlice bytes) {
  return std::make_unique<MemoryReader>(std::move(bytes));
}

}  // namespace holdfast::storage
