#include "storage/xet/blake3.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "storage/internal/blake3_lanes.h"

namespace holdfast::storage::xet {
namespace {

constexpr std::size_t kLeafBytes = 1024;  // the paper's "chunk"
constexpr std::size_t kWordBytes = 4;

std::uint32_t load_word(std::span<const std::byte> bytes) noexcept {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    word |= std::to_integer<std::uint32_t>(bytes[i]) << (8 * i);
  }
  return word;
}

// Words of up to a block's bytes; what is missing is zero.
std::array<std::uint32_t, kBlockWords> load_words(std::span<const std::byte> bytes) noexcept {
  std::array<std::uint32_t, kBlockWords> words{};
  for (std::size_t i = 0; i * kWordBytes < bytes.size(); ++i) {
    const auto word = bytes.subspan(i * kWordBytes);
    words[i] = load_word(word.first(std::min(word.size(), kWordBytes)));
  }
  return words;
}

ChainingValue words_of(const Blake3Bytes& key) noexcept {
  ChainingValue words{};
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = load_word(std::as_bytes(std::span(key)).subspan(i * kWordBytes, kWordBytes));
  }
  return words;
}

Blake3Bytes bytes_of(const ChainingValue& words) noexcept {
  Blake3Bytes bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(words[i / kWordBytes] >> (8 * (i % kWordBytes)));
  }
  return bytes;
}

// A leaf of any length up to a full one, `flags` only in its last block.
ChainingValue hash_leaf(const ChainingValue& key, std::span<const std::byte> bytes,
                        std::uint64_t counter, std::uint32_t flags) noexcept {
  ChainingValue value = key;
  const std::size_t blocks =
      std::max<std::size_t>(1, (bytes.size() + kBlockBytes - 1) / kBlockBytes);
  for (std::size_t i = 0; i < blocks; ++i) {
    const auto rest = bytes.subspan(i * kBlockBytes);
    const auto block = rest.first(std::min(rest.size(), kBlockBytes));
    const std::uint32_t first = i == 0 ? kChunkStart : 0;
    const std::uint32_t last = i + 1 == blocks ? kChunkEnd | flags : 0;
    compress(value, {.words = load_words(block),
                     .size_bytes = static_cast<std::uint32_t>(block.size()),
                     .flags = kKeyedHash | first | last,
                     .counter = counter});
  }
  return value;
}

std::vector<ChainingValue> hash_leaves(const ChainingValue& key, std::span<const std::byte> bytes) {
  const std::size_t full = bytes.size() / kLeafBytes;
  const auto rest = bytes.subspan(full * kLeafBytes);
  std::vector<ChainingValue> values(full + (rest.empty() ? 0 : 1));
  hash_lanes(key,
             {.bytes = bytes.data(),
              .count = full,
              .blocks = kLeafBytes / kBlockBytes,
              .flags = kKeyedHash,
              .first = kChunkStart,
              .last = kChunkEnd,
              .counted = true},
             values.data());
  if (!rest.empty()) values.back() = hash_leaf(key, rest, full, 0);
  return values;
}

// Joins neighbours until two are left. One without a neighbour goes up as it is, which makes the
// tree of the paper: every left side is a full one.
void join_to_two(const ChainingValue& key, std::vector<ChainingValue>& values) {
  std::vector<ChainingValue> parents;
  while (values.size() > 2) {
    const std::size_t pairs = values.size() / 2;
    parents.resize(pairs);
    hash_lanes(key,
               {.bytes = std::as_bytes(std::span(values)).data(),
                .count = pairs,
                .flags = kKeyedHash | kParent},
               parents.data());
    if (values.size() % 2 != 0) parents.push_back(values.back());
    values.swap(parents);
  }
}

}  // namespace

Blake3Bytes blake3_keyed(const Blake3Bytes& key, std::span<const std::byte> bytes) {
  static_assert(std::endian::native == std::endian::little, "values in memory are blocks to hash");
  const ChainingValue key_words = words_of(key);
  if (bytes.size() <= kLeafBytes) return bytes_of(hash_leaf(key_words, bytes, 0, kRoot));
  std::vector<ChainingValue> values = hash_leaves(key_words, bytes);
  join_to_two(key_words, values);
  ChainingValue root = key_words;
  compress(root, {.words = load_words(std::as_bytes(std::span(values))),
                  .flags = kKeyedHash | kParent | kRoot});
  return bytes_of(root);
}

void compress(ChainingValue& value, const Block& block) noexcept {
  std::array<std::uint32_t, kBlockWords> v{};
  std::ranges::copy(value, v.begin());
  std::copy_n(kInitial.begin(), 4, v.begin() + kValueWords);
  v[12] = static_cast<std::uint32_t>(block.counter);
  v[13] = static_cast<std::uint32_t>(block.counter >> 32U);
  v[14] = block.size_bytes;
  v[15] = block.flags;
  for (const auto& order : kSchedule) {
    for (std::size_t i = 0; i < kMixed.size(); ++i) {
      const auto [a, b, c, d] = kMixed[i];
      v[a] += v[b] + block.words[order[2 * i]];
      v[d] = std::rotr(v[d] ^ v[a], 16);
      v[c] += v[d];
      v[b] = std::rotr(v[b] ^ v[c], 12);
      v[a] += v[b] + block.words[order[2 * i + 1]];
      v[d] = std::rotr(v[d] ^ v[a], 8);
      v[c] += v[d];
      v[b] = std::rotr(v[b] ^ v[c], 7);
    }
  }
  for (std::size_t i = 0; i < kValueWords; ++i) value[i] = v[i] ^ v[i + kValueWords];
}

}  // namespace holdfast::storage::xet
