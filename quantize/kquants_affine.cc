// Q2_K, Q4_K and Q5_K: sub-blocks with a scale and an offset. Scalar side, which is the
// specification, after GGML's quantize_row_*_K_ref and _impl; the kernels are in
// kquants_affine_kernel.cc.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "quantize/internal/affine_super.h"
#include "quantize/internal/families.h"
#include "quantize/internal/kquants.h"
#include "quantize/internal/numbers.h"

namespace holdfast::quantize {
namespace {

float sum_of_squares(const float* x, std::size_t n) {
  float sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += x[i] * x[i];
  return sum;
}

// Without importance: |x| for Q2_K, |x| plus the sub-block's root mean square for the others.
void plain_weights(const AffineShape& shape, const float* x, float* weights) {
  const float base =
      shape.plain.absolute_error
          ? 0.0f
          : std::sqrt(sum_of_squares(x, shape.sub_values) / static_cast<float>(shape.sub_values));
  for (std::size_t i = 0; i < shape.sub_values; ++i) weights[i] = base + std::fabs(x[i]);
}

void importance_weights(const float* x, const float* importance, std::size_t n, float variance,
                        float* weights) {
  for (std::size_t i = 0; i < n; ++i)
    weights[i] = importance[i] * std::sqrt(variance + x[i] * x[i]);
}

void search_sub_blocks(const AffineShape& shape, const float* x, const float* importance,
                       AffineSuper& super) {
  const float variance =
      importance == nullptr ? 0 : shape.variance_factor * sum_of_squares(x, kSuper) / kSuper;
  for (std::size_t j = 0; j < kSuper / shape.sub_values; ++j) {
    const std::size_t at = j * shape.sub_values;
    float weights[32];
    if (importance != nullptr) {
      importance_weights(x + at, importance + at, shape.sub_values, variance, weights);
    } else {
      plain_weights(shape, x + at, weights);
    }
    super.weight_sums[j] = 0;
    for (std::size_t i = 0; i < shape.sub_values; ++i) super.weight_sums[j] += weights[i];
    const auto found = search_affine({x + at, weights, super.codes + at, shape.sub_values},
                                     importance != nullptr ? shape.weighted : shape.plain);
    super.scales[j] = found.scale;
    super.offsets[j] = found.offset;
  }
}

// Codes of sub-block scales relative to the largest; returns the super-block's scale.
float quantize_relative(const AffineShape& shape, const float* values, std::uint8_t* codes) {
  const auto levels = static_cast<float>(shape.scale_levels);
  float largest = 0;
  for (std::size_t j = 0; j < kSuper / shape.sub_values; ++j) {
    if (values[j] > largest) largest = values[j];
  }
  const float inverse = largest > 0 ? levels / largest : 0.0f;
  for (std::size_t j = 0; j < kSuper / shape.sub_values; ++j) {
    // Q2_K relies on codes being in range; the others cap them.
    const auto code = static_cast<std::uint8_t>(nearest(inverse * values[j]));
    codes[j] = shape.scale_levels == 15 ? code : std::min<std::uint8_t>(63, code);
  }
  return largest / levels;
}

// Codes again, with the scales as stored. Where a stored scale is zero the search's codes stay.
void requantize(const AffineShape& shape, const float* x, AffineSuper& super) {
  for (std::size_t j = 0; j < kSuper / shape.sub_values; ++j) {
    const float scale = half_to_float(super.scale) * static_cast<float>(super.scale_codes[j]);
    if (scale == 0) continue;
    const float offset = half_to_float(super.offset) * static_cast<float>(super.offset_codes[j]);
    for (std::size_t i = j * shape.sub_values; i < (j + 1) * shape.sub_values; ++i) {
      super.codes[i] =
          static_cast<std::uint8_t>(clamp(nearest((x[i] + offset) / scale), 0, shape.plain.levels));
    }
  }
}

// Scales pass through their six-bit packing: codes above 63 lose their top bits there.
void through_six_bits(AffineSuper& super) {
  std::uint8_t packed[12];
  pack_scales_6(super.scale_codes, super.offset_codes, packed);
  unpack_scales_6(packed, super.scale_codes, super.offset_codes);
}

// Scale and offset share a byte.
void through_nibbles(AffineSuper& super) {
  for (std::size_t j = 0; j < 16; ++j) {
    const auto byte = static_cast<std::uint8_t>(super.scale_codes[j] | super.offset_codes[j] << 4);
    super.scale_codes[j] = byte & 15;
    super.offset_codes[j] = byte >> 4;
  }
}

void quantize_weighted_scales(const AffineShape& shape, AffineSuper& super) {
  const std::size_t n = kSuper / shape.sub_values;
  const float scale =
      search_positive({super.scales, super.weight_sums, super.scale_codes, n}, shape.scale_levels);
  const float offset = search_positive({super.offsets, super.weight_sums, super.offset_codes, n},
                                       shape.scale_levels);
  store_scales(shape, scale, offset, super);
}

template <class Block>
void encode(const AffineShape& shape, const Strip& strip, std::byte* out) {
  auto* to = reinterpret_cast<Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kSuper, ++to) {
    const float* importance = strip.importance == nullptr ? nullptr : strip.importance + at;
    AffineSuper super;
    search_sub_blocks(shape, strip.values + at, importance, super);
    if (importance == nullptr) {
      quantize_scales(shape, super);
    } else {
      quantize_weighted_scales(shape, super);
    }
    requantize(shape, strip.values + at, super);
    write_super(super, *to);
  }
}

}  // namespace

