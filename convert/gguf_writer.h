// The bytes of a GGUF v3 file in front of its data (ggml, docs/gguf.md): encode only,
// little-endian. Pure functions; see FORMAT.md for the grammar.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "convert/metadata.h"

namespace holdfast::convert {

inline constexpr std::uint32_t kGgufVersion = 3;
inline constexpr std::uint64_t kGgufAlignment = 32;  // general.alignment when no key says otherwise

// A row of the tensor table, as written.
struct GgufTensor {
  std::string name;
  std::vector<std::uint64_t> ne;  // fastest dimension first
  std::uint32_t type = 0;         // ggml_type
  std::uint64_t offset = 0;       // from the start of the data section
};

// Rounds up to a multiple of `alignment`.
constexpr std::uint64_t aligned(std::uint64_t bytes, std::uint64_t alignment = kGgufAlignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

// Header, keys, tensor table and the padding up to the data section.
// Error(Invalid) for a name or key longer than GGUF readers accept.
std::vector<std::byte> encode_gguf_header(const Metadata& metadata,
                                          std::span<const GgufTensor> tensors);

// GGUF's id of the type that a value is written with: 4 for u32, 9 for any array, …
std::uint32_t gguf_type(const MetadataValue& value) noexcept;

}  // namespace holdfast::convert
