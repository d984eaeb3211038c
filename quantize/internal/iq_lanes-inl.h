// search_grid of internal/iq_search.h, in lanes. The trials of a sub-block do not depend on each
// other, so they stand side by side: one lane rounds, and later sums up, one trial. Groups that are
// off the grid have their neighbours side by side: their distances are sums of table entries, one
// table per value, made once per group and scale (or, where lists are short, have the trials side
// by side there too).
#if defined(HOLDFAST_IQ_LANES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_IQ_LANES_INL_H
#undef HOLDFAST_IQ_LANES_INL_H
#else
#define HOLDFAST_IQ_LANES_INL_H
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include <hwy/highway.h>

#include "quantize/internal/iq_neighbours-inl.h"
#include "quantize/internal/iq_pairs-inl.h"
#include "quantize/internal/iq_search.h"
#include "quantize/internal/iq_super-inl.h"
#include "quantize/internal/iq_trials-inl.h"
#include "quantize/internal/lanes-inl.h"
#include "quantize/internal/tile-inl.h"

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
    for (std::size_t i = 0; i < kValues; i += kLanes) {
      hn::Store(hn::Load(kFloat, view.weights + i) * hn::Load(kFloat, view.x + i), kFloat,
                products_ + i);
    }
  }

  // As search_grid; signs are left to the caller. The values are tame, none of them larger than
  // `span`. The scale is no number when the reference must decide after all.
  SubFit run(float reach, float scale, float span) {
    round_trials(reach);
    list_runs();
    if constexpr (kByTrial) {
      settle_by_trial();
    } else {
      settle_by_ends(reach);
    }
    scores_.sum_up(view_.weights, products_, trial_codes_);
    SubFit fit{.scale = scale, .empty = false};
    const std::size_t best = scores_.best(fit.scale);
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
  using T = GridTrials<F>;
  static constexpr std::size_t kValues = T::kValues, kDimension = T::kDimension;
  static constexpr std::size_t kGroups = T::kGroups, kLevels = T::kLevels, kTrials = T::kTrials;
  static constexpr std::size_t kPadded = T::kPadded, kRow = T::kRow;
  static constexpr int kBits = T::kBits;
  // Lists of groups of four are short: seven to eleven on average, against ten to sixty.
  static constexpr bool kByTrial = kDimension == 4;
  // Marks a code that a neighbour search replaced.
  static constexpr std::uint32_t kOffGrid = 1u << 16;

  // `half` is half the reciprocal of the scale: halving before or after the rounding of the product
  // is the same. Only a value with a wrong sign rounds below zero.
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE V Level(D d, V half, V x) {
    const V t = half * x - hn::Set(d, 0.5f);
    const V level = hn::Round(hn::Min(t, hn::Set(d, static_cast<float>(F::kShape.levels - 1))));
    return F::kShape.even_signs ? hn::Max(level, hn::Zero(d)) : level;
  }

  // The codes of all trials, on the grid or not.
  HWY_INLINE void round_trials(float reach) {
    T::ForTrials([this, reach](auto d, std::size_t t) {
      const hn::RebindToSigned<decltype(d)> di;
      const auto inverse = hn::Load(d, T::kGuesses.v + t) / hn::Set(d, reach);
      const auto half = inverse * hn::Set(d, 0.5f);
      const auto scale = hn::Set(d, 1.0f) / inverse;
      hn::Store(scale, d, trial_scale_ + t);
      if constexpr (kByTrial) {
        for (std::size_t l = 0; l < kLevels; ++l) {
          const auto odd = hn::Set(d, static_cast<float>(2 * l + 1));
          hn::Store(scale * odd, d, reached_ + l * kPadded + t);
        }
      }
      for (std::size_t k = 0; k < kGroups; ++k) {
        auto code = hn::Zero(d);
        for (std::size_t i = kDimension; i-- > 0;) {
          // Sums of small integers: exact, fused or not.
          const auto level = Level(d, half, hn::Set(d, view_.x[k * kDimension + i]));
          code = hn::MulAdd(code, hn::Set(d, 1 << kBits), level);
        }
        hn::Store(hn::ConvertTo(di, code), di,
                  reinterpret_cast<std::int32_t*>(trial_codes_[k] + t));
      }
    });
  }

  // Trials of like code, which have one list of neighbours, come in runs.
  struct Run {
    std::uint32_t code;
    std::uint8_t group, first, last;
  };

  // The runs that are off the grid. No branch asks which are: what follows would wait for it.
  HWY_INLINE void list_runs() {
    short_count_ = long_count_ = 0;
    for (std::size_t k = 0; k < kGroups; k += 2) {
      const std::uint64_t last_trials = 0x100000001u * (std::uint64_t{1} << (kTrials - 1));
      const std::uint64_t changes = changes_of(k) | changes_of(k + 1) << 32;
      std::uint64_t lasts = (changes & (last_trials - 0x100000001u)) | last_trials;
      std::uint64_t firsts = (lasts ^ last_trials) << 1 | 0x100000001u;
      for (; lasts != 0; lasts &= lasts - 1, firsts &= firsts - 1) {
        const auto last = static_cast<unsigned>(std::countr_zero(lasts));
        const auto first = static_cast<unsigned>(std::countr_zero(firsts));
        const std::size_t group = k + (last >> 5);
        const Run run{trial_codes_[group][first & 31], static_cast<std::uint8_t>(group),
                      static_cast<std::uint8_t>(first & 31), static_cast<std::uint8_t>(last & 31)};
        const bool off_grid = !grid_.contains(run.code);
        const bool is_short = grid_.neighbours(run.code).size() <= kShortList;
        short_runs_[short_count_] = run;
        short_count_ += off_grid && is_short;
        long_runs_[long_count_] = run;
        long_count_ += off_grid && !is_short;
      }
    }
  }

  // Bit t: trial t + 1 differs from trial t.
  HWY_INLINE std::uint64_t changes_of(std::size_t k) const {
    std::uint64_t changes = 0;
    for (std::size_t t = 0; t < kTrials; t += kLanes) {
      const std::uint32_t* codes = trial_codes_[k] + t;
      const auto differs = hn::Ne(hn::Load(kUint, codes), hn::LoadU(kUint, codes + 1));
      changes |= std::uint64_t{MaskBits(hn::RebindMask(kFloat, differs))} << t;
    }
    return changes;
  }

  // Neighbours where lists are short: trials side by side, candidate after candidate.
  HWY_INLINE void settle_by_trial() {
    std::size_t tabled = kGroups;
    for (std::size_t r = 0; r < short_count_; ++r) {
      const Run& run = short_runs_[r];
      if (run.group != tabled) table_errors(run.group);
      tabled = run.group;
      std::uint32_t* codes = trial_codes_[run.group];
      const auto neighbours = grid_.neighbours(run.code);
      for (std::size_t t = run.first / kLanes * kLanes; t <= run.last; t += kLanes) {
        const Uints best = nearest_by_trial(neighbours, t);
        const auto trial = hn::Iota(kInt, static_cast<std::int32_t>(t));
        const auto inside = hn::And(hn::Gt(trial, hn::Set(kInt, run.first - 1)),
                                    hn::Lt(trial, hn::Set(kInt, run.last + 1)));
        const auto old = hn::Load(kUint, codes + t);
        hn::Store(hn::IfThenElse(hn::RebindMask(kUint, inside), best, old), kUint, codes + t);
      }
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

  // The same with candidates side by side. The neighbour that wins clearly at both ends of a part
  // of a run wins within: the difference of two distances is the scale times a linear function of
  // the scale.
  HWY_INLINE void settle_by_ends(float reach) {
    make_margins(reach);
    parts_count_ = 0;
    for (std::size_t r = 0; r < short_count_; ++r) settle_run(short_runs_[r]);
    for (std::size_t r = 0; r < long_count_; ++r) settle_run(long_runs_[r]);
    while (parts_count_ > 0) {
      const Part part = parts_[--parts_count_];
      const int gap = part.to - part.from;
      // One in the middle; in pairs, two that leave three parts.
      const int step = HOLDFAST_PAIRS ? std::max(1, gap / 3) : gap / 2;
      const int first = part.from + step, second = HOLDFAST_PAIRS ? part.to - step : first;
      const NeighbourPair found = nearest_pair(part.group, part.code, first, second);
      settle_part(part, part.from, part.at_from, first, found.first);
      settle_part(part, first, found.first, second, found.second);
      settle_part(part, second, found.second, part.to, part.at_to);
    }
  }

  struct Part {
    std::uint32_t code;
    int group, from, to;
    Neighbour at_from, at_to;
  };

  HWY_INLINE void settle_run(const Run& run) {
    const NeighbourPair ends = nearest_pair(run.group, run.code, run.first, run.last);
    const Part part{run.code, run.group, run.first, run.last, ends.first, ends.second};
    settle_part(part, run.first, ends.first, run.last, ends.second);
  }

  // Both ends, and what lies between them unless it must be looked at.
  HWY_INLINE void settle_part(const Part& run, int from, Neighbour at_from, int to,
                              Neighbour at_to) {
    put(run.group, from, to, at_from.code);
    trial_codes_[run.group][to] = at_to.code | kOffGrid;
    const bool settled = at_from.code == at_to.code && at_from.clear && at_to.clear;
    parts_[parts_count_] = {run.code, run.group, from, to, at_from, at_to};
    parts_count_ += !settled && to - from > 1;
  }

  HWY_INLINE NeighbourPair nearest_pair(int group, std::uint32_t code, int first,
                                        int second) const {
    const auto k = static_cast<std::size_t>(group);
#if HOLDFAST_PAIRS
    const PairSearch<kDimension> search(view_.x + k * kDimension, view_.roots + k * kDimension);
    return search.nearest(grid_.neighbours(code), trial_scale_[first], trial_scale_[second],
                          margins_[k]);
#else
    const Neighbour one = nearest(k, code, trial_scale_[first], margins_[k]);
    if (first == second) return {one, one};
    return {one, nearest(k, code, trial_scale_[second], margins_[k])};
#endif
  }

  HWY_INLINE void put(int group, int from, int to, std::uint32_t code) {
#if HOLDFAST_PAIRS
    const std::uint32_t trials = (2u << to) - (1u << from);
    const __m512i value = _mm512_set1_epi32(static_cast<int>(code | kOffGrid));
    for (std::size_t t = 0; t < kRow; t += kLanes) {
      _mm512_mask_store_epi32(trial_codes_[group] + t, static_cast<__mmask16>(trials >> t), value);
    }
#else
    for (int t = from; t <= to; ++t) trial_codes_[group][t] = code | kOffGrid;
#endif
  }

  // What two distances must differ by at both ends of a run, so that rounding turns no comparison
  // within. With u = 2^-24, a distance is off by less than 12 u Σ w (s q + |x|)² (five roundings a
  // term, seven additions); the difference within a run is at least 0.6 of the smaller one at its
  // ends, which is the ratio of its scales. 2 * 12 * (1 + 1 / 0.6) = 64 < 80.
  HWY_INLINE void make_margins(float reach) {
    // The largest scale times the largest quantized value.
    constexpr auto kTop = static_cast<float>(2 * F::kShape.levels - 1);
    const Floats farthest = Splat(reach * (kTop / (kTop - F::kShape.trials * F::kShape.step)));
    alignas(64) float terms[kValues];
    for (std::size_t i = 0; i < kValues; i += kLanes) {
      const Floats span = farthest + hn::Abs(hn::Load(kFloat, view_.x + i));
      hn::Store(hn::Load(kFloat, view_.roots + i) * (span * span), kFloat, terms + i);
    }
    for (std::size_t k = 0; k < kGroups; ++k) {
      float sum = 0;
      for (std::size_t i = 0; i < kDimension; ++i) sum += terms[k * kDimension + i];
      margins_[k] = sum * (80 * 0x1p-24f);
    }
  }

  HWY_INLINE Neighbour nearest(std::size_t k, std::uint32_t code, float scale, float margin) const {
    constexpr hn::CappedTag<float, kLevels> kEach{};
    alignas(64) float errors[32];
    for (std::size_t at = 0; at < 32; at += hn::MaxLanes(kEach)) {
      const std::size_t i = k * kDimension + at / kLevels;
      const auto reached = hn::Set(kEach, scale) * hn::Load(kEach, T::kOdd + at);
      const auto difference = reached - hn::Set(kEach, view_.x[i]);
      hn::Store(hn::Set(kEach, view_.roots[i]) * difference * difference, kEach, errors + at);
    }
    return NearestNeighbour<kDimension>(grid_.neighbours(code), errors, margin);
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
      const Floats level =
          Level(kFloat, Splat(0.5f * (1 / fit.scale)), hn::Load(kFloat, view_.x + i));
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

  alignas(16) static constexpr float kPlaces[4] = {1, 1 << kBits, 1 << (2 * kBits),
                                                   1 << (3 * kBits)};

  const Grid& grid_;
  const GridView view_;
  alignas(64) float products_[kValues];  // weight times value
  alignas(64) float trial_scale_[kRow];
  // By trial: what each level reaches, and what it misses of each value of a group.
  alignas(64) float reached_[kByTrial ? kLevels * kPadded : 1];
  alignas(64) float errors_[kByTrial ? kDimension * kLevels * kPadded : 1];
  TrialScores<F> scores_;
  // By run: those with short lists first, as they are done without a loop.
  static constexpr std::size_t kRunsMax = kGroups * kTrials + 1;
  static constexpr std::size_t kShortList = kByTrial ? Grid::kNeighboursMax : 16;
  Run short_runs_[kRunsMax], long_runs_[kRunsMax];
  std::size_t short_count_, long_count_;
  float margins_[kGroups];
  // Of runs; what is left to look at.
  Part parts_[kRunsMax];
  std::size_t parts_count_;
  // One more, so that the last can be read from its second on.
  alignas(64) std::uint32_t trial_codes_[kGroups + 1][kRow];
};

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif  // HOLDFAST_SIMD
#endif