void store_scales(const AffineShape& shape, float scale, float offset,
                  AffineSuper& super) noexcept {
  super.scale = float_to_half(scale);
  super.offset = float_to_half(offset);
  if (shape.scale_levels == 15) {
    through_nibbles(super);
  } else {
    through_six_bits(super);
  }
}

void quantize_scales(const AffineShape& shape, AffineSuper& super) noexcept {
  const float scale = quantize_relative(shape, super.scales, super.scale_codes);
  const float offset = quantize_relative(shape, super.offsets, super.offset_codes);
  store_scales(shape, scale, offset, super);
}

void write_scales(const AffineSuper& super, Q2_KBlock& to) noexcept {
  to.scale = super.scale;
  to.offset = super.offset;
  for (std::size_t j = 0; j < 16; ++j) {
    to.scales[j] = static_cast<std::uint8_t>(super.scale_codes[j] | super.offset_codes[j] << 4);
  }
}

void write_scales(const AffineSuper& super, Q4_KBlock& to) noexcept {
  to.scale = super.scale;
  to.offset = super.offset;
  pack_scales_6(super.scale_codes, super.offset_codes, to.scales);
}

void write_scales(const AffineSuper& super, Q5_KBlock& to) noexcept {
  to.scale = super.scale;
  to.offset = super.offset;
  pack_scales_6(super.scale_codes, super.offset_codes, to.scales);
}

void write_super(const AffineSuper& super, Q2_KBlock& to) noexcept {
  write_scales(super, to);
  pack_pairs(super.codes, to.codes);
}

void write_super(const AffineSuper& super, Q4_KBlock& to) noexcept {
  write_scales(super, to);
  for (std::size_t i = 0; i < 128; ++i) {
    const std::uint8_t* codes = super.codes + i / 32 * 64 + i % 32;
    to.codes[i] = static_cast<std::uint8_t>(codes[0] | codes[32] << 4);
  }
}

void write_super(const AffineSuper& super, Q5_KBlock& to) noexcept {
  write_scales(super, to);
  for (std::size_t l = 0; l < 32; ++l) {
    unsigned high = 0;
    for (std::size_t k = 0; k < 8; ++k) high |= (super.codes[32 * k + l] >> 4u) << k;
    to.high[l] = static_cast<std::uint8_t>(high);
  }
  for (std::size_t i = 0; i < 128; ++i) {
    const std::uint8_t* codes = super.codes + i / 32 * 64 + i % 32;
    to.codes[i] = static_cast<std::uint8_t>((codes[0] & 15) | (codes[32] & 15) << 4);
  }
}

void q2_k_encode_reference(const Strip& strip, std::byte* out) noexcept {
  encode<Q2_KBlock>(kQ2K, strip, out);
}

void q4_k_encode_reference(const Strip& strip, std::byte* out) noexcept {
  encode<Q4_KBlock>(kQ4K, strip, out);
}

void q5_k_encode_reference(const Strip& strip, std::byte* out) noexcept {
  encode<Q5_KBlock>(kQ5K, strip, out);
}

void q2_k_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto* block = reinterpret_cast<const Q2_KBlock*>(blocks);
  for (const float* end = y + count; y != end; y += kSuper, ++block) {
    for (std::size_t i = 0; i < kSuper; ++i) {
      const unsigned sub = block->scales[i / 16];
      const unsigned code = block->codes[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3u;
      const float scale = half_to_float(block->scale) * static_cast<float>(sub & 15u);
      const float offset = half_to_float(block->offset) * static_cast<float>(sub >> 4);
      y[i] = scale * static_cast<float>(code) - offset;
    }
  }
}

namespace {

template <class Block>
void decode_six_bits(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto* block = reinterpret_cast<const Block*>(blocks);
  for (const float* end = y + count; y != end; y += kSuper, ++block) {
    std::uint8_t scales[8], offsets[8];
    unpack_scales_6(block->scales, scales, offsets);
    for (std::size_t i = 0; i < kSuper; ++i) {
      const std::size_t sub = i / 32;
      unsigned code = block->codes[i / 64 * 32 + i % 32] >> (sub % 2 * 4) & 15u;
      if constexpr (requires { block->high; }) code |= (block->high[i % 32] >> sub & 1u) << 4;
      const float scale = half_to_float(block->scale) * static_cast<float>(scales[sub]);
      const float offset = half_to_float(block->offset) * static_cast<float>(offsets[sub]);
      y[i] = scale * static_cast<float>(code) - offset;
    }
  }
}

}  // namespace

void q4_k_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  decode_six_bits<Q4_KBlock>(blocks, count, y);
}

void q5_k_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  decode_six_bits<Q5_KBlock>(blocks, count, y);
}

}  // namespace holdfast::quantize
