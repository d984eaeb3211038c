// The two ends of a strip: source elements to float32, and what encoding lost. Both have one SIMD
// kernel and give the same result on every CPU.
#pragma once

#include <cstddef>

#include "quantize/rows.h"

namespace holdfast::quantize {

// Values handled at a time: 8 KiB of floats, so that strip, weights and decoded copy stay in L1.
inline constexpr std::size_t kStripValues = 2048;

// Widens `count` elements. False when one of the results is not finite.
bool widen(SourceType type, const std::byte* source, std::size_t count, float* out) noexcept;

// Sums are kept interleaved, sixteen of each kind whatever the vector width, so that every CPU adds
// in the same order: runs of 256 values in float32, hence sixteen additions each, and runs in
// double.
struct InterleavedSums {
  static constexpr std::size_t kParts = 16;
  static constexpr std::size_t kFloatRun = 256;
  alignas(64) double error[kParts] = {};
  alignas(64) double source[kParts] = {};
  alignas(64) double product[kParts] = {};
  float largest = 0;
};

// Adds the strip's error to `sums`.
void measure(const float* source, const float* decoded, std::size_t count,
             ErrorSums& sums) noexcept;

}  // namespace holdfast::quantize
