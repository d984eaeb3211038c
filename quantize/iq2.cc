// IQ2_XXS, IQ2_XS and IQ2_S: groups of eight values on a grid of 256, 512 or 1024 points with
// levels 1, 3 and 5 (read as 8, 25 and 43). Scalar side, which is the specification; the kernels
// are in iq_kernel.cc.
#include <algorithm>
#include <cmath>

#include "quantize/internal/families.h"
#include "quantize/internal/iq_formats.h"

namespace holdfast::quantize {
namespace {

constexpr float kLevels[] = {8, 25, 43, 0};

// Weights of IQ2_S without importance: the squares over a floor.
void floor_weights(const float* x, float variance, GridSub& sub) {
  for (std::size_t i = 0; i < IQ2_S::kShape.values; ++i) {
    sub.weights[i] = IQ2_S::kShape.weight_floor * variance + x[i] * x[i];
  }
}

template <class F>
SubFit fit_sub(const Grid& grid, const float* x, const float* importance, float variance) {
  constexpr std::size_t kValues = F::kShape.values;
  GridSub sub;
  if (importance == nullptr) {
    floor_weights(x, variance, sub);
  } else {
    grid_weights(x, importance, variance, kValues, sub.weights);
  }
  for (std::size_t i = 0; i < kValues; ++i) sub.roots[i] = std::sqrt(sub.weights[i]);
  split_signs(F::kShape, x, sub);
  const float largest = *std::max_element(sub.x, sub.x + kValues);
  if (largest < F::kShape.epsilon) return {};
  if constexpr (F::kShape.refit != Refit::Always) {
    return search_grid(grid, F::kShape, sub, largest, largest / 5);
  } else {
    std::uint8_t unused[kValues];
    const float scale = search_positive({sub.x, sub.weights, unused, kValues}, 4);
    const float reach = scale * 3;
    if (reach <= 0) return {};
    return search_grid(grid, F::kShape, sub, reach, scale);
  }
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

void decode_group(std::uint32_t code, unsigned signs, float scale, float* y) {
  for (std::size_t i = 0; i < 8; ++i) {
    const float value = scale * kLevels[level_of(code, i, 8)];
    y[i] = (signs >> i & 1u) != 0 ? -value : value;
  }
}

float sub_scale(float scale, unsigned code) {
  return scale * (0.5f + static_cast<float>(code)) * 0.25f;
}

}  // namespace

void iq2_xxs_encode_reference(const Strip& strip, std::byte* out) noexcept {
  encode<IQ2_XXS>(strip, out);
}

void iq2_xs_encode_reference(const Strip& strip, std::byte* out) noexcept {
  encode<IQ2_XS>(strip, out);
}

void iq2_s_encode_reference(const Strip& strip, std::byte* out) noexcept {
  encode<IQ2_S>(strip, out);
}

void iq2_xxs_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto points = iq2_xxs_grid().points();
  const auto* block = reinterpret_cast<const IQ2_XXSBlock*>(blocks);
  for (const float* end = y + count; y != end; ++block) {
    for (const auto& sub : block->subs) {
      const auto packed = load<std::uint32_t>(sub.signs_and_scale);
      const float scale = sub_scale(half_to_float(block->scale), packed >> 28);
      for (std::size_t k = 0; k < 4; ++k, y += 8) {
        decode_group(points[sub.points[k]], eighth_sign(packed >> (7 * k)), scale, y);
      }
    }
  }
}

void iq2_xs_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto points = iq2_xs_grid().points();
  const auto* block = reinterpret_cast<const IQ2_XSBlock*>(blocks);
  for (const float* end = y + count; y != end; ++block) {
    for (std::size_t g = 0; g < 32; ++g, y += 8) {
      const unsigned group = block->groups[g];
      const unsigned code = block->scales[g / 4] >> (g / 2 % 2 * 4) & 15u;
      const float scale = sub_scale(half_to_float(block->scale), code);
      decode_group(points[group & 511u], eighth_sign(group >> 9), scale, y);
    }
  }
}

void iq2_s_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto points = iq2_s_grid().points();
  const auto* block = reinterpret_cast<const IQ2_SBlock*>(blocks);
  for (const float* end = y + count; y != end; ++block) {
    for (std::size_t g = 0; g < 32; ++g, y += 8) {
      const unsigned high = block->high[g / 4] >> (g % 4 * 2) & 3u;
      const unsigned code = block->scales[g / 4] >> (g / 2 % 2 * 4) & 15u;
      const float scale = sub_scale(half_to_float(block->scale), code);
      decode_group(points[block->points[g] | high << 8], block->signs[g], scale, y);
    }
  }
}

}  // namespace holdfast::quantize
