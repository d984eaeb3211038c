// BLAKE3 with a key, of bytes in one piece (J. O'Connor, J.-P. Aumasson, S. Neves, Z.
// Wilcox-O'Hearn, "BLAKE3: one function, fast everywhere", 2020; its "keyed_hash" mode). Xet hashes
// with nothing else. Pieces of 1 KiB go side by side in vector registers. Pure and thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace holdfast::storage::xet {

inline constexpr std::size_t kBlake3Bytes = 32;  // of a key, and of a hash

using Blake3Bytes = std::array<std::uint8_t, kBlake3Bytes>;

Blake3Bytes blake3_keyed(const Blake3Bytes& key, std::span<const std::byte> bytes);

}  // namespace holdfast::storage::xet
