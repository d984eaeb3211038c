// The block formats: one table row per GGUF tensor type, with its shape and its functions.
// A format's numeric value is its ggml_type id as stored in GGUF files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace holdfast::quantize {

enum class Format : std::uint32_t {
  F32 = 0,
  F16 = 1,
  Q4_0 = 2,
  Q8_0 = 8,
  BF16 = 30,
};

struct FormatInfo {
  Format format;
  std::string_view name;       // "Q4_0", as GGUF tools print it
  std::uint32_t block_values;  // values per block; a row is a whole number of blocks
  std::uint32_t block_bytes;
  // … the encode / decode functions and the error bound are added by quantize/ itself
};

// The row of a format. Every enumerator has one.
const FormatInfo& info(Format format) noexcept;

// All rows, in ggml_type order.
std::span<const FormatInfo> formats() noexcept;

// By name, case-insensitive; nothing when unknown.
std::optional<Format> parse_format(std::string_view name) noexcept;

// Bytes of a row of `values` (a multiple of block_values).
constexpr std::uint64_t row_bytes(const FormatInfo& format, std::uint64_t values) {
  return values / format.block_values * format.block_bytes;
}

}  // namespace holdfast::quantize
