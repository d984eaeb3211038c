// search_grid of internal/iq_search.h, in lanes. The trials of a sub-block do not depend on each
// other, so they stand side by side: one lane rounds, and later sums up, one trial. Groups that are
// off the grid have their neighbours side by side: their distances are sums of table entries, one
// table per value, made once per group and scale.
#if defined(HOLDFAST_IQ_LANES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_IQ_LANES_INL_H
#undef HOLDFAST_IQ_LANES_INL_H
#else
#define HOLDFAST_IQ_LANES_INL_H
#endif

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include <hwy/highway.h>

#include "quantize/internal/iq_neighbours-inl.h"
#include "quantize/internal/iq_search.h"
#include "quantize/internal/iq_super-inl.h"
#include "quantize/internal/lanes-inl.h"

#if HOLDFAST_SIMD

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {

// A sub-block as the search needs it; aligned.
struct GridView {
  const float* x;
  const float* weights;
  const float* roots;
};

template <class F>
class GridLanes {
 public:
  GridLanes(const Grid& grid, const GridView& view) : grid_(grid), view_(view) {
    for (std::size_t i = 0; i < kValues; ++i) {
      for (std::size_t l = 0; l < kLevels; l += 4) {
        hn::Store(hn::Set(kQuad, view.x[i]), kQuad, x_ + i * kLevels + l);
        hn::Store(hn::Set(kQuad, view.roots[i]), kQuad, roots_ + i * kLevels + l);
      }
    }
  }

  // As search_grid; signs are left to the caller. The values are tame, none of them larger than
  // `span`. The scale is no number when the reference must decide after all.
  SubFit run(float reach, float scale, float span) {
    round_trials(reach);
    for (std::size_t k = 0; k < kGroups; ++k) {
      if constexpr (kByTrial) {
        settle_by_trial(k);
      } else {
        settle_by_run(k);
      }
    }
    sum_trials();
    SubFit fit{.scale = scale, .empty = false};
    const std::size_t best = best_trial(fit.scale);
    bool off_grid[kGroups];
    for (std::size_t k = 0; k < kGroups; ++k) {
      const std::uint32_t code = best < kTrials ? trial_codes_[k][best] : 0;
      fit.codes[k] = static_cast<std::uint16_t>(code);
      off_grid[k] = best < kTrials ? (code & kOffGrid) != 0 : F::kShape.refit != Refit::OffGrid;
    }
    refit(off_grid, span, fit);
    return fit;
  }

 private:
  static constexpr std::size_t kValues = F::kShape.values;
  static constexpr std::size_t kDimension = F::kShape.dimension;
  static constexpr std::size_t kGroups = kValues / kDimension;
  static constexpr std::size_t kLevels = 32 / kDimension;  // per table, used or not
  static constexpr int kBits = LevelTables<kDimension>::kBits;
  static constexpr std::size_t kTrials = 2 * F::kShape.trials + 1;
  static constexpr std::size_t kPadded = (kTrials + kLanes - 1) / kLanes * kLanes;
  static constexpr hn::CappedTag<float, 4> kQuad{};
  // Lists of groups of four are short: five to seven on average, against eight to thirty.
  static constexpr bool kByTrial = kDimension == 4;
  // Marks a code that a neighbour search replaced.
  static constexpr std::uint32_t kOffGrid = 1u << 16;

  HWY_INLINE static Floats Level(Floats inverse, Floats x) {
    const Floats t = Splat(0.5f) * (inverse * x - Splat(1.0f));
    const Floats top = Splat(static_cast<float>(F::kShape.levels - 1));
    return hn::Round(hn::Min(hn::Max(t, hn::Zero(kFloat)), top));
  }

  // The codes of all trials, on the grid or not.
  HWY_INLINE void round_trials(float reach) {
    constexpr auto top = static_cast<float>(2 * F::kShape.levels - 1);
    alignas(64) float guesses[kPadded];
    for (std::size_t t = 0; t < kPadded; ++t) {
      const int step = static_cast<int>(std::min(t, kTrials - 1)) - F::kShape.trials;
      guesses[t] = top + static_cast<float>(step) * F::kShape.step;
    }
    for (std::size_t t = 0; t < kPadded; t += kLanes) {
      const Floats inverse = hn::Load(kFloat, guesses + t) / Splat(reach);
      const Floats scale = Splat(1.0f) / inverse;
      hn::Store(scale, kFloat, trial_scale_ + t);
      if constexpr (kByTrial) {
        for (std::size_t l = 0; l < kLevels; ++l) {
          const Floats odd = Splat(static_cast<float>(2 * l + 1));
          hn::Store(scale * odd, kFloat, reached_ + l * kPadded + t);
        }
      }
      for (std::size_t k = 0; k < kGroups; ++k) {
        Floats code = hn::Zero(kFloat);
        for (std::size_t i = kDimension; i-- > 0;) {
          // Sums of small integers: exact, fused or not.
          const Floats level = Level(inverse, Splat(view_.x[k * kDimension + i]));
          code = hn::MulAdd(code, Splat(1 << kBits), level);
        }
        hn::Store(hn::BitCast(kUint, hn::ConvertTo(kInt, code)), kUint, trial_codes_[k] + t);
      }
    }
  }

  // Neighbours for all trials that are off the grid, where lists are short: trials side by side,
  // candidate after candidate. Trials of like code, which have one list, come in runs.
  HWY_INLINE void settle_by_trial(std::size_t k) {
    std::uint32_t* codes = trial_codes_[k];
    bool tabled = false;
    for (std::size_t begin = 0; begin < kTrials;) {
      const std::uint32_t code = codes[begin];
      std::size_t end = begin + 1;
      while (end < kTrials && codes[end] == code) ++end;
      if (!grid_.contains(code)) {
        if (!tabled) table_errors(k);
        tabled = true;
        for (std::size_t t = begin / kLanes * kLanes; t < end; t += kLanes) {
          const Uints best = nearest_by_trial(grid_.neighbours(code), t);
          const auto trial = hn::Iota(kInt, static_cast<std::int32_t>(t));
          const auto inside =
              hn::And(hn::Gt(trial, hn::Set(kInt, static_cast<std::int32_t>(begin) - 1)),
                      hn::Lt(trial, hn::Set(kInt, static_cast<std::int32_t>(end))));
          const auto old = hn::Load(kUint, codes + t);
          hn::Store(hn::IfThenElse(hn::RebindMask(kUint, inside), best, old), kUint, codes + t);
        }
      }
      begin = end;
    }
  }

  // The error of each value of a group at each level, in all trials.
  HWY_INLINE void table_errors(std::size_t k) {
    for (std::size_t i = 0; i < kDimension; ++i) {
      const Floats x = Splat(view_.x[k * kDimension + i]);
      const Floats root = Splat(view_.roots[k * kDimension + i]);
      for (std::size_t at = 0; at < kLevels * kPadded; at += kLanes) {
        const Floats difference = hn::Load(kFloat, reached_ + at) - x;
        hn::Store(root * difference * difference, kFloat, errors_ + i * kLevels * kPadded + at);
      }
    }
  }

  // For trials [t, t + kLanes): the first of the nearest.
  HWY_INLINE Uints nearest_by_trial(std::span<const std::uint16_t> neighbours,
                                    std::size_t t) const {
    Floats least = Splat(std::numeric_limits<float>::max());
    Uints best = hn::Zero(kUint);
    for (const std::uint32_t code : neighbours) {
      const auto error = [this, code, t](std::size_t i) {
        const std::size_t level = code >> (kBits * i) & (kLevels - 1);
        return hn::Load(kFloat, errors_ + (i * kLevels + level) * kPadded + t);
      };
      const Floats distance = error(0) + error(1) + error(2) + error(3);
      const auto better = hn::Lt(distance, least);
      least = hn::IfThenElse(better, distance, least);
      best = hn::IfThenElse(hn::RebindMask(kUint, better), hn::Set(kUint, code | kOffGrid), best);
    }
    return best;
  }

  // The same where lists are long: candidates side by side. The
  // neighbour that wins clearly at both ends of a run wins within: the difference of two distances
  // is the scale times a linear function of the scale.
  HWY_INLINE void settle_by_run(std::size_t k) {
    std::uint32_t* codes = trial_codes_[k];
    float margin = -1;
    for (std::size_t begin = 0; begin < kTrials;) {
      const std::uint32_t code = codes[begin];
      std::size_t end = begin + 1;
      while (end < kTrials && codes[end] == code) ++end;
      if (!grid_.contains(code)) {
        if (margin < 0) margin = margin_of(k);
        const Neighbour first = nearest(k, code, trial_scale_[begin], margin);
        codes[begin] = first.code | kOffGrid;
        if (end - begin > 1) {
          const Neighbour last = nearest(k, code, trial_scale_[end - 1], margin);
          codes[end - 1] = last.code | kOffGrid;
          fill_run(k, code, {begin, first}, {end - 1, last}, margin);
        }
      }
      begin = end;
    }
  }

  struct Settled {
    std::size_t trial;
    Neighbour neighbour;
  };

  // The trials between two settled ones.
  void fill_run(std::size_t k, std::uint32_t code, Settled from, Settled to, float margin) {
    if (to.trial - from.trial < 2) return;
    const bool same = from.neighbour.code == to.neighbour.code;
    if (same && from.neighbour.clear && to.neighbour.clear) {
      for (std::size_t t = from.trial + 1; t < to.trial; ++t) {
        trial_codes_[k][t] = from.neighbour.code | kOffGrid;
      }
      return;
    }
    const std::size_t t = (from.trial + to.trial) / 2;
    const Settled middle{t, nearest(k, code, trial_scale_[t], margin)};
    trial_codes_[k][t] = middle.neighbour.code | kOffGrid;
    fill_run(k, code, from, middle, margin);
    fill_run(k, code, middle, to, margin);
  }

  // What two distances must differ by at both ends of a run, so that rounding turns no comparison
  // within. With u = 2^-24, a distance is off by less than 12 u Σ w (s q + |x|)² (five roundings a
  // term, seven additions); the difference within a run is at least 0.6 of the smaller one at its
  // ends, which is the ratio of its scales. 2 * 12 * (1 + 1 / 0.6) = 64 < 80.
  HWY_INLINE float margin_of(std::size_t k) const {
    constexpr auto top = static_cast<float>(2 * F::kShape.levels - 1);
    const float reach = trial_scale_[0] * top;
    float sum = 0;
    for (std::size_t i = k * kDimension; i < (k + 1) * kDimension; ++i) {
      const float span = reach + std::fabs(view_.x[i]);
      sum += view_.roots[i] * (span * span);
    }
    return sum * (80 * 0x1p-24f);
  }

  HWY_INLINE Neighbour nearest(std::size_t k, std::uint32_t code, float scale, float margin) const {
    alignas(64) float errors[32];
    for (std::size_t i = 0; i < 32; i += kLanes) {
      const Floats odd = hn::Load(kFloat, kOdd + i);
      const Floats difference = Splat(scale) * odd - hn::Load(kFloat, x_ + 32 * k + i);
      const Floats root = hn::Load(kFloat, roots_ + 32 * k + i);
      hn::Store(root * difference * difference, kFloat, errors + i);
    }
    return NearestNeighbour<kDimension>(grid_.neighbours(code), errors, margin);
  }

  // Σwxq and Σwq² of every trial.
  HWY_INLINE void sum_trials() {
    const auto mask = hn::Set(kUint, static_cast<std::uint32_t>(kLevels - 1));
    for (std::size_t t = 0; t < kPadded; t += kLanes) {
      Floats qx = hn::Zero(kFloat), qq = hn::Zero(kFloat);
      for (std::size_t k = 0; k < kGroups; ++k) {
        auto code = hn::Load(kUint, trial_codes_[k] + t);
        for (std::size_t i = 0; i < kDimension; ++i) {
          const Floats w = Splat(view_.weights[k * kDimension + i]);
          const Floats x = Splat(view_.x[k * kDimension + i]);
          const auto level = hn::BitCast(kInt, hn::And(code, mask));
          const Floats q = hn::MulAdd(Splat(2.0f), hn::ConvertTo(kFloat, level), Splat(1.0f));
          qx = qx + w * x * q;
          qq = qq + w * q * q;
          code = hn::ShiftRight<kBits>(code);
        }
      }
      hn::Store(qx, kFloat, trial_qx_ + t);
      hn::Store(qq, kFloat, trial_qq_ + t);
    }
  }

  // The trial that the reference keeps, and its scale; kTrials when it keeps none.
  HWY_INLINE std::size_t best_trial(float& scale) const {
    std::size_t best = kTrials;
    float score = 0;
    for (std::size_t t = 0; t < kTrials; ++t) {
      const float qx = trial_qx_[t], qq = trial_qq_[t];
      if (qq > 0 && qx * qx > score * qq) {
        scale = qx / qq;
        score = scale * qx;
        best = t;
      }
    }
    return best;
  }

  void refit(const bool* off_grid, float span, SubFit& fit) {
    const bool any = std::find(off_grid, off_grid + kGroups, true) != off_grid + kGroups;
    if (!(F::kShape.refit == Refit::Always || any) || !(fit.scale > 0)) return;
    if (!(span / fit.scale < kTameQuotient)) {
      fit.scale = kNoFit;
      return;
    }
    alignas(64) float levels[kValues];
    for (std::size_t i = 0; i < kValues; i += kLanes) {
      const Floats place = hn::LoadDup128(kFloat, kPlaces);
      const Floats level = Level(Splat(1 / fit.scale), hn::Load(kFloat, view_.x + i));
      hn::Store(level * place, kFloat, levels + i);
    }
    for (std::size_t k = 0; k < kGroups; ++k) {
      if (F::kShape.refit == Refit::OffGrid && !off_grid[k]) continue;
      float sum = 0;
      for (std::size_t i = 0; i < kDimension; ++i) {
        sum += levels[k * kDimension + i] * (i < 4 ? 1.0f : 256.0f);
      }
      auto code = static_cast<std::uint32_t>(sum);
      if (!grid_.contains(code)) code = nearest(k, code, fit.scale, 0).code;
      fit.codes[k] = static_cast<std::uint16_t>(code);
    }
    float qx = 0, qq = 0;
    for (std::size_t i = 0; i < kValues; ++i) {
      const std::uint32_t level = level_of(fit.codes[i / kDimension], i % kDimension, kDimension);
      const auto q = static_cast<float>(2 * level + 1);
      qx += view_.weights[i] * view_.x[i] * q;
      qq += view_.weights[i] * q * q;
    }
    if (qq > 0) fit.scale = qx / qq;
  }

  // The quantized values of the table entries.
  alignas(64) static constexpr auto kOdd = [] {
    struct {
      float v[32];
      constexpr const float* operator+(std::size_t i) const { return v + i; }
    } odd{};
    for (std::size_t i = 0; i < 32; ++i) odd.v[i] = static_cast<float>(2 * (i % kLevels) + 1);
    return odd;
  }();
  alignas(16) static constexpr float kPlaces[4] = {1, 1 << kBits, 1 << (2 * kBits),
                                                   1 << (3 * kBits)};

  const Grid& grid_;
  const GridView view_;
  alignas(64) float x_[kValues * kLevels];  // every value once per level
  alignas(64) float roots_[kValues * kLevels];
  alignas(64) float trial_scale_[kPadded];
  // By trial: what each level reaches, and what it misses of each value of a group.
  alignas(64) float reached_[kByTrial ? kLevels * kPadded : 1];
  alignas(64) float errors_[kByTrial ? kDimension * kLevels * kPadded : 1];
  alignas(64) float trial_qx_[kPadded], trial_qq_[kPadded];
  alignas(64) std::uint32_t trial_codes_[kGroups][kPadded];
};

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif  // HOLDFAST_SIMD
#endif
