// When a candidate replaces a block of the identical encoder: only where it is provably better.
//
// An improver compares two sums of float32 that decoding would agree with: the error of the codes
// nearest under the scales of the identical block, and that of the codes nearest under its own.
// - A difference is that of the decoded value, rounded once. A sum has 32 terms at most, none
//   negative: it is within 2^-18 of the exact one.
// - Codes are nearest but for a rounding of their quotient, hence wrong only near the middle of two
//   decoded values, whose squared errors there are the same to 2^-14. So the first sum is not above
//   the error of the identical block, whatever its codes are, by more than 2^-13, nor the second
//   one below that of the candidate.
// - Squares that vanish or lose bits below the smallest normal number cost less than 2^-149 each,
//   times their weight: nothing beside a sum of 1e-25 times the heaviest weight.
#if defined(HOLDFAST_BEST_GAIN_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_BEST_GAIN_INL_H
#undef HOLDFAST_BEST_GAIN_INL_H
#else
#define HOLDFAST_BEST_GAIN_INL_H
#endif

#include <cstddef>

#include <hwy/highway.h>

#include "quantize/format.h"
#include "quantize/internal/lanes-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {

// Four sums side by side, the same on every target; `count` is a multiple of four, or one.
inline double SumUp(const float* values, std::size_t count) {
  if (count == 1) return double{*values};
  double sums[4] = {};
  for (std::size_t i = 0; i < count; i += 4) {
    for (std::size_t k = 0; k < 4; ++k) sums[k] += double{values[i + k]};
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

class ClearGain {
 public:
  explicit ClearGain(const Strip& strip) {
    Floats heaviest = Splat(1);
    for (std::size_t i = 0; strip.importance != nullptr && i < strip.count; i += kLanes) {
      heaviest = hn::Max(heaviest, hn::LoadU(kFloat, strip.importance + i));
    }
    least_ = 1e-25 * double{hn::GetLane(hn::MaxOfLanes(kFloat, heaviest))};
  }

  // `before` and `after` are the sums of the `count` parts of a block. False for NaN.
  bool operator()(const float* before, const float* after, std::size_t count) const {
    const double old_error = SumUp(before, count), new_error = SumUp(after, count);
    return old_error > least_ && old_error < 1e30 && new_error < old_error * (1 - 0x1p-12);
  }

 private:
  double least_;
};

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif
