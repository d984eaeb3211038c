#include "storage/xet/xorb.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "storage/base/error.h"

namespace holdfast::storage::xet {
namespace {

// Numbers of a xorb have their lowest byte first.
void append_number(std::string& bytes, std::uint64_t value, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i));
}

void append_u32(std::string& bytes, std::uint64_t value) { append_number(bytes, value, 4); }

void append_hash(std::string& bytes, const Hash& hash) {
  bytes += as_text(std::as_bytes(std::span(hash.bytes)));
}

// Version 0, stored size, scheme 0 (not compressed), size.
void append_header(std::string& bytes, const Chunk& chunk) {
  constexpr std::size_t kSizeBytes = 3;
  bytes += '\0';
  append_number(bytes, chunk.size_bytes, kSizeBytes);
  bytes += '\0';
  append_number(bytes, chunk.size_bytes, kSizeBytes);
}

// A section's name and version, and how many chunks it speaks of.
void append_section(std::string& bytes, std::string_view name, char version, std::size_t chunks) {
  bytes.append(name).append(1, version);
  append_u32(bytes, chunks);
}

// What ends a xorb, so that it can be read from its end: hashes, ends of the chunks with and
// without their headers, then where these sections start, counted from the footer's end; then,
// outside of the footer, its length.
std::string make_footer(const Xorb& xorb, std::span<const Chunk> chunks) {
  constexpr std::size_t kSpareBytes = 16;
  constexpr std::size_t kTailBytes = std::size_t{3} * 4 + kSpareBytes;
  std::string footer("XETBLOB\1", 8);
  append_hash(footer, xorb.hash);
  const std::size_t hashes_at = footer.size();
  append_section(footer, "XBLBHSH", 0, chunks.size());
  for (const Chunk& chunk : chunks) append_hash(footer, chunk.hash);
  const std::size_t ends_at = footer.size();
  append_section(footer, "XBLBBND", 1, chunks.size());
  for (const std::size_t header_bytes : {kChunkHeaderBytes, std::size_t{0}}) {
    std::uint64_t end = 0;
    for (const Chunk& chunk : chunks) append_u32(footer, end += header_bytes + chunk.size_bytes);
  }
  const std::size_t size = footer.size() + kTailBytes;
  append_u32(footer, chunks.size());
  append_u32(footer, size - hashes_at);
  append_u32(footer, size - ends_at);
  footer.append(kSpareBytes, '\0');
  append_u32(footer, size);
  return footer;
}

class XorbReader final : public BlobReader {
 public:
  XorbReader(std::unique_ptr<BlobReader> object, std::shared_ptr<const XorbFrame> frame)
      : object_(std::move(object)), frame_(std::move(frame)) {}

  std::uint64_t size_bytes() const noexcept override { return frame_->size_bytes(); }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    frame_->for_each_part(
        {.offset = offset, .length = out.size()},
        [&](std::span<const std::byte> bytes) {
          std::memcpy(out.data(), bytes.data(), bytes.size());
          out = out.subspan(bytes.size());
        },
        [&](ByteRange range) {
          object_->read(range.offset, out.first(range.length));
          out = out.subspan(range.length);
        });
  }

  std::vector<Extent> extents(ByteRange range) const override {
    std::vector<Extent> all;
    frame_->for_each_part(
        range,
        [&](std::span<const std::byte> bytes) { all.emplace_back(MemoryExtent{.bytes = bytes}); },
        [&](ByteRange part) {
          const auto of_object = object_->extents(part);
          all.insert(all.end(), of_object.begin(), of_object.end());
        });
    return all;
  }

 private:
  std::unique_ptr<BlobReader> object_;
  std::shared_ptr<const XorbFrame> frame_;
};

}  // namespace

XorbFrame::XorbFrame(const Xorb& xorb, std::span<const Chunk> chunks)
    : hash_(xorb.hash), offset_(xorb.offset), footer_(make_footer(xorb, chunks)) {
  headers_.reserve(chunks.size() * kChunkHeaderBytes);
  starts_.reserve(chunks.size() + 1);
  std::uint64_t start = 0;
  for (const Chunk& chunk : chunks) {
    starts_.push_back(start);
    append_header(headers_, chunk);
    start += kChunkHeaderBytes + chunk.size_bytes;
  }
  starts_.push_back(start);
}

void XorbFrame::for_each_part(ByteRange range,
                              const std::function<void(std::span<const std::byte>)>& use_bytes,
                              const std::function<void(ByteRange)>& use_object) const {
  if (range.offset > size_bytes() || range.length > size_bytes() - range.offset) {
    fail(ErrorKind::Invalid, "xorb: expected a range within " + std::to_string(size_bytes()) +
                                 " bytes, found " + std::to_string(range.length) + " from " +
                                 std::to_string(range.offset));
  }
  const std::uint64_t end = range.offset + range.length;
  std::uint64_t at = range.offset;
  const std::size_t chunks = starts_.size() - 1;
  auto chunk =
      static_cast<std::size_t>(std::ranges::upper_bound(starts_, at) - starts_.begin()) - 1;
  for (; at < end && chunk < chunks; ++chunk) {
    const std::uint64_t body = starts_[chunk] + kChunkHeaderBytes;
    if (at < body) {
      const std::uint64_t length = std::min(body, end) - at;
      use_bytes(
          as_bytes(headers_).subspan(chunk * kChunkHeaderBytes + (at - starts_[chunk]), length));
      at += length;
    }
    const std::uint64_t length = std::min(starts_[chunk + 1], end) - at;
    if (length > 0) {
      use_object({.offset = offset_ + at - (chunk + 1) * kChunkHeaderBytes, .length = length});
    }
    at += length;
  }
  if (at < end) use_bytes(as_bytes(footer_).subspan(at - starts_.back(), end - at));
}

ByteRange chunk_range(std::span<const Chunk> chunks, std::size_t first, std::size_t end) noexcept {
  ByteRange range;
  for (std::size_t i = 0; i < end; ++i) {
    (i < first ? range.offset : range.length) += kChunkHeaderBytes + chunks[i].size_bytes;
  }
  return range;
}

std::unique_ptr<BlobReader> make_xorb_reader(std::unique_ptr<BlobReader> object,
                                             std::shared_ptr<const XorbFrame> frame) {
  return std::make_unique<XorbReader>(std::move(object), std::move(frame));
}

}  // namespace holdfast::storage::xet
