// search_symmetric and refine_symmetric of internal/search.h, one sub-block a lane.
#if defined(HOLDFAST_SYMMETRIC_SEARCH_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_SYMMETRIC_SEARCH_INL_H
#undef HOLDFAST_SYMMETRIC_SEARCH_INL_H
#else
#define HOLDFAST_SYMMETRIC_SEARCH_INL_H
#endif

#include <hwy/highway.h>

#include "quantize/internal/search.h"
#include "quantize/internal/tile-inl.h"

#if HOLDFAST_SIMD

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {

// The value of the largest magnitude in each lane; the first of equals.
template <std::size_t kValues, std::size_t kGroups>
HWY_INLINE Floats FirstExtreme(const Tile<kValues, kGroups>& x, std::size_t g) {
  Floats magnitude = hn::Zero(kFloat), extreme = magnitude;
  for (std::size_t i = 0; i < kValues; ++i) {
    const Floats a = hn::Abs(x.v[i][g]);
    const auto larger = hn::Gt(a, magnitude);
    magnitude = hn::IfThenElse(larger, a, magnitude);
    extreme = hn::IfThenElse(larger, x.v[i][g], extreme);
  }
  return extreme;
}

// What the search found for one group. Codes are clamp(nearest(inverse * x)); a lane whose values
// are all tiny has scale and inverse 0.
struct SymmetricFound {
  Floats scale, inverse;
  FloatMask wild;  // sums overflowed: NaN and infinities are the reference's business
};

// Products of this search stay in nearest()'s domain whatever the values are.
template <std::size_t kValues, std::size_t kGroups>
class SymmetricLanes {
 public:
  using Values = Tile<kValues, kGroups>;

  SymmetricLanes(const Values& x, const Values& weights, int levels)
      : x_(x), weights_(weights), levels_(static_cast<float>(levels)) {
    for (std::size_t i = 0; i < kValues; ++i) {
      for (std::size_t g = 0; g < kGroups; ++g) wx_.v[i][g] = weights_.v[i][g] * x_.v[i][g];
    }
  }

  void run(SymmetricFound (&found)[kGroups]) {
    for (std::size_t g = 0; g < kGroups; ++g) extreme_[g] = FirstExtreme(x_, g);
    Sums sums = accumulate(-levels_, 0);
    for (std::size_t g = 0; g < kGroups; ++g) {
      const auto usable = hn::Ne(sums.ll[g], hn::Zero(kFloat));
      scale_[g] = hn::IfThenElseZero(usable, sums.xl[g] / sums.ll[g]);
      best_[g] = scale_[g] * sums.xl[g];
      inverse_[g] = sums.inverse[g];
    }
    for (int step = -9; step <= 9; ++step) {
      if (step != 0) accept(accumulate(-(levels_ + 0.1f * static_cast<float>(step)), step));
    }
    for (std::size_t g = 0; g < kGroups; ++g) {
      const auto empty = hn::Lt(hn::Abs(extreme_[g]), Splat(kGroupEpsilon));
      found[g].scale = hn::IfThenZeroElse(empty, scale_[g]);
      found[g].inverse = hn::IfThenZeroElse(empty, inverse_[g]);
      const Floats largest = hn::Max(hn::Abs(scale_[g]), hn::Abs(best_[g]));
      found[g].wild = hn::AndNot(empty, hn::Not(hn::Le(largest, Splat(3.4028235e38f))));
    }
  }

 private:
  struct Sums {
    Floats inverse[kGroups], xl[kGroups], ll[kGroups];
  };

  // The extreme value maps to -(levels + step / 10), all others lie within: steps that cannot round
  // past an end need not clamp there.
  Sums accumulate(float numerator, int step) const {
    Sums sums;
    for (std::size_t g = 0; g < kGroups; ++g) {
      sums.inverse[g] = Splat(numerator) / extreme_[g];
      sums.xl[g] = sums.ll[g] = hn::Zero(kFloat);
    }
    if (step <= -6) {
      add<false, false>(sums);
    } else if (step <= 4) {
      add<false, true>(sums);
    } else {
      add<true, true>(sums);
    }
    return sums;
  }

  template <bool kClampLow, bool kClampHigh>
  HWY_INLINE void add(Sums& sums) const {
    const Floats low = Splat(-levels_), high = Splat(levels_ - 1);
    for (std::size_t i = 0; i < kValues; ++i) {
#pragma GCC unroll 4
      for (std::size_t g = 0; g < kGroups; ++g) {
        Floats code = Nearest(sums.inverse[g] * x_.v[i][g]);
        if constexpr (kClampHigh) code = hn::Min(high, code);
        if constexpr (kClampLow) code = hn::Max(low, code);
        sums.xl[g] = sums.xl[g] + wx_.v[i][g] * code;
        sums.ll[g] = sums.ll[g] + weights_.v[i][g] * code * code;
      }
    }
  }

  HWY_INLINE void accept(const Sums& sums) {
#pragma GCC unroll 4
    for (std::size_t g = 0; g < kGroups; ++g) {
      const auto better = hn::And(hn::Gt(sums.ll[g], hn::Zero(kFloat)),
                                  hn::Gt(sums.xl[g] * sums.xl[g], best_[g] * sums.ll[g]));
      const Floats scale = sums.xl[g] / sums.ll[g];
      scale_[g] = hn::IfThenElse(better, scale, scale_[g]);
      best_[g] = hn::IfThenElse(better, scale * sums.xl[g], best_[g]);
      inverse_[g] = hn::IfThenElse(better, sums.inverse[g], inverse_[g]);
    }
  }

  const Values& x_;
  const Values& weights_;
  const float levels_;
  Values wx_;
  Floats extreme_[kGroups], scale_[kGroups], best_[kGroups], inverse_[kGroups];
};

// refine_symmetric: weights are x². Several groups go on side by side, because every step of one
// waits for the sums of the step before.
template <std::size_t kValues, std::size_t kGroups>
class RefineLanes {
 public:
  RefineLanes(const Tile<kValues, kGroups>& x, int levels)
      : x_(x), levels_(static_cast<float>(levels)) {}

  // Scales; `wild` lanes left nearest()'s domain.
  void run(Floats (&scale)[kGroups], FloatMask (&wild)[kGroups]) {
    FloatMask empty[kGroups];
    for (std::size_t g = 0; g < kGroups; ++g) {
      wild_[g] = hn::MaskFromVec(hn::Zero(kFloat));
      empty[g] = start(g);
    }
    for (int sweep = 0; sweep < 5 && sweep_changes(); ++sweep) {
    }
    for (std::size_t g = 0; g < kGroups; ++g) {
      const auto usable = hn::AndNot(empty[g], hn::Gt(ll_[g], hn::Zero(kFloat)));
      scale[g] = hn::IfThenElseZero(usable, xl_[g] / ll_[g]);
      wild[g] = hn::AndNot(empty[g], wild_[g]);
    }
  }

 private:
  Floats clamp_code(Floats code) const {
    return hn::Max(Splat(-levels_), hn::Min(Splat(levels_ - 1), code));
  }

  FloatMask start(std::size_t g) {
    const Floats extreme = FirstExtreme(x_, g);
    const Floats inverse = Splat(-levels_) / extreme;
    xl_[g] = ll_[g] = hn::Zero(kFloat);
    for (std::size_t i = 0; i < kValues; ++i) {
      const Floats x = x_.v[i][g], code = clamp_code(Nearest(inverse * x));
      const Floats w = x * x;
      codes_.v[i][g] = code;
      xl_[g] = xl_[g] + w * x * code;
      ll_[g] = ll_[g] + w * code * code;
    }
    return hn::Lt(hn::Abs(extreme), Splat(kGroupEpsilon));
  }

  // A lane that a sweep leaves alone would be left alone by the next one too, so that lanes need
  // not stop one by one.
  bool sweep_changes() {
    FloatMask changed[kGroups];
    for (std::size_t g = 0; g < kGroups; ++g) changed[g] = hn::MaskFromVec(hn::Zero(kFloat));
    for (std::size_t i = 0; i < kValues; ++i) {
#pragma GCC unroll 4
      for (std::size_t g = 0; g < kGroups; ++g) changed[g] = hn::Or(changed[g], refine_one(i, g));
    }
    bool any = false;
    for (std::size_t g = 0; g < kGroups; ++g) any = any || !hn::AllFalse(kFloat, changed[g]);
    return any;
  }

  // Lanes where product / divisor certainly rounds to the old code, or past an end where that code
  // is; `rest` is product - old * divisor. Most codes stay in most sweeps, and a vector of them
  // needs no division; as the sums stay too, the next step does not have to wait for this one.
  HWY_INLINE FloatMask stays(Floats rest, Floats divisor, Floats old) const {
    const auto close = hn::Lt(hn::Abs(rest), Splat(0.4999f) * divisor);
    const auto above = hn::And(hn::Eq(old, Splat(levels_ - 1)), hn::Gt(rest, hn::Zero(kFloat)));
    const auto below = hn::And(hn::Eq(old, Splat(-levels_)), hn::Lt(rest, hn::Zero(kFloat)));
    return hn::Or(close, hn::Or(above, below));
  }

  HWY_INLINE FloatMask refine_one(std::size_t i, std::size_t g) {
    const Floats zero = hn::Zero(kFloat);
    const Floats x = x_.v[i][g], old = codes_.v[i][g];
    const Floats w = x * x, wx = w * x;
    const Floats other_xl = xl_[g] - wx * old;
    const Floats other_ll = ll_[g] - w * old * old;
    const auto usable = hn::Gt(other_xl, zero);
    const Floats product = x * other_ll;
    if (hn::AllFalse(kFloat, hn::AndNot(stays(product - old * other_xl, other_xl, old), usable))) {
      return hn::MaskFromVec(zero);
    }
    const Floats ideal = product / other_xl;
    const auto tame = hn::Lt(hn::Abs(ideal), Splat(kNearestLimit));
    wild_[g] = hn::Or(wild_[g], hn::AndNot(tame, usable));
    const Floats code = clamp_code(Nearest(ideal));
    const Floats new_xl = other_xl + wx * code;
    const Floats new_ll = other_ll + w * code * code;
    const auto better =
        hn::And(hn::Gt(new_ll, zero), hn::Gt(new_xl * new_xl * ll_[g], xl_[g] * xl_[g] * new_ll));
    const auto moved = hn::And(hn::And(usable, hn::Ne(code, old)), better);
    codes_.v[i][g] = hn::IfThenElse(moved, code, old);
    xl_[g] = hn::IfThenElse(moved, new_xl, xl_[g]);
    ll_[g] = hn::IfThenElse(moved, new_ll, ll_[g]);
    return moved;
  }

  const Tile<kValues, kGroups>& x_;
  const float levels_;
  Tile<kValues, kGroups> codes_;
  Floats xl_[kGroups], ll_[kGroups];
  FloatMask wild_[kGroups];
};

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif  // HOLDFAST_SIMD
#endif
