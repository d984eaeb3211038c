// Scalar number formats, defined bit by bit, so that no compiler flag or CPU feature can change
// them. IEEE 754 binary16, bfloat16 (the upper half of binary32), and the OCP 8-bit floats.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace holdfast::quantize {

inline float float_of(std::uint32_t bits) noexcept { return std::bit_cast<float>(bits); }

inline std::uint32_t bits_of(float value) noexcept { return std::bit_cast<std::uint32_t>(value); }

inline float half_to_float(std::uint16_t half) noexcept {
  const std::uint32_t sign = (half & 0x8000u) << 16;
  const std::uint32_t magnitude = (half & 0x7fffu) << 13;
  if ((half & 0x7c00u) == 0x7c00u) return float_of(sign | 0x7f800000u | magnitude);
  // Exact for subnormals too: the product only moves the exponent.
  return float_of(sign | bits_of(float_of(magnitude) * 0x1p112f));
}

// Rounds half to even; overflows to infinity from 65520.
inline std::uint16_t float_to_half(float value) noexcept {
  const std::uint32_t bits = bits_of(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x47800000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {
    // One unit in the last place of 0.5 is one half-precision subnormal step: the adder rounds.
    return static_cast<std::uint16_t>(sign | (bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f)));
  }
  magnitude += 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000u) >> 13));
}

inline float bfloat_to_float(std::uint16_t value) noexcept {
  return float_of(static_cast<std::uint32_t>(value) << 16);
}

// Rounds half to even.
inline std::uint16_t float_to_bfloat(float value) noexcept {
  const std::uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 64u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline float e4m3_to_float(std::uint8_t value) noexcept {
  const std::uint32_t sign = (value & 0x80u) << 24;
  if ((value & 0x7fu) == 0x7fu) return float_of(sign | 0x7fc00000u);
  return float_of(sign | bits_of(float_of((value & 0x7fu) << 20) * 0x1p120f));
}

inline float e5m2_to_float(std::uint8_t value) noexcept {
  return half_to_float(static_cast<std::uint16_t>(value << 8));
}

template <class T>
T load(const void* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
void store(void* to, T value) noexcept {
  std::memcpy(to, &value, sizeof value);
}

}  // namespace holdfast::quantize
