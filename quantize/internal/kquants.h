// Block layouts of the K formats: super-blocks of 256 values in sub-blocks of 16 or 32 whose scales
// are themselves quantized. Bit drawings in quantize/FORMAT.md. Little-endian, packed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantize/internal/search.h"

namespace holdfast::quantize {

inline constexpr std::size_t kSuper = 256;

struct Q2_KBlock {
  std::uint8_t scales[16];  // low nibble scale, high nibble offset
  std::uint8_t codes[64];
  std::uint16_t scale, offset;  // halves
};

static_assert(sizeof(Q2_KBlock) == 84);

struct Q3_KBlock {
  std::uint8_t high[32];  // third bits
  std::uint8_t codes[64];
  std::uint8_t scales[12];  // sixteen of six bits
  std::uint16_t scale;
};

static_assert(sizeof(Q3_KBlock) == 110);

struct Q4_KBlock {
  std::uint16_t scale, offset;
  std::uint8_t scales[12];  // eight scales and eight offsets of six bits
  std::uint8_t codes[128];
};

static_assert(sizeof(Q4_KBlock) == 144);

struct Q5_KBlock {
  std::uint16_t scale, offset;
  std::uint8_t scales[12];
  std::uint8_t high[32];
  std::uint8_t codes[128];
};

static_assert(sizeof(Q5_KBlock) == 176);

struct Q6_KBlock {
  std::uint8_t low[128];
  std::uint8_t high[64];
  std::int8_t scales[16];
  std::uint16_t scale;
};

static_assert(sizeof(Q6_KBlock) == 210);

// What one affine format fixes; x ≈ scale * code - offset per sub-block.
struct AffineShape {
  std::size_t sub_values;
  int scale_levels;         // sub-block scales and offsets are [0, scale_levels]
  AffineSchedule plain;     // without importance
  AffineSchedule weighted;  // with
  float variance_factor;    // of the super-block's mean square, in the weights with importance
};

inline constexpr AffineShape kQ2K = {
    16, 15, {3, -0.5f, 0.1f, 15, true}, {3, -0.9f, 0.05f, 36, false}, 1};
inline constexpr AffineShape kQ4K = {
    32, 63, {15, -1.0f, 0.1f, 20, false}, {15, -0.9f, 0.05f, 36, false}, 2};
inline constexpr AffineShape kQ5K = {
    32, 63, {31, -0.5f, 0.1f, 15, false}, {31, -0.9f, 0.05f, 36, false}, 2};

// Sums of squares of consecutive super-blocks, each a sequential float32 sum. Sums of several
// blocks go on side by side, because one waits for its last addition at every step.
void sums_of_squares(const float* x, std::size_t supers, float* sums) noexcept;

// Codes of two bits: byte l holds values l, l + 32, l + 64, l + 96 of each half super-block.
void pack_pairs(const std::uint8_t* codes, std::uint8_t* out) noexcept;

// Eight scales and eight offsets of six bits in twelve bytes (Q4_K, Q5_K).
void pack_scales_6(const std::uint8_t* scales, const std::uint8_t* offsets,
                   std::uint8_t* out) noexcept;
void unpack_scales_6(const std::uint8_t* packed, std::uint8_t* scales,
                     std::uint8_t* offsets) noexcept;

// Sixteen biased scales of six bits in twelve bytes (Q3_K).
void pack_scales_q3(const std::uint8_t* scales, std::uint8_t* out) noexcept;
void unpack_scales_q3(const std::uint8_t* packed, std::uint8_t* scales) noexcept;

}  // namespace holdfast::quantize
