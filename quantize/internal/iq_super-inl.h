// What the kernels of the grid formats share about super-blocks: mean squares, and the numbers
// beyond which the reference must decide.
#if defined(HOLDFAST_IQ_SUPER_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_IQ_SUPER_INL_H
#undef HOLDFAST_IQ_SUPER_INL_H
#else
#define HOLDFAST_IQ_SUPER_INL_H
#endif

#include <hwy/highway.h>

#include "quantize/internal/iq_search.h"
#include "quantize/internal/lanes-inl.h"

#if HOLDFAST_SIMD

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {

// Within these nothing overflows and nearest() is rounding.
inline constexpr float kTameLargest = 1e10f;
inline constexpr float kTameSmallest = 1e-30f;
inline constexpr float kTameRatio = 1e5f;
inline constexpr float kTameQuotient = 4e6f;
inline constexpr float kTameWeight = 1e24f;

inline constexpr std::size_t kStripSupers = 8;

// Mean squares of up to kStripSupers super-blocks, times a factor. A sum is taken left to right;
// eight of them side by side do not wait for each other.
HWY_INLINE void Variances(const float* x, std::size_t supers, float factor, float* variances) {
  float sums[kStripSupers] = {};
  for (std::size_t i = 0; i < kGridSuper && supers == kStripSupers; ++i) {
    for (std::size_t s = 0; s < kStripSupers; ++s) {
      const float value = x[s * kGridSuper + i];
      sums[s] += value * value;
    }
  }
  for (std::size_t s = 0; s < supers; ++s) {
    variances[s] = supers == kStripSupers ? factor * sums[s] / kGridSuper
                                          : grid_variance(x + s * kGridSuper, factor);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif  // HOLDFAST_SIMD
#endif
