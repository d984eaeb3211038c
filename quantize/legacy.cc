// The formats of 32 values with one half-precision scale, after the definitions in GGML's
// quantize_row_*_ref and quantize_row_*_impl. Scalar side, which is the specification; the kernels
// are in legacy_kernel.cc.
#include "quantize/internal/legacy.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "quantize/internal/families.h"
#include "quantize/internal/numbers.h"
#include "quantize/internal/search.h"

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

struct Range {
  float low, high;
};

Range range_of(const float* x) {
  Range range{x[0], x[0]};
  for (std::size_t i = 1; i < kBlock; ++i) {
    if (x[i] < range.low) range.low = x[i];
    if (x[i] > range.high) range.high = x[i];
  }
  return range;
}

// 1 / scale; 0 when the scale is 0. The reciprocal of a scale below 2^-128 is infinite, and so may
// be the scale of huge values: products are then infinite or NaN, and the reference's conversion of
// those to an integer gives code 0 (x86: the low byte of 0x80000000).
struct Inverse {
  explicit Inverse(float scale)
      : value(scale != 0 ? 1.0f / scale : 0.0f),
        overflows(std::isinf(value) || std::isinf(scale)) {}

  float value;
  bool overflows;
};

// round-down(x * inverse + half), at most `top`.
std::uint8_t truncated_code(float x, const Inverse& inverse, float half, unsigned top) {
  if (inverse.overflows) return 0;
  return static_cast<std::uint8_t>(std::min(top, static_cast<unsigned>(x * inverse.value + half)));
}

// Codes 0 … 2 * levels - 1 around `levels`.
struct Symmetric {
  float scale;
  std::uint8_t codes[kBlock];
};

// Weights of one block; `at` is its first value.
void weigh(const Strip& strip, std::size_t at, float* weights) {
  const float mean_square = strip.mean_square[at / kBlock];
  for (std::size_t i = 0; i < kBlock; ++i) {
    const float x = strip.values[at + i];
    weights[i] = strip.importance[at + i] * std::sqrt(mean_square + x * x);
  }
}

Symmetric encode_symmetric(const Strip& strip, std::size_t at, int levels) {
  Symmetric block;
  const float* x = strip.values + at;
  if (strip.importance != nullptr) {
    float weights[kBlock];
    weigh(strip, at, weights);
    block.scale = search_symmetric({x, weights, block.codes, kBlock}, levels);
    return block;
  }
  block.scale = first_extreme(x) / static_cast<float>(-levels);
  const Inverse inverse(block.scale);
  const auto top = static_cast<unsigned>(2 * levels - 1);
  for (std::size_t i = 0; i < kBlock; ++i) {
    block.codes[i] = truncated_code(x[i], inverse, static_cast<float>(levels) + 0.5f, top);
  }
  return block;
}

// Codes 0 … levels above `low`.
struct Affine {
  float scale, low;
  std::uint8_t codes[kBlock];
};

Affine encode_affine(const Strip& strip, std::size_t at, int levels) {
  Affine block;
  const float* x = strip.values + at;
  if (strip.importance != nullptr) {
    float weights[kBlock];
    weigh(strip, at, weights);
    const auto found =
        search_affine({x, weights, block.codes, kBlock}, {levels, -0.9f, 0.05f, 36, false});
    block.scale = found.scale;
    block.low = -found.offset;
    return block;
  }
  const Range range = range_of(x);
  block.low = range.low;
  block.scale = (range.high - range.low) / static_cast<float>(levels);
  const Inverse inverse(block.scale);
  for (std::size_t i = 0; i < kBlock; ++i) {
    block.codes[i] = truncated_code(x[i] - range.low, inverse, 0.5f, static_cast<unsigned>(levels));
  }
  return block;
}

template <class Block>
int code_of(const Block& block, std::size_t i) {
  const unsigned byte = block.codes[i % 16];
  unsigned code = i < 16 ? byte & 15u : byte >> 4;
  if constexpr (requires { block.high; }) code |= ((block.high[i / 8] >> (i % 8)) & 1u) << 4;
  return static_cast<int>(code);
}

// y = (code - bias) * scale + low; without `low` there is no addition.
template <class Block, int kBias>
void decode(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const Block*>(blocks);
  for (const float* end = y + count; y != end; y += kBlock, ++block) {
    const float scale = half_to_float(block->scale);
    for (std::size_t i = 0; i < kBlock; ++i) {
      y[i] = static_cast<float>(code_of(*block, i) - kBias) * scale;
      if constexpr (requires { block->low; }) y[i] += half_to_float(block->low);
    }
  }
}

}  // namespace

void q4_0_encode_reference(const Strip& strip, std::byte* out) noexcept {
  auto* to = reinterpret_cast<Q4_0Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kBlock, ++to) {
    const Symmetric block = encode_symmetric(strip, at, 8);
    to->scale = float_to_half(block.scale);
    pack_nibbles(block.codes, to->codes);
  }
}

void q4_0_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  decode<Q4_0Block, 8>(blocks, count, y);
}

void q4_1_encode_reference(const Strip& strip, std::byte* out) noexcept {
  auto* to = reinterpret_cast<Q4_1Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kBlock, ++to) {
    const Affine block = encode_affine(strip, at, 15);
    to->scale = float_to_half(block.scale);
    to->low = float_to_half(block.low);
    pack_nibbles(block.codes, to->codes);
  }
}

void q4_1_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  decode<Q4_1Block, 0>(blocks, count, y);
}

void q5_0_encode_reference(const Strip& strip, std::byte* out) noexcept {
  auto* to = reinterpret_cast<Q5_0Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kBlock, ++to) {
    const Symmetric block = encode_symmetric(strip, at, 16);
    to->scale = float_to_half(block.scale);
    pack_fifth_bits(block.codes, to->high);
    pack_nibbles(block.codes, to->codes);
  }
}

void q5_0_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  decode<Q5_0Block, 16>(blocks, count, y);
}

void q5_1_encode_reference(const Strip& strip, std::byte* out) noexcept {
  auto* to = reinterpret_cast<Q5_1Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kBlock, ++to) {
    const Affine block = encode_affine(strip, at, 31);
    to->scale = float_to_half(block.scale);
    to->low = float_to_half(block.low);
    pack_fifth_bits(block.codes, to->high);
    pack_nibbles(block.codes, to->codes);
  }
}

void q5_1_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  decode<Q5_1Block, 0>(blocks, count, y);
}

void q8_0_encode_reference(const Strip& strip, std::byte* out) noexcept {
  auto* to = reinterpret_cast<Q8_0Block*>(out);
  for (const float* x = strip.values; x != strip.values + strip.count; x += kBlock, ++to) {
    const float scale = std::fabs(first_extreme(x)) / 127;
    const Inverse inverse(scale);
    to->scale = float_to_half(scale);
    for (std::size_t i = 0; i < kBlock; ++i) {  // half away from zero
      const float code = inverse.overflows ? 0.0f : std::round(x[i] * inverse.value);
      to->codes[i] = static_cast<std::int8_t>(code);
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
