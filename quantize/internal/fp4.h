// Scales of the 4-bit float formats. E2M1 values are stored doubled, so scales are read as halves:
// `unit` is half the scale.
#pragma once

#include <cstdint>

namespace holdfast::quantize {

// E8M0 exponent for a block whose largest magnitude is `largest`.
std::uint8_t mxfp4_exponent(float largest) noexcept;
float mxfp4_unit(std::uint8_t exponent) noexcept;

// UE4M3: four exponent bits (bias 7), three mantissa bits, at most 448, 0x7f is NaN and
// reads as 0. Bit 7 of a code is not looked at.
std::uint8_t float_to_ue4m3(float value) noexcept;
float ue4m3_unit(std::uint8_t code) noexcept;

}  // namespace holdfast::quantize
