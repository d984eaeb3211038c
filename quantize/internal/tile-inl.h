// A tile: kGroups * kLanes sub-blocks of kValues values, one sub-block a lane. Value i of every
// sub-block stands in one vector, so a loop over i does for all lanes what the scalar reference
// does for one sub-block: the same sums in the same order, hence the same bits.
#if defined(HOLDFAST_TILE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_TILE_INL_H
#undef HOLDFAST_TILE_INL_H
#else
#define HOLDFAST_TILE_INL_H
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <hwy/highway.h>

#include "quantize/internal/lanes-inl.h"
#include "quantize/internal/numbers.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {

using FloatMask = hn::Mask<FloatTag>;

// Lane i is bit i.
HWY_INLINE std::uint32_t MaskBits(FloatMask mask) {
  std::uint8_t bytes[8] = {};
  hn::StoreMaskBits(kFloat, mask, bytes);
  return load<std::uint32_t>(bytes);
}

template <std::size_t kValues, std::size_t kGroups>
struct Tile {
  Floats v[kValues][kGroups];
};

#if HOLDFAST_SIMD

// 128-bit pieces from `from`, `from + 4 * stride`, `from + 8 * stride` … side by side.
template <class D>
HWY_INLINE hn::Vec<D> LoadQuads(D d, const float* from, std::size_t stride) {
  if constexpr (hn::MaxLanes(D{}) == 4) {
    return hn::LoadU(d, from);
  } else {
    const hn::Half<D> half;
    const auto low = LoadQuads(half, from, stride);
    const auto high = LoadQuads(half, from + hn::MaxLanes(half) * stride, stride);
    return hn::Combine(d, high, low);
  }
}

// Four values of kLanes rows that lie `stride` apart: out[k] has value k of every row.
HWY_INLINE void LoadColumns(const float* from, std::size_t stride, Floats (&out)[4]) {
  const hn::Repartition<double, FloatTag> pairs;
  const Floats a = LoadQuads(kFloat, from, stride);
  const Floats b = LoadQuads(kFloat, from + stride, stride);
  const Floats c = LoadQuads(kFloat, from + 2 * stride, stride);
  const Floats e = LoadQuads(kFloat, from + 3 * stride, stride);
  const auto ab_low = hn::BitCast(pairs, hn::InterleaveLower(kFloat, a, b));
  const auto ab_high = hn::BitCast(pairs, hn::InterleaveUpper(kFloat, a, b));
  const auto ce_low = hn::BitCast(pairs, hn::InterleaveLower(kFloat, c, e));
  const auto ce_high = hn::BitCast(pairs, hn::InterleaveUpper(kFloat, c, e));
  out[0] = hn::BitCast(kFloat, hn::InterleaveLower(pairs, ab_low, ce_low));
  out[1] = hn::BitCast(kFloat, hn::InterleaveUpper(pairs, ab_low, ce_low));
  out[2] = hn::BitCast(kFloat, hn::InterleaveLower(pairs, ab_high, ce_high));
  out[3] = hn::BitCast(kFloat, hn::InterleaveUpper(pairs, ab_high, ce_high));
}

template <std::size_t kValues, std::size_t kGroups>
HWY_INLINE void LoadTile(const float* from, Tile<kValues, kGroups>& tile) {
  for (std::size_t g = 0; g < kGroups; ++g) {
    for (std::size_t i = 0; i < kValues; i += 4) {
      Floats columns[4];
      LoadColumns(from + g * kLanes * kValues + i, kValues, columns);
      for (std::size_t k = 0; k < 4; ++k) tile.v[i + k][g] = columns[k];
    }
  }
}

#else

template <std::size_t kValues, std::size_t kGroups>
HWY_INLINE void LoadTile(const float* from, Tile<kValues, kGroups>& tile) {
  for (std::size_t g = 0; g < kGroups; ++g) {
    for (std::size_t i = 0; i < kValues; ++i) tile.v[i][g] = Splat(from[g * kValues + i]);
  }
}

#endif  // HOLDFAST_SIMD

// The same where only the first `count` values are there; zeros for the others.
template <std::size_t kValues, std::size_t kGroups>
HWY_INLINE void LoadPadded(const float* from, std::size_t count, Tile<kValues, kGroups>& tile) {
  constexpr std::size_t kTileValues = kValues * kGroups * kLanes;
  if (count >= kTileValues) return LoadTile(from, tile);
  alignas(64) float padded[kTileValues] = {};
  std::copy_n(from, count, padded);
  LoadTile(padded, tile);
}

// Nearest integer, half to even, as a float; the reference's nearest() for magnitudes below 2^22.
HWY_INLINE Floats Nearest(Floats value) { return hn::Round(value); }

inline constexpr float kNearestLimit = 4194304.0f;

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif
