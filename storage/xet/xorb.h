// A xorb as bytes (the Xet protocol's xorb.md, specification 1.1.0): each chunk behind a header of
// eight bytes, here always stored as it is, then a footer. Nothing is copied: the headers and the
// footer are made from the index, what lies between them are ranges of the object.
//
// Errors: as BlobReader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "storage/blob_store.h"
#include "storage/xet/index.h"

namespace holdfast::storage::xet {

inline constexpr std::size_t kChunkHeaderBytes = 8;

// Of one xorb: bytes of chunks with their headers, and chunks (xet-core, constants.rs).
inline constexpr std::uint64_t kXorbBytesMax = std::uint64_t{64} << 20U;
inline constexpr std::size_t kXorbChunksMax = 8192;

// Where in a xorb chunks `first` to `end`, without that one, lie: from a header to a chunk's end.
ByteRange chunk_range(std::span<const Chunk> chunks, std::size_t first, std::size_t end) noexcept;

// Reads a xorb of `object`, which it owns, from its first header to the length of its footer.
// `chunks` are all of the xorb's.
std::unique_ptr<BlobReader> make_xorb_reader(std::unique_ptr<BlobReader> object, const Xorb& xorb,
                                             std::span<const Chunk> chunks);

}  // namespace holdfast::storage::xet
