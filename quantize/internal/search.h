// The searches for a scale (and an offset) that the K and importance formats share, scalar. They
// define the bytes: every sum is float32, taken left to right, without fused operations.
// After GGML's make_qx_quants, make_q3_quants, make_qkx2/3_quants and make_qp_quants.
//
// Pure functions; n is at most 32. What they do for values beyond float32's comfort (a NaN sum, a
// scale beyond 2^22) is part of the definition: nearest() is total.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace holdfast::quantize {

// A sub-block whose largest magnitude is below this is all zeros.
inline constexpr float kGroupEpsilon = 1e-15f;

// Half-even, through the adder, for magnitudes below 2^22. Beyond, the low mantissa bits: garbage,
// but the same garbage everywhere (NaN gives 0).
inline int nearest(float value) noexcept {
  const float shifted = value + 12582912.f;  // 1.5 * 2^23
  std::int32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  return (bits & 0x007fffff) - 0x00400000;
}

inline int clamp(int value, int low, int high) noexcept {
  const int capped = value < high ? value : high;
  return capped > low ? capped : low;
}

// Values, their weights, and where the codes go.
struct SubBlock {
  const float* x;
  const float* weights;
  std::uint8_t* codes;
  std::size_t n;
};

// Scale for codes in [-levels, levels), stored biased by `levels`. Tries 19 starting scales.
float search_symmetric(const SubBlock& block, int levels) noexcept;

// As above with weights x², by re-rounding one code at a time, at most five sweeps.
float refine_symmetric(const float* x, std::uint8_t* codes, std::size_t n, int levels) noexcept;

struct AffineSchedule {
  int levels;  // codes are [0, levels]
  float start, step;
  int steps;
  bool absolute_error;
};

struct ScaleAndOffset {
  float scale;
  float offset;  // x ≈ scale * code - offset; at least 0
};

ScaleAndOffset search_affine(const SubBlock& block, const AffineSchedule& schedule) noexcept;

// Scale for codes in [0, levels] of values that are not negative.
float search_positive(const SubBlock& block, int levels) noexcept;

}  // namespace holdfast::quantize
