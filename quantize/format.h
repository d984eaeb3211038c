// The block formats: one table row per GGUF tensor type, with its shape, its functions and the
// error that it may make. A format's numeric value is its ggml_type id as stored in GGUF files.
//
// The table is constant and immutable; everything here is thread-safe and throws nothing.
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
  Q4_1 = 3,
  Q5_0 = 6,
  Q5_1 = 7,
  Q8_0 = 8,
  Q2_K = 10,
  Q3_K = 11,
  Q4_K = 12,
  Q5_K = 13,
  Q6_K = 14,
  IQ2_XXS = 16,
  IQ2_XS = 17,
  IQ3_XXS = 18,
  IQ1_S = 19,
  IQ4_NL = 20,
  IQ3_S = 21,
  IQ2_S = 22,
  IQ4_XS = 23,
  IQ1_M = 29,
  BF16 = 30,
  TQ1_0 = 34,
  TQ2_0 = 35,
  MXFP4 = 39,
  NVFP4 = 40,
  Q1_0 = 41,
  Q2_0 = 42,
};

// Element types that a checkpoint may hold; little-endian. F8_E4M3 is the finite-only variant that
// checkpoints use (0x7F is NaN, there is no infinity).
enum class SourceType : std::uint8_t { F32, F16, BF16, F64, F8_E4M3, F8_E5M2 };

// A run of whole blocks as the encoders see it: consecutive float32 values that are finite.
struct Strip {
  const float* values;
  std::size_t count;                   // a multiple of the format's block_values
  const float* importance = nullptr;   // `count` weights, or none
  const float* mean_square = nullptr;  // per block, of its whole row; see needs_mean_square
};

// Writes count / block_values blocks. Knows no threads, allocates nothing.
using EncodeStrip = void (*)(const Strip& strip, std::byte* blocks) noexcept;
// Writes `count` values.
using DecodeStrip = void (*)(const std::byte* blocks, std::size_t count, float* values) noexcept;

struct PlacedSums;  // quantize/internal/strips.h
// The same, and adds to the sums what encoding lost. False where the errors leave float32: the
// blocks are written and nothing is added.
using EncodeMeasured = bool (*)(const Strip& strip, std::byte* blocks, PlacedSums& sums) noexcept;

// What importance weights mean to an encoder.
enum class Importance : std::uint8_t { Ignored, Optional, Required };

// The 16-bit words of a block in which infinity and NaN show.
struct Scales {
  std::uint32_t offset = 0;
  std::uint32_t count = 0;    // consecutive; may be 0
  std::uint16_t special = 0;  // bits that are all set in infinity and NaN, and in nothing else
};

struct FormatInfo {
  Format format;
  std::string_view name;       // "Q4_0", as GGUF tools print it
  std::uint32_t block_values;  // values per block; a row is a whole number of blocks
  std::uint32_t block_bytes;
  Importance importance;
  bool needs_mean_square;  // with importance: the weights depend on the mean square of the row
  EncodeStrip encode;      // SIMD kernel for this CPU: the same bytes as encode_reference
  EncodeStrip encode_reference;  // scalar: the specification
  DecodeStrip decode;
  DecodeStrip decode_reference;
  Scales scales;  // for first_overflow, with `overflows`
  // Bound of RMSE / RMS for Gaussian values; derived in quantize/FORMAT.md.
  double relative_error_max;
  // Whether a block's scale is infinite or NaN, where it does not stand in one piece.
  bool (*overflows)(const std::byte* block) noexcept = nullptr;
  // For Mode::Best; null where that is the same as identical.
  EncodeStrip encode_best = nullptr;
  // As `encode` and with the same sums as decoding gives, for a strip of whole sets of places; null
  // where blocks are decoded to be measured.
  EncodeMeasured encode_measured = nullptr;
  // The source type whose elements are this format's blocks already, if there is one.
  std::optional<SourceType> source_type = std::nullopt;
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
