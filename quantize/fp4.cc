// MXFP4 and NVFP4: E2M1 codes under an E8M0 or UE4M3 scale. Scalar side, which is the
// specification, after GGML's quantize_row_mxfp4_ref and _nvfp4_ref; the kernels are in
// table_kernel.cc.
#include "quantize/internal/fp4.h"

#include <bit>
#include <cmath>

#include "quantize/internal/families.h"
#include "quantize/internal/legacy.h"
#include "quantize/internal/numbers.h"
#include "quantize/internal/small.h"

namespace holdfast::quantize {
namespace {

float largest_magnitude(const float* x, std::size_t n) noexcept {
  float largest = 0;
  for (std::size_t i = 0; i < n; ++i)
    largest = largest > std::fabs(x[i]) ? largest : std::fabs(x[i]);
  return largest;
}

// Nearest E2M1 code; the first of equals, so never the code of -0. `unit` is half the scale.
std::uint8_t nearest_code(float x, float unit) noexcept {
  std::size_t best = 0;
  float best_error = std::fabs(static_cast<float>(kE2M1Doubled[0]) * unit - x);
  for (std::size_t i = 1; i < 16; ++i) {
    const float error = std::fabs(static_cast<float>(kE2M1Doubled[i]) * unit - x);
    if (error < best_error) {
      best = i;
      best_error = error;
    }
  }
  return static_cast<std::uint8_t>(best);
}

// n values into n / 2 bytes: value i low nibble, value i + n / 2 high nibble.
void write_codes(const float* x, std::size_t n, float unit, std::uint8_t* out) noexcept {
  for (std::size_t i = 0; i < n / 2; ++i) {
    out[i] =
        static_cast<std::uint8_t>(nearest_code(x[i], unit) | nearest_code(x[i + n / 2], unit) << 4);
  }
}

void read_codes(const std::uint8_t* codes, std::size_t n, float unit, float* y) noexcept {
  for (std::size_t i = 0; i < n / 2; ++i) {
    y[i] = static_cast<float>(kE2M1Doubled[codes[i] & 15]) * unit;
    y[i + n / 2] = static_cast<float>(kE2M1Doubled[codes[i] >> 4]) * unit;
  }
}

}  // namespace

std::uint8_t mxfp4_exponent(float largest) noexcept {
  if (!(largest > 0)) return 0;
  const std::uint32_t bits = bits_of(largest);
  // 24 bits, the highest of them set, also of a subnormal number.
  std::uint32_t mantissa = (bits & 0x007fffffu) | 0x00800000u;
  int floor_log2 = static_cast<int>(bits >> 23) - 127;
  if (bits < 0x00800000u) {
    const int leading = std::countl_zero(bits) - 8;
    mantissa = bits << leading;
    floor_log2 = -126 - leading;
  }
  // The reference takes floor(log2f(x)), and log2f rounds to the integer above when x is that close
  // to the next power of two: j steps of 2^-24 below 2^K give K - j * 2^-24 / ln 2, and float32's
  // spacing below K is 2^(m - 23) where 2^m < K <= 2^(m + 1), or 2^m <= -K < 2^(m + 1).
  constexpr std::uint32_t kStepsBelow[8] = {0, 1, 2, 5, 11, 22, 44, 88};  // floor(2^m ln 2)
  const int next = floor_log2 + 1;
  if (next != 0) {
    const auto size = static_cast<unsigned>(next > 0 ? next - 1 : -next);
    const int m = size == 0 ? 0 : std::bit_width(size) - 1;
    if (0x01000000u - mantissa <= kStepsBelow[m]) floor_log2 = next;
  }
  return static_cast<std::uint8_t>(floor_log2 - 2 + 127);
}

std::uint8_t float_to_ue4m3(float value) noexcept {
  if (!(value > 0)) return 0;
  if (value >= 448.0f) return 0x7e;
  const std::uint32_t bits = bits_of(value);
  const int exponent = static_cast<int>(bits >> 23) - 127 + 7;
  if (exponent <= 0) {  // subnormal, in steps of 2^-9
    const auto steps = static_cast<int>(value * 512.0f + 0.5f);
    return static_cast<std::uint8_t>(steps > 7 ? 7 : steps);
  }
  // Rounds half up; a carry out of the mantissa moves the exponent. 0x7f is NaN.
  const std::uint32_t code =
      (static_cast<std::uint32_t>(exponent) << 3 | (bits >> 20 & 7u)) + (bits >> 19 & 1u);
  return static_cast<std::uint8_t>(code > 0x7e || exponent >= 15 ? 0x7e : code);
}

void mxfp4_encode_reference(const Strip& strip, std::byte* out) noexcept {
  auto* to = reinterpret_cast<MXFP4Block*>(out);
  for (const float* x = strip.values; x != strip.values + strip.count; x += kBlock, ++to) {
    to->exponent = mxfp4_exponent(largest_magnitude(x, kBlock));
    write_codes(x, kBlock, mxfp4_unit(to->exponent), to->codes);
  }
}

void mxfp4_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto* block = reinterpret_cast<const MXFP4Block*>(blocks);
  for (const float* end = y + count; y != end; y += kBlock, ++block) {
    read_codes(block->codes, kBlock, mxfp4_unit(block->exponent), y);
  }
}

void nvfp4_encode_reference(const Strip& strip, std::byte* out) noexcept {
  auto* to = reinterpret_cast<NVFP4Block*>(out);
  for (const float* x = strip.values; x != strip.values + strip.count; x += 64, ++to) {
    for (std::size_t j = 0; j < 4; ++j) {
      to->scales[j] = float_to_ue4m3(largest_magnitude(x + 16 * j, 16) / 6.0f);
      write_codes(x + 16 * j, 16, ue4m3_unit(to->scales[j]), to->codes + 8 * j);
    }
  }
}

void nvfp4_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto* block = reinterpret_cast<const NVFP4Block*>(blocks);
  for (const float* end = y + count; y != end; y += 64, ++block) {
    for (std::size_t j = 0; j < 4; ++j) {
      read_codes(block->codes + 8 * j, 16, ue4m3_unit(block->scales[j]), y + 16 * j);
    }
  }
}

}  // namespace holdfast::quantize
