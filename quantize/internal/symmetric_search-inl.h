// search_symmetric and refine_symmetric of internal/search.h, one sub-block a lane.
#if defined(HOLDFAST_SYMMETRIC_SEARCH_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_SYMMETRIC_SEARCH_INL_H
#undef HOLDFAST_SYMMETRIC_SEARCH_INL_H
#else
#define HOLDFAST_SYMMETRIC_SEARCH_INL_H
#endif

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <hwy/highway.h>

#include "quantize/internal/numbers.h"
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

// refine_symmetric, weights are x²: where it starts, one sub-block a lane.
struct RefineStart {
  Floats inverse, xl, ll;
  FloatMask done;  // nothing will change
};

// Half of the sub-blocks are done at once: where the extreme value is positive, the codes have the
// opposite sign of their values, hence no term of xl is positive. A rounded sum of such terms is
// not above any of them, and xl without one of them is not positive, which stops every step.
template <std::size_t kValues>
HWY_INLINE RefineStart StartRefining(const Tile<kValues, 1>& tile, float levels) {
  const Floats extreme = FirstExtreme(tile, 0);
  RefineStart start{Splat(-levels) / extreme, hn::Zero(kFloat), hn::Zero(kFloat), {}};
  for (std::size_t i = 0; i < kValues; ++i) {
    const Floats x = tile.v[i][0], w = x * x;
    // No product is below -levels by more than its rounding.
    const Floats code = hn::Min(Splat(levels - 1), Nearest(start.inverse * x));
    start.xl = start.xl + w * x * code;
    start.ll = start.ll + w * code * code;
  }
  const auto tiny = hn::Lt(hn::Abs(extreme), Splat(kGroupEpsilon));
  start.xl = hn::IfThenZeroElse(tiny, start.xl);
  start.ll = hn::IfThenZeroElse(tiny, start.ll);
  start.done = hn::Or(tiny, hn::Gt(extreme, hn::Zero(kFloat)));
  return start;
}

// The steps of refine_symmetric for many sub-blocks, one value a lane. Most steps leave the sums as
// they are, so all steps of a sub-block are worked out with the sums as they stand, and only the
// first that moves its code is taken; then all are worked out again. That also tells the first move
// of the next sweep, or that there is none.
//
// How many moves a sub-block takes nobody can foresee. So each takes one in turn, until none is
// left that moves: no branch depends on the values.
template <std::size_t kValues, std::size_t kRows>
class RefineRows {
 public:
  // Rows of kValues from `x` on.
  RefineRows(const float* x, float levels) : x_(x), levels_(levels) {}

