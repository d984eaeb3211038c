// The steps of Q3_K and Q6_K between the searches and the codes; shared by the scalar encoder and
// the kernels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantize/internal/kquants.h"

namespace holdfast::quantize {

inline constexpr std::size_t kSymmetricSub = 16;
inline constexpr std::size_t kSymmetricSubs = kSuper / kSymmetricSub;

struct Q3Scales {
  std::uint16_t scale;                       // half
  std::uint8_t scale_codes[kSymmetricSubs];  // six bits, biased by 32
};

// Without importance: six-bit codes relative to the largest scale.
void quantize_q3_scales(const float* scales, Q3Scales& stored) noexcept;

// Scale and scales of a Q6_K block. False when all scales are tiny: the block is then all zero
// bytes.
bool quantize_q6_scales(const float* scales, Q6_KBlock& to) noexcept;

// Codes are biased by 4 and by 32. write_q6 leaves the scales to others.
void write_q3(const Q3Scales& stored, const std::uint8_t* codes, Q3_KBlock& to) noexcept;
void write_q6(const std::uint8_t* codes, Q6_KBlock& to) noexcept;

}  // namespace holdfast::quantize
