// Where Xet cuts a file into chunks: content-defined, by a gear hash (the Xet protocol's
// chunking.md, specification 1.1.0; huggingface/xet-core). A chunk ends where the hash of the last
// 64 bytes has its highest 16 bits zero, but is never shorter than 8 KiB, the last one of a file
// aside, and never longer than 128 KiB. Pure and thread-safe.
#pragma once

#include <cstddef>
#include <span>

namespace holdfast::storage::xet {

inline constexpr std::size_t kChunkBytesMin = std::size_t{8} * 1024;
inline constexpr std::size_t kChunkBytesMax = std::size_t{128} * 1024;

// The length of the first chunk of `bytes`, which are kChunkBytesMax or more, or all that is left
// of the file. 0 of nothing.
std::size_t first_chunk_bytes(std::span<const std::byte> bytes) noexcept;

}  // namespace holdfast::storage::xet
