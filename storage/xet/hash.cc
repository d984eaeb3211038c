#include "storage/xet/hash.h"

#include <charconv>
#include <utility>

#include "storage/base/digest.h"

namespace holdfast::storage::xet {
namespace {

constexpr Blake3Bytes kChunkKey = {0x66, 0x97, 0xf5, 0x77, 0x5b, 0x95, 0x50, 0xde, 0x31, 0x35, 0xcb,
                                   0xac, 0xa5, 0x97, 0x18, 0x1c, 0x9d, 0xe4, 0x21, 0x10, 0x9b, 0xeb,
                                   0x2b, 0x58, 0xb4, 0xd0, 0xb0, 0x4b, 0x93, 0xad, 0xf2, 0x29};
constexpr Blake3Bytes kNodeKey = {0x01, 0x7e, 0xc5, 0xc7, 0xa5, 0x47, 0x29, 0x96, 0xfd, 0x94, 0x66,
                                  0x66, 0xb4, 0x8a, 0x02, 0xe6, 0x5d, 0xdd, 0x53, 0x6f, 0x37, 0xc7,
                                  0x6d, 0xd2, 0xf8, 0x63, 0x52, 0xe6, 0x4a, 0x53, 0x71, 0x3f};
constexpr Blake3Bytes kFileKey = {};

constexpr std::size_t kGroupMin = 3;  // before a hash may end it
constexpr std::size_t kGroupMax = 9;
constexpr std::size_t kNumberBytes = 8, kNumberDigits = 16;

// A multiple of four, read as a number whose first byte is its lowest.
bool ends_group(const Hash& hash) noexcept {
  return hash.bytes[hash.bytes.size() - kNumberBytes] % 4 == 0;
}

}  // namespace

std::string to_text(const Hash& hash) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * hash.bytes.size());
  for (std::size_t i = 0; i < hash.bytes.size(); ++i) {
    const std::size_t in_number = i % kNumberBytes;
    const std::uint8_t byte = hash.bytes[i - in_number + (kNumberBytes - 1 - in_number)];
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

std::optional<Hash> parse_hash(std::string_view text) noexcept {
  Hash hash;
  if (text.size() != 2 * hash.bytes.size()) return std::nullopt;
  for (std::size_t at = 0; at < hash.bytes.size(); at += kNumberBytes) {
    const std::string_view digits = text.substr(2 * at, kNumberDigits);
    std::uint64_t number = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
    if (read.ec != std::errc() || read.ptr != digits.data() + digits.size()) return std::nullopt;
    for (std::size_t i = 0; i < kNumberBytes; ++i) {
      hash.bytes[at + i] = static_cast<std::uint8_t>(number >> (8 * i));
    }
  }
  return hash;
}

Hash chunk_hash(std::span<const std::byte> bytes) { return {blake3_keyed(kChunkKey, bytes)}; }

Hash file_hash(const Hash& root) {
  return {blake3_keyed(kFileKey, std::as_bytes(std::span(root.bytes)))};
}

void HashTree::add(std::size_t level, const Node& node) {
  if (level == levels_.size()) levels_.emplace_back();
  Level& here = levels_[level];
  here.group.push_back(node);
  ++here.count;
  const std::size_t size = here.group.size();
  if (size == kGroupMax || (size >= kGroupMin && ends_group(node.hash))) end_group(level);
}

void HashTree::end_group(std::size_t level) {
  std::string text;
  std::uint64_t size_bytes = 0;
  for (const Node& node : std::exchange(levels_[level].group, {})) {
    text += to_text(node.hash) + " : " + std::to_string(node.size_bytes) + "\n";
    size_bytes += node.size_bytes;
  }
  add(level + 1, {.hash = {blake3_keyed(kNodeKey, as_bytes(text))}, .size_bytes = size_bytes});
}

Hash HashTree::take_root() {
  Hash root;
  // Ending a group may add a level: the last one has a single node.
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    if (levels_[level].count == 1) {
      root = levels_[level].group.front().hash;
    } else if (!levels_[level].group.empty()) {
      end_group(level);
    }
  }
  levels_.clear();
  return root;
}

}  // namespace holdfast::storage::xet