  // The starts of kLanes rows.
  void put(std::size_t first, const RefineStart& start) {
    hn::StoreU(start.inverse, kFloat, inverse_ + first);
    hn::StoreU(start.xl, kFloat, xl_ + first);
    hn::StoreU(start.ll, kFloat, ll_ + first);
    alignas(64) float done[kLanes];
    hn::Store(hn::IfThenElseZero(start.done, Splat(1)), kFloat, done);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      open_[open_count_] = static_cast<std::uint16_t>(first + lane);
      open_count_ += done[lane] == 0;
    }
  }

  // body(row, scale, wild) for each row that was not done from the start; wild: a quotient left
  // nearest()'s domain.
  template <class Body>
  void run(const Body& body) {
    std::uint16_t moving[kRows + 1];
    std::copy_n(open_, open_count_, moving);
    for (std::size_t k = 0; k < open_count_; ++k) begin(open_[k]);
    for (std::size_t left = open_count_; left > 0;) {
      std::size_t next = 0;
      for (std::size_t k = 0; k < left; ++k) {
        const std::uint16_t row = moving[k];
        moving[next] = row;
        next += step(row);
      }
      left = next;
    }
    for (std::size_t k = 0; k < open_count_; ++k) {
      const std::size_t row = open_[k];
      body(row, ll_[row] > 0 ? xl_[row] / ll_[row] : 0.0f, wild_[row] != 0);
    }
  }

 private:
  static constexpr std::size_t kParts = kValues / kLanes;
  static constexpr std::uint32_t kSweeps = 5;

  // What each step would lead to; the last place is for none.
  struct Moves {
    alignas(64) float codes[kValues + 1], xl[kValues + 1], ll[kValues + 1];
  };

  Floats clamp_code(Floats code) const {
    return hn::Max(Splat(-levels_), hn::Min(Splat(levels_ - 1), code));
  }

  HWY_INLINE void begin(std::size_t row) {
    for (std::size_t p = 0; p < kParts; ++p) {
      const Floats x = hn::LoadU(kFloat, x_ + row * kValues + p * kLanes);
      hn::Store(clamp_code(Nearest(Splat(inverse_[row]) * x)), kFloat, codes_[row] + p * kLanes);
    }
    ahead_[row] = ~0u;
    sweeps_[row] = 0;
    wild_[row] = 0;
  }

  // Takes the next move of a row; false when there is none.
  HWY_INLINE bool step(std::size_t row) {
    Moves moves;
    std::uint32_t all = 0;
    for (std::size_t p = 0; p < kParts; ++p) all |= work_out(row, p, moves) << (p * kLanes);
    moves.codes[kValues] = 0;
    moves.xl[kValues] = xl_[row];
    moves.ll[kValues] = ll_[row];
    // The next step ahead, or the first of the next sweep; without a branch.
    const std::uint32_t ahead = all & ahead_[row];
    const auto wraps = static_cast<std::uint32_t>(ahead == 0);
    const std::uint32_t sweeps = sweeps_[row] + wraps;
    const auto goes_on = static_cast<std::uint32_t>(sweeps < kSweeps);
    const std::uint32_t next = (ahead | (all & (0u - wraps))) & (0u - goes_on);
    const auto i = static_cast<unsigned>(std::countr_zero(next | 1u << kValues));
    sweeps_[row] = static_cast<std::uint8_t>(sweeps);
    xl_[row] = moves.xl[i];
    ll_[row] = moves.ll[i];
    const Floats code = Splat(moves.codes[i]);
    for (std::size_t p = 0; p < kParts; ++p) {
      const Floats index = hn::Iota(kFloat, static_cast<float>(p * kLanes));
      const auto here = hn::Eq(index, Splat(static_cast<float>(i)));
      const Floats old = hn::Load(kFloat, codes_[row] + p * kLanes);
      hn::Store(hn::IfThenElse(here, code, old), kFloat, codes_[row] + p * kLanes);
    }
    ahead_[row] = ~1u << i;
    return next != 0;
  }

  // The steps of one part that would move their code now, one bit each.
  HWY_INLINE std::uint32_t work_out(std::size_t row, std::size_t p, Moves& moves) {
    const Floats zero = hn::Zero(kFloat), xl = Splat(xl_[row]), ll = Splat(ll_[row]);
    const Floats old = hn::Load(kFloat, codes_[row] + p * kLanes);
    const Floats x = hn::LoadU(kFloat, x_ + row * kValues + p * kLanes);
    const Floats w = x * x, wx = w * x;
    const Floats other_xl = xl - wx * old;
    const Floats other_ll = ll - w * old * old;
    const auto usable = hn::Gt(other_xl, zero);
    const Floats ideal = x * other_ll / other_xl;
    const auto tame = hn::Lt(hn::Abs(ideal), Splat(kNearestLimit));
    const bool wild = !hn::AllFalse(kFloat, hn::AndNot(tame, usable));
    wild_[row] = static_cast<std::uint8_t>(wild_[row] | static_cast<unsigned>(wild));
    const Floats code = clamp_code(Nearest(ideal));
    const Floats new_xl = other_xl + wx * code;
    const Floats new_ll = other_ll + w * code * code;
    hn::Store(code, kFloat, moves.codes + p * kLanes);
    hn::Store(new_xl, kFloat, moves.xl + p * kLanes);
    hn::Store(new_ll, kFloat, moves.ll + p * kLanes);
    const auto better =
        hn::And(hn::Gt(new_ll, zero), hn::Gt(new_xl * new_xl * ll, xl * xl * new_ll));
    return MaskBits(hn::And(hn::And(usable, hn::Ne(code, old)), better));
  }

  const float* x_;
  const float levels_;
  alignas(64) float inverse_[kRows], xl_[kRows], ll_[kRows], codes_[kRows][kValues];
  std::uint32_t ahead_[kRows];  // the steps of this sweep that are still to come
  std::uint8_t sweeps_[kRows], wild_[kRows];
  std::uint16_t open_[kRows + 1];
  std::size_t open_count_ = 0;
};

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif  // HOLDFAST_SIMD
#endif
