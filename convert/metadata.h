// GGUF key-value metadata as values: what plans carry and the writer encodes (GGUF v3 spec,
// "metadata value types").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace holdfast::convert {

// Scalars in GGUF's own type order, then the arrays. Arrays of arrays do not occur in practice and
// are refused by the reader.
using MetadataValue =
    std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t,
                 std::int32_t, float, bool, std::string, std::uint64_t, std::int64_t, double,
                 std::vector<std::uint8_t>, std::vector<std::int32_t>, std::vector<std::uint32_t>,
                 std::vector<float>, std::vector<bool>, std::vector<std::string>,
                 std::vector<std::int8_t>, std::vector<std::uint16_t>, std::vector<std::int16_t>,
                 std::vector<std::uint64_t>, std::vector<std::int64_t>, std::vector<double>>;

struct MetadataEntry {
  std::string key;
  MetadataValue value;
};

// Ordered as written. Keys are unique: `set` replaces in place or appends.
class Metadata {
 public:
  void set(std::string key, MetadataValue value);
  const MetadataValue* find(std::string_view key) const noexcept;
  bool erase(std::string_view key);

  const std::vector<MetadataEntry>& entries() const noexcept { return entries_; }

 private:
  std::vector<MetadataEntry> entries_;
};

}  // namespace holdfast::convert
