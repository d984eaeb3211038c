// Scales of the 4-bit float formats. E2M1 values are stored doubled, so scales are read as halves:
// `unit` is half the scale.
#pragma once

#include <cstdint>

#include "quantize/internal/numbers.h"

namespace holdfast::quantize {

// E8M0 exponent for a block whose largest magnitude is `largest`.
std::uint8_t mxfp4_exponent(float largest) noexcept;

// Half the scale of an MXFP4 block.
inline float mxfp4_unit(std::uint8_t exponent) noexcept {
  return float_of(exponent < 2 ? 0x00200000u << exponent
                               : static_cast<std::uint32_t>(exponent - 1) << 23);
}

// UE4M3: four exponent bits (bias 7), three mantissa bits, at most 448, 0x7f is NaN and
// reads as 0. Bit 7 of a code is not looked at.
std::uint8_t float_to_ue4m3(float value) noexcept;

// Half the scale of a sub-block.
inline float ue4m3_unit(std::uint8_t code) noexcept {
  if (code == 0x7f) return 0;
  const unsigned exponent = code >> 3 & 15u, mantissa = code & 7u;
  const auto significand = static_cast<float>(exponent == 0 ? mantissa : 8 + mantissa);
  return significand * float_of((127 - 11 + (exponent == 0 ? 1 : exponent)) << 23);
}

}  // namespace holdfast::quantize
