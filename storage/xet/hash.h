// The names that Xet gives to chunks, runs of chunks and files (the Xet protocol's hashing.md,
// specification 1.1.0; the keys are those of huggingface/xet-core, data_hash.rs). Pure.
//
// A HashTree has one owner at a time; everything else here is thread-safe. Nothing throws but for
// want of memory.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/xet/blake3.h"

namespace holdfast::storage::xet {

// Plain value.
struct Hash {
  Blake3Bytes bytes{};
  auto operator<=>(const Hash&) const = default;
};

// 64 lower-case hex digits: four numbers of 64 bits, each of eight bytes lowest first. So bytes 00
// 01 … 07 read "0706050403020100".
std::string to_text(const Hash& hash);

// Reads exactly that, in either case; nothing otherwise.
std::optional<Hash> parse_hash(std::string_view text) noexcept;

Hash chunk_hash(std::span<const std::byte> bytes);

// A file's name, from the root of the tree over all its chunks.
Hash file_hash(const Hash& root);

// The root over chunks in order: groups of two to nine become one, again and again. A group ends
// after a hash whose last eight bytes are a multiple of four, once it has three. Memory grows with
// the logarithm of the number of chunks.
class HashTree {
 public:
  void add(const Hash& hash, std::uint64_t size_bytes) { add(0, {hash, size_bytes}); }

  // Of everything added, zeros for nothing; leaves an empty tree.
  Hash take_root();

 private:
  struct Node {
    Hash hash;
    std::uint64_t size_bytes = 0;
  };

  struct Level {
    std::vector<Node> group;  // not ended yet
    std::uint64_t count = 0;  // nodes ever added
  };

  void add(std::size_t level, const Node& node);
  void end_group(std::size_t level);

  std::vector<Level> levels_;
};

}  // namespace holdfast::storage::xet
