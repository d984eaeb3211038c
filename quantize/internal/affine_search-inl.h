// search_affine of internal/search.h, one sub-block a lane.
#if defined(HOLDFAST_AFFINE_SEARCH_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_AFFINE_SEARCH_INL_H
#undef HOLDFAST_AFFINE_SEARCH_INL_H
#else
#define HOLDFAST_AFFINE_SEARCH_INL_H
#endif

#include <hwy/highway.h>

#include "quantize/internal/search.h"
#include "quantize/internal/tile-inl.h"

#if HOLDFAST_SIMD

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {

// What the search found for one group of lanes. Codes are clamp(nearest(inverse * (x - from))).
struct AffineFound {
  Floats scale, low;     // x ≈ scale * code + low
  Floats inverse, from;  // of the step that won; inverse is 0 for a flat sub-block
  Floats weight_sum;
  FloatMask wild;  // lanes that left nearest()'s domain: ask the reference
};

template <std::size_t kValues, std::size_t kGroups, bool kAbsolute>
class AffineLanes {
 public:
  using Values = Tile<kValues, kGroups>;

  AffineLanes(const AffineSchedule& schedule, const Values& x, const Values& weights)
      : schedule_(schedule),
        x_(x),
        weights_(weights),
        levels_(static_cast<float>(schedule.levels)) {}

  void run(AffineFound (&found)[kGroups]) {
    measure_range();
    start();
    for (int step = 0; step <= schedule_.steps; ++step) try_step(step);
    for (std::size_t g = 0; g < kGroups; ++g) {
      found[g].scale = hn::IfThenZeroElse(flat_[g], scale_[g]);
      found[g].inverse = hn::IfThenZeroElse(flat_[g], best_inverse_[g]);
      found[g].low = low_[g];
      found[g].from = best_from_[g];
      found[g].weight_sum = sum_w_[g];
      found[g].wild = hn::AndNot(flat_[g], wild_[g]);
    }
  }

 private:
  void measure_range() {
    for (std::size_t g = 0; g < kGroups; ++g) {
      Floats low = x_.v[0][g], high = low;
      Floats sum_w = weights_.v[0][g], sum_x = sum_w * low;
      for (std::size_t i = 1; i < kValues; ++i) {
        const Floats x = x_.v[i][g], w = weights_.v[i][g];
        low = hn::IfThenElse(hn::Lt(x, low), x, low);  // of zeros the first one
        high = hn::Max(high, x);
        sum_w = sum_w + w;
        sum_x = sum_x + w * x;
      }
      first_low_[g] = low;
      low_[g] = hn::IfThenZeroElse(hn::Gt(low, hn::Zero(kFloat)), low);
      high_[g] = high;
      sum_w_[g] = sum_w;
      sum_x_[g] = sum_x;
      flat_[g] = hn::Le(high, low_[g]);
      wild_[g] = hn::MaskFromVec(hn::Zero(kFloat));
    }
  }

  // The farthest that inverse * (x - low) can lie from zero must be in nearest()'s domain, and the
  // offset below the largest value, so that no code passes the numerator.
  void check_domain(std::size_t g, Floats inverse) {
    const Floats reach = hn::Max(high_[g] - low_[g], hn::Abs(first_low_[g] - low_[g]));
    const auto tame =
        hn::And(hn::Lt(inverse * reach, Splat(kNearestLimit)), hn::Gt(inverse, hn::Zero(kFloat)));
    wild_[g] = hn::Or(wild_[g], hn::Not(tame));
  }

  HWY_INLINE Floats weighted_error(Floats difference, Floats weight) const {
    return weight * (kAbsolute ? hn::Abs(difference) : difference * difference);
  }

  void start() {
    for (std::size_t g = 0; g < kGroups; ++g) {
      const Floats inverse = levels_v() / (high_[g] - low_[g]);
      check_domain(g, inverse);
      scale_[g] = Splat(1.0f) / inverse;
      best_inverse_[g] = inverse;
      best_from_[g] = low_[g];
      Floats error = hn::Zero(kFloat);
      for (std::size_t i = 0; i < kValues; ++i) {
        const Floats x = x_.v[i][g];
        const Floats t = Nearest(inverse * (x - low_[g]));
        const Floats code = hn::Max(hn::Zero(kFloat), hn::Min(levels_v(), t));
        error = error + weighted_error(scale_[g] * code + low_[g] - x, weights_.v[i][g]);
      }
      best_[g] = error;
    }
  }

  Floats levels_v() const { return Splat(levels_); }

  // Sums of one step.
  struct Sums {
    Floats inverse[kGroups], l[kGroups], l2[kGroups], xl[kGroups];
  };

  void try_step(int step) {
    const float numerator = schedule_.start + schedule_.step * static_cast<float>(step) + levels_;
    Sums sums;
    for (std::size_t g = 0; g < kGroups; ++g) {
      sums.inverse[g] = Splat(numerator) / (high_[g] - low_[g]);
      check_domain(g, sums.inverse[g]);
      sums.l[g] = sums.l2[g] = sums.xl[g] = hn::Zero(kFloat);
    }
    // The largest value maps to the numerator, give or take its rounding: only steps from one half
    // above the top level need the upper clamp.
    if (numerator < levels_ + 0.49f) {
      accumulate<false>(sums);
    } else {
      accumulate<true>(sums);
    }
    accept(sums);
  }

  template <bool kClampTop>
  HWY_INLINE void accumulate(Sums& sums) {
    const Floats zero = hn::Zero(kFloat), top = levels_v();
    for (std::size_t i = 0; i < kValues; ++i) {
#pragma GCC unroll 4
      for (std::size_t g = 0; g < kGroups; ++g) {
        const Floats x = x_.v[i][g];
        Floats code = Nearest(sums.inverse[g] * (x - low_[g]));
        if constexpr (kClampTop) code = hn::Min(top, code);
        code = hn::Max(zero, code);
        codes_.v[i][g] = code;
        const Floats wl = weights_.v[i][g] * code;
        sums.l[g] = sums.l[g] + wl;
        sums.l2[g] = sums.l2[g] + wl * code;
        sums.xl[g] = sums.xl[g] + wl * x;
      }
    }
  }

  // Least squares for scale and offset given the codes; taken where it lowers the error.
  HWY_INLINE void accept(const Sums& sums) {
    const Floats zero = hn::Zero(kFloat);
    Floats scale[kGroups], low[kGroups], error[kGroups];
    FloatMask solvable[kGroups];
#pragma GCC unroll 4
    for (std::size_t g = 0; g < kGroups; ++g) {
      const Floats determinant = sum_w_[g] * sums.l2[g] - sums.l[g] * sums.l[g];
      solvable[g] = hn::Gt(determinant, zero);
      const Floats free_scale = (sum_w_[g] * sums.xl[g] - sum_x_[g] * sums.l[g]) / determinant;
      const Floats free_low = (sums.l2[g] * sum_x_[g] - sums.l[g] * sums.xl[g]) / determinant;
      const auto above = hn::Gt(free_low, zero);
      scale[g] = hn::IfThenElse(above, sums.xl[g] / sums.l2[g], free_scale);
      low[g] = hn::IfThenZeroElse(above, free_low);
      error[g] = zero;
    }
    for (std::size_t i = 0; i < kValues; ++i) {
#pragma GCC unroll 4
      for (std::size_t g = 0; g < kGroups; ++g) {
        const Floats difference = scale[g] * codes_.v[i][g] + low[g] - x_.v[i][g];
        error[g] = error[g] + weighted_error(difference, weights_.v[i][g]);
      }
    }
#pragma GCC unroll 4
    for (std::size_t g = 0; g < kGroups; ++g) {
      const auto better = hn::And(solvable[g], hn::Lt(error[g], best_[g]));
      best_from_[g] = hn::IfThenElse(better, low_[g], best_from_[g]);
      best_inverse_[g] = hn::IfThenElse(better, sums.inverse[g], best_inverse_[g]);
      best_[g] = hn::IfThenElse(better, error[g], best_[g]);
      scale_[g] = hn::IfThenElse(better, scale[g], scale_[g]);
      low_[g] = hn::IfThenElse(better, low[g], low_[g]);
    }
  }

  const AffineSchedule& schedule_;
  const Values& x_;
  const Values& weights_;
  const float levels_;
  Values codes_;
  Floats first_low_[kGroups], low_[kGroups], high_[kGroups], sum_w_[kGroups], sum_x_[kGroups];
  Floats scale_[kGroups], best_[kGroups], best_inverse_[kGroups], best_from_[kGroups];
  FloatMask flat_[kGroups], wild_[kGroups];
};

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif  // HOLDFAST_SIMD
#endif
