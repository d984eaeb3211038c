// The formats of 32 values with one half-precision scale, after the definitions in GGML's
// quantize_row_*_ref. Scalar side, which is the specification; the kernels are in legacy_kernel.cc.
#include "quantize/internal/legacy.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "quantize/internal/families.h"
#include "quantize/internal/numbers.h"

namespace holdfast::quantize {
namespace {

// The value of the largest magnitude with its sign; the first of equals.
float first_extreme(const float* x) {
  float magnitude = 0, extreme = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    if (magnitude < std::fabs(x[i])) {
      magnitude = std::fabs(x[i]);
      extreme = x[i];
    }
  }
  return extreme;
}

// 1 / scale; 0 when the scale is 0. The reciprocal of a scale below 2^-128 is infinite, and a
// product with it is infinite or NaN, which the reference's conversion to int turns into code 0.
struct Inverse {
  float value;
  bool overflows;
};

Inverse inverse(float scale) {
  const float value = scale != 0 ? 1.0f / scale : 0.0f;
  return {value, std::isinf(value)};
}

}  // namespace

void q4_0_encode_reference(const Strip& strip, std::byte* out) noexcept {
  auto* block = reinterpret_cast<Q4_0Block*>(out);
  for (const float* x = strip.values; x != strip.values + strip.count; x += kBlock, ++block) {
    const float scale = first_extreme(x) / -8;
    const Inverse id = inverse(scale);
    const auto code = [&](float v) {
      if (id.overflows) return 0u;
      return std::min(15u, static_cast<unsigned>(v * id.value + 8.5f));
    };
    block->scale = float_to_half(scale);
    for (std::size_t i = 0; i < kBlock / 2; ++i) {
      block->codes[i] = static_cast<std::uint8_t>(code(x[i]) | code(x[i + kBlock / 2]) << 4);
    }
  }
}

void q4_0_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto* block = reinterpret_cast<const Q4_0Block*>(blocks);
  for (const float* end = y + count; y != end; y += kBlock, ++block) {
    const float scale = half_to_float(block->scale);
    for (std::size_t i = 0; i < kBlock / 2; ++i) {
      y[i] = static_cast<float>((block->codes[i] & 15) - 8) * scale;
      y[i + kBlock / 2] = static_cast<float>((block->codes[i] >> 4) - 8) * scale;
    }
  }
}

void q8_0_encode_reference(const Strip& strip, std::byte* out) noexcept {
  auto* block = reinterpret_cast<Q8_0Block*>(out);
  for (const float* x = strip.values; x != strip.values + strip.count; x += kBlock, ++block) {
    const float scale = std::fabs(first_extreme(x)) / 127;
    const Inverse id = inverse(scale);
    block->scale = float_to_half(scale);
    for (std::size_t i = 0; i < kBlock; ++i) {
      block->codes[i] =
          id.overflows ? std::int8_t{0} : static_cast<std::int8_t>(std::round(x[i] * id.value));
    }
  }
}

void q8_0_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto* block = reinterpret_cast<const Q8_0Block*>(blocks);
  for (const float* end = y + count; y != end; y += kBlock, ++block) {
    const float scale = half_to_float(block->scale);
    for (std::size_t i = 0; i < kBlock; ++i) y[i] = static_cast<float>(block->codes[i]) * scale;
  }
}

}  // namespace holdfast::quantize
