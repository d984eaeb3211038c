// The part of BLAKE3 that is done for many inputs at once: the compression function over runs of
// 64-byte blocks (section 2.2 of the paper; xet/blake3.h names it). Thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace holdfast::storage::xet {

inline constexpr std::size_t kBlockBytes = 64;
inline constexpr std::size_t kBlockWords = 16;
inline constexpr std::size_t kValueWords = 8;  // of a chaining value

using ChainingValue = std::array<std::uint32_t, kValueWords>;

// Table 1: the first words of a compression.
inline constexpr ChainingValue kInitial = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                           0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

// Table 3.
inline constexpr std::uint32_t kChunkStart = 1, kChunkEnd = 2, kParent = 4, kRoot = 8,
                               kKeyedHash = 16;

inline constexpr std::size_t kRounds = 7;

// Which word of the message goes where in each round: table 2, applied again and again.
inline constexpr auto kSchedule = [] {
  constexpr std::array<std::size_t, kBlockWords> kPermutation = {2, 6,  3,  10, 7, 0,  4,  13,
                                                                 1, 11, 12, 5,  9, 14, 15, 8};
  std::array<std::array<std::size_t, kBlockWords>, kRounds> schedule{};
  for (std::size_t i = 0; i < kBlockWords; ++i) schedule[0][i] = i;
  for (std::size_t round = 1; round < kRounds; ++round) {
    for (std::size_t i = 0; i < kBlockWords; ++i) {
      schedule[round][i] = schedule[round - 1][kPermutation[i]];
    }
  }
  return schedule;
}();

// The words that each of the eight mixings of a round takes: columns, then diagonals.
inline constexpr std::array<std::array<std::size_t, 4>, 8> kMixed = {{{0, 4, 8, 12},
                                                                      {1, 5, 9, 13},
                                                                      {2, 6, 10, 14},
                                                                      {3, 7, 11, 15},
                                                                      {0, 5, 10, 15},
                                                                      {1, 6, 11, 12},
                                                                      {2, 7, 8, 13},
                                                                      {3, 4, 9, 14}}};

// Inputs of the same length that follow one another.
struct Lanes {
  const std::byte* bytes = nullptr;
  std::size_t count = 0;
  std::size_t blocks = 1;     // of each, all full
  std::uint32_t flags = 0;    // of every block
  std::uint32_t first = 0;    // and of the first one
  std::uint32_t last = 0;     // and of the last one
  bool counted = false;       // the n-th input (from `counter` on) has its number in it
  std::uint64_t counter = 0;  // of the first input
};

// The chaining value of each input; `out` has room for `lanes.count`.
void hash_lanes(const ChainingValue& key, const Lanes& lanes, ChainingValue* out);

// The specification of the same, for one block of one input: `value` becomes its chaining value.
struct Block {
  std::array<std::uint32_t, kBlockWords> words{};
  std::uint32_t size_bytes = kBlockBytes;
  std::uint32_t flags = 0;
  std::uint64_t counter = 0;
};

void compress(ChainingValue& value, const Block& block) noexcept;

}  // namespace holdfast::storage::xet
