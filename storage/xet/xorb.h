// A xorb as bytes (the Xet protocol's xorb.md, specification 1.1.0): each chunk behind a header of
// eight bytes, here always stored as it is, then a footer. Nothing is copied: the headers and the
// footer are made from the index, what lies between them are ranges of the object.
//
// Errors: as BlobReader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "storage/blob_store.h"
#include "storage/xet/index.h"

namespace holdfast::storage::xet {

inline constexpr std::size_t kChunkHeaderBytes = 8;

// Of one xorb: bytes of chunks with their headers, and chunks (xet-core, constants.rs).
inline constexpr std::uint64_t kXorbBytesMax = std::uint64_t{64} << 20U;
inline constexpr std::size_t kXorbChunksMax = 8192;

// Where in a xorb chunks `first` to `end`, without that one, lie: from a header to a chunk's end.
ByteRange chunk_range(std::span<const Chunk> chunks, std::size_t first, std::size_t end) noexcept;

// What a xorb has besides the object's bytes: some 70 bytes a chunk.
class XorbFrame {
 public:
  // `chunks` are all of the xorb's.
  XorbFrame(const Xorb& xorb, std::span<const Chunk> chunks);

  const Hash& hash() const noexcept { return hash_; }

  // From the first header to the length of the footer.
  std::uint64_t size_bytes() const noexcept { return starts_.back() + footer_.size(); }

  // The parts of a range in order: bytes of the frame go to `use_bytes`, ranges of the object to
  // `use_object`. Invalid: the range is not within the xorb.
  void for_each_part(ByteRange range,
                     const std::function<void(std::span<const std::byte>)>& use_bytes,
                     const std::function<void(ByteRange)>& use_object) const;

 private:
  Hash hash_;
  std::uint64_t offset_;  // of the xorb in the object
  std::string headers_;
  std::string footer_;
  std::vector<std::uint64_t> starts_;  // of the chunks' headers, and of the footer
};

// Reads a xorb of `object`, which it owns.
std::unique_ptr<BlobReader> make_xorb_reader(std::unique_ptr<BlobReader> object,
                                             std::shared_ptr<const XorbFrame> frame);

}  // namespace holdfast::storage::xet
