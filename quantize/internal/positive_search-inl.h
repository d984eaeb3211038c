// search_positive of internal/search.h, one super-block a lane (one sub-block in IQ2_XXS).
#if defined(HOLDFAST_POSITIVE_SEARCH_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_POSITIVE_SEARCH_INL_H
#undef HOLDFAST_POSITIVE_SEARCH_INL_H
#else
#define HOLDFAST_POSITIVE_SEARCH_INL_H
#endif

#include <hwy/highway.h>

#include "quantize/internal/search.h"
#include "quantize/internal/tile-inl.h"

#if HOLDFAST_SIMD

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {

// kSigned: some values may be negative after all, as in IQ2_XXS. The caller sees to it that none is
// more than 10^5 times the largest.
template <std::size_t kValues, bool kSigned = false>
class PositiveLanes {
 public:
  // Value j of each lane; codes are written as floats.
  struct Lanes {
    Floats x[kValues], weights[kValues], codes[kValues];
  };

  PositiveLanes(Lanes& lanes, int levels)
      : lanes_(lanes), levels_(Splat(static_cast<float>(levels))) {}

  // The scale. Lanes with `wild` set need the reference: a negative or non-finite value, or one
  // that left nearest()'s domain.
  Floats run(FloatMask& wild) {
    Floats high = hn::Zero(kFloat);
    FloatMask tame = hn::Eq(high, high);
    for (std::size_t i = 0; i < kValues; ++i) {
      const Floats low = kSigned ? Splat(-1e30f) : hn::Zero(kFloat);
      tame = hn::And(tame, hn::And(hn::Ge(lanes_.x[i], low), hn::Lt(lanes_.x[i], Splat(1e30f))));
      high = hn::Max(high, lanes_.x[i]);
    }
    const auto empty = hn::Lt(high, Splat(kGroupEpsilon));
    choose_codes(choose_inverse(high));
    refine(tame);
    for (std::size_t i = 0; i < kValues; ++i) {
      lanes_.codes[i] = hn::IfThenZeroElse(empty, lanes_.codes[i]);
    }
    wild = hn::AndNot(empty, hn::Not(tame));
    const auto valid = hn::AndNot(empty, hn::Gt(ll_, hn::Zero(kFloat)));
    return hn::IfThenElseZero(valid, xl_ / ll_);
  }

 private:
  // The best of nine.
  Floats choose_inverse(Floats high) const {
    Floats inverse = levels_ / high;
    Floats best = error(inverse, true);
    for (int step = -4; step <= 4; ++step) {
      if (step == 0) continue;
      const Floats trial = (Splat(0.1f * static_cast<float>(step)) + levels_) / high;
      const Floats trial_error = error(trial, false);
      const auto better = hn::Lt(trial_error, best);
      best = hn::IfThenElse(better, trial_error, best);
      inverse = hn::IfThenElse(better, trial, inverse);
    }
    return inverse;
  }

  Floats code(Floats inverse, std::size_t i) const {
    return hn::Min(levels_, Nearest(inverse * lanes_.x[i]));
  }

  // The reference keeps codes in bytes: -1 becomes 255, and counts as that when it is taken back.
  static HWY_INLINE Floats Stored(Floats code) {
    if constexpr (!kSigned) return code;
    return code - Splat(256.0f) * hn::Floor(code * Splat(1.0f / 256));
  }

  Floats error(Floats inverse, bool stored) const {
    const Floats scale = Splat(1.0f) / inverse;
    Floats sum = hn::Zero(kFloat);
    for (std::size_t i = 0; i < kValues; ++i) {
      const Floats l = stored ? Stored(code(inverse, i)) : code(inverse, i);
      const Floats difference = lanes_.x[i] - scale * l;
      sum = sum + lanes_.weights[i] * difference * difference;
    }
    return sum;
  }

  void choose_codes(Floats inverse) {
    xl_ = ll_ = hn::Zero(kFloat);
    for (std::size_t i = 0; i < kValues; ++i) {
      const Floats l = code(inverse, i);
      lanes_.codes[i] = Stored(l);
      xl_ = xl_ + lanes_.weights[i] * lanes_.x[i] * l;
      ll_ = ll_ + lanes_.weights[i] * l * l;
    }
  }

  // A lane that a sweep leaves alone would be left alone by the next one too, so that lanes need
  // not stop one by one.
  void refine(FloatMask& tame) {
    for (int sweep = 0; sweep < 5; ++sweep) {
      FloatMask changed = hn::MaskFromVec(hn::Zero(kFloat));
      for (std::size_t i = 0; i < kValues; ++i) {
        changed = hn::Or(changed, refine_one(i, tame));
      }
      if (hn::AllFalse(kFloat, changed)) break;
    }
  }

  FloatMask refine_one(std::size_t i, FloatMask& tame) {
    const Floats zero = hn::Zero(kFloat);
    const Floats x = lanes_.x[i], w = lanes_.weights[i], old = lanes_.codes[i];
    const Floats other_xl = xl_ - w * x * old;
    const Floats other_ll = ll_ - w * old * old;
    const auto usable = hn::And(hn::Gt(other_xl, zero), hn::Gt(other_ll, zero));
    const Floats ideal = x * other_ll / other_xl;
    const auto rounds = hn::Lt(kSigned ? hn::Abs(ideal) : ideal, Splat(kNearestLimit));
    tame = hn::And(tame, hn::Or(hn::Not(usable), rounds));
    const Floats l = hn::Min(levels_, Nearest(ideal));
    const Floats new_xl = other_xl + w * x * l;
    const Floats new_ll = other_ll + w * l * l;
    const auto better = hn::Gt(new_xl * new_xl * ll_, xl_ * xl_ * new_ll);
    const auto moved = hn::And(hn::And(usable, hn::Ne(l, old)), better);
    lanes_.codes[i] = hn::IfThenElse(moved, Stored(l), old);
    xl_ = hn::IfThenElse(moved, new_xl, xl_);
    ll_ = hn::IfThenElse(moved, new_ll, ll_);
    return moved;
  }

  Lanes& lanes_;
  const Floats levels_;
  Floats xl_, ll_;
};

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif  // HOLDFAST_SIMD
#endif
