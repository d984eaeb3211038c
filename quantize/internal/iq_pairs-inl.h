// The nearest neighbours of a group that is off the grid at two scales at once: eight candidates
// stand side by side twice, lanes 0 to 7 for the one scale, 8 to 15 for the other. Neighbour lists
// are short, and a run of trials of like code is settled by its two ends. For vectors of sixteen
// lanes with lookups by lane.
#if defined(HOLDFAST_IQ_PAIRS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_IQ_PAIRS_INL_H
#undef HOLDFAST_IQ_PAIRS_INL_H
#else
#define HOLDFAST_IQ_PAIRS_INL_H
#endif

#include <algorithm>
#include <bit>
#include <limits>
#include <span>

#include <hwy/highway.h>

#include "quantize/internal/iq_neighbours-inl.h"
#include "quantize/internal/lanes-inl.h"

#if HOLDFAST_SIMD

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {

struct NeighbourPair {
  Neighbour first, second;
};

#undef HOLDFAST_PAIRS
#if HWY_TARGET <= HWY_AVX3
#define HOLDFAST_PAIRS 1

template <std::size_t kDimension>
class PairSearch {
 public:
  // Lists of this length and below take no loop.
  static constexpr std::size_t kFew = 16;

  // kDimension values of a group and the roots of their weights.
  HWY_INLINE PairSearch(const float* x, const float* roots) : x_(x), roots_(roots) {}

  HWY_INLINE NeighbourPair nearest(std::span<const std::uint16_t> list, float scale_first,
                                   float scale_second, float margin) const {
    // Errors of value i at every level, at either scale.
    const Floats reached = Halves(scale_first, scale_second) * hn::Load(kFloat, kOdd.v);
    Floats errors[kDimension];
    for (std::size_t i = 0; i < kDimension; ++i) {
      const Floats difference = reached - Splat(x_[i]);
      errors[i] = Splat(roots_[i]) * difference * difference;
    }
    if (list.size() <= kFew) return nearest_of_few(list, errors, margin);
    return nearest_of_many(list, errors, margin);
  }

 private:
  static constexpr std::size_t kLevels = 32 / kDimension;
  static constexpr int kBits = 2;
  static_assert(kDimension == 8);  // groups of four have their trials side by side

  struct alignas(64) Sixteen {
    float v[16];
  };

  static constexpr Sixteen kOdd = [] {
    Sixteen odd{};
    for (std::size_t i = 0; i < 16; ++i) odd.v[i] = static_cast<float>(2 * (i % kLevels) + 1);
    return odd;
  }();

  static HWY_INLINE Floats Halves(float first, float second) {
    return Floats{_mm512_mask_mov_ps(Splat(first).raw, 0xff00, Splat(second).raw)};
  }

  // The tables repeat every 128 bits.
  static HWY_INLINE Floats LookUp(Floats table, __m512i index) {
    return Floats{_mm512_permutevar_ps(table.raw, index)};
  }

  // Distances of eight candidates at either scale, summed left to right.
  static HWY_INLINE Floats Distances(const std::uint16_t* codes, const Floats* errors) {
    const __m128i eight = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
    __m512i code = _mm512_cvtepu16_epi32(_mm256_broadcastsi128_si256(eight));
    Floats sum = LookUp(errors[0], code);
    for (std::size_t i = 1; i < kDimension; ++i) {
      code = _mm512_srli_epi32(code, kBits);
      sum = sum + LookUp(errors[i], code);
    }
    return sum;
  }

  // The least of each half, in all its lanes.
  static HWY_INLINE Floats LeastOfHalf(Floats v) {
    v = hn::Min(v, Floats{_mm512_permute_ps(v.raw, 0xb1)});
    v = hn::Min(v, Floats{_mm512_permute_ps(v.raw, 0x4e)});
    return hn::Min(v, Floats{_mm512_shuffle_f32x4(v.raw, v.raw, 0xb1)});
  }

  // Lanes of the first `count` candidates of either half.
  static HWY_INLINE __mmask16 Listed(std::size_t count) {
    return static_cast<__mmask16>((count >= 8 ? 0xffu : (1u << count) - 1) * 0x101u);
  }

  static HWY_INLINE unsigned Position(unsigned lanes) {
    return static_cast<unsigned>(std::countr_zero(lanes));
  }

  // Lanes of a half in two vectors, as one number.
  static HWY_INLINE unsigned First(unsigned low, unsigned high) {
    return (low & 255u) | (high & 255u) << 8;
  }

  static HWY_INLINE unsigned Second(unsigned low, unsigned high) {
    return low >> 8 | (high >> 8) << 8;
  }

  static HWY_INLINE NeighbourPair nearest_of_few(std::span<const std::uint16_t> list,
                                                 const Floats* errors, float margin) {
    // What fills up the list stands behind its equal, the first.
    const Floats low = Distances(list.data(), errors);
    const Floats high = Distances(list.data() + 8, errors);
    const Floats least = LeastOfHalf(hn::Min(low, high));
    const __m512 limit = (least + Splat(margin)).raw;
    const unsigned near_low = _mm512_cmp_ps_mask(low.raw, limit, _CMP_LE_OQ);
    const unsigned near_high = _mm512_cmp_ps_mask(high.raw, limit, _CMP_LE_OQ);
    const unsigned least_low = _mm512_cmp_ps_mask(low.raw, least.raw, _CMP_EQ_OQ);
    const unsigned least_high = _mm512_cmp_ps_mask(high.raw, least.raw, _CMP_EQ_OQ);
    const unsigned listed = (2u << (list.size() - 1)) - 1;
    const unsigned near_first = First(near_low, near_high) & listed;
    const unsigned near_second = Second(near_low, near_high) & listed;
    return {{list[Position(First(least_low, least_high))], std::has_single_bit(near_first)},
            {list[Position(Second(least_low, least_high))], std::has_single_bit(near_second)}};
  }

  static HWY_INLINE NeighbourPair nearest_of_many(std::span<const std::uint16_t> list,
                                                  const Floats* errors, float margin) {
    // By lane: the least distance, where it stood, and the one after it.
    const Floats infinity = Splat(std::numeric_limits<float>::infinity());
    Floats least = infinity, second = infinity;
    __m512i place = _mm512_setzero_si512();
    for (std::size_t n = 0; n < list.size(); n += 8) {
      const Floats distance{_mm512_mask_mov_ps(infinity.raw, Listed(list.size() - n),
                                               Distances(list.data() + n, errors).raw)};
      const __mmask16 better = _mm512_cmp_ps_mask(distance.raw, least.raw, _CMP_LT_OQ);
      second = hn::Min(second, hn::Max(least, distance));
      least = hn::Min(least, distance);
      place = _mm512_mask_mov_epi32(place, better, _mm512_set1_epi32(static_cast<int>(n)));
    }
    const Floats least_of_half = LeastOfHalf(least);
    const Floats limit = least_of_half + Splat(margin);
    const unsigned near = _mm512_cmp_ps_mask(least.raw, limit.raw, _CMP_LE_OQ);
    const unsigned others = _mm512_cmp_ps_mask(second.raw, limit.raw, _CMP_LE_OQ);
    alignas(64) std::uint32_t places[16];
    _mm512_store_si512(places, place);
    const unsigned nearest = _mm512_cmp_ps_mask(least.raw, least_of_half.raw, _CMP_EQ_OQ);
    return {{list[FirstPlace(nearest & 255u, places)],
             std::has_single_bit(near & 255u) && (others & 255u) == 0},
            {list[FirstPlace(nearest >> 8, places + 8)],
             std::has_single_bit(near >> 8) && others >> 8 == 0}};
  }

  static HWY_INLINE unsigned FirstPlace(unsigned lanes, const std::uint32_t* places) {
    unsigned first = std::numeric_limits<unsigned>::max();
    for (; lanes != 0; lanes &= lanes - 1) {
      first = std::min(first, places[Position(lanes)] + Position(lanes));
    }
    return first;
  }

  const float* x_;
  const float* roots_;
};

#else
#define HOLDFAST_PAIRS 0
#endif

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif  // HOLDFAST_SIMD
#endif
