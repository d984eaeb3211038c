// IQ3_XXS and IQ3_S: groups of four values on a grid of 256 or 512 points with the odd levels 1 to
// 15 (IQ3_XXS reads them as 4, 12, … 52, 62). Scalar side, which is the specification; the kernels
// are in iq_kernel.cc.
#include <algorithm>
#include <cmath>

#include "quantize/internal/families.h"
#include "quantize/internal/iq_formats.h"

namespace holdfast::quantize {
namespace {

constexpr float kXxsLevels[] = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr float kSLevels[] = {1, 3, 5, 7, 9, 11, 13, 15};

template <class F>
SubFit fit_sub(const Grid& grid, const float* x, const float* importance, float variance) {
  constexpr std::size_t kValues = F::kShape.values;
  GridSub sub;
  grid_weights(x, importance, variance, kValues, sub.weights);
  for (std::size_t i = 0; i < kValues; ++i) sub.roots[i] = std::sqrt(sub.weights[i]);
  split_signs(F::kShape, x, sub);
  const float largest = *std::max_element(sub.x, sub.x + kValues);
  if (largest < F::kShape.epsilon) return {};
  return search_grid(grid, F::kShape, sub, largest, largest / 15);
}

template <class F>
void encode(const Strip& strip, std::byte* out) {
  constexpr std::size_t kValues = F::kShape.values;
  const Grid& grid = F::grid();
  auto* to = reinterpret_cast<typename F::Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kGridSuper, ++to) {
    const float variance = grid_variance(strip.values + at, F::kShape.variance_factor);
    SubFit fits[kGridSuper / kValues];
    for (std::size_t s = 0; s < kGridSuper / kValues; ++s) {
      const std::size_t from = at + s * kValues;
      const float* importance = strip.importance == nullptr ? nullptr : strip.importance + from;
      fits[s] = fit_sub<F>(grid, strip.values + from, importance, variance);
    }
    write_grid_block<F>(grid, fits, *to);
  }
}

void decode_group(std::uint32_t code, const float* levels, unsigned signs, float scale, float* y) {
  for (std::size_t i = 0; i < 4; ++i) {
    const float value = scale * levels[level_of(code, i, 4)];
    y[i] = (signs >> i & 1u) != 0 ? -value : value;
  }
}

}  // namespace

void iq3_xxs_encode_reference(const Strip& strip, std::byte* out) noexcept {
  encode<IQ3_XXS>(strip, out);
}

void iq3_s_encode_reference(const Strip& strip, std::byte* out) noexcept {
  encode<IQ3_S>(strip, out);
}

void iq3_xxs_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto points = iq3_xxs_grid().points();
  const auto* block = reinterpret_cast<const IQ3_XXSBlock*>(blocks);
  for (const float* end = y + count; y != end; ++block) {
    for (std::size_t g = 0; g < 64; ++g, y += 4) {
      const auto packed = load<std::uint32_t>(block->signs_and_scale[g / 8]);
      const float scale =
          half_to_float(block->scale) * (0.5f + static_cast<float>(packed >> 28)) * 0.5f;
      const unsigned signs = eighth_sign(packed >> (g / 2 % 4 * 7)) >> (g % 2 * 4);
      decode_group(points[block->points[g]], kXxsLevels, signs, scale, y);
    }
  }
}

void iq3_s_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto points = iq3_s_grid().points();
  const auto* block = reinterpret_cast<const IQ3_SBlock*>(blocks);
  for (const float* end = y + count; y != end; ++block) {
    for (std::size_t g = 0; g < 64; ++g, y += 4) {
      const unsigned code = block->scales[g / 16] >> (g / 8 % 2 * 4) & 15u;
      const float scale = half_to_float(block->scale) * static_cast<float>(1 + 2 * code);
      const unsigned high = block->high[g / 8] >> (g % 8) & 1u;
      const unsigned signs = block->signs[g / 2] >> (g % 2 * 4);
      decode_group(points[block->points[g] | high << 8], kSLevels, signs, scale, y);
    }
  }
}

}  // namespace holdfast::quantize
