// The trials of a grid search: their guesses of the scale, and which of them the reference keeps.
#if defined(HOLDFAST_IQ_TRIALS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_IQ_TRIALS_INL_H
#undef HOLDFAST_IQ_TRIALS_INL_H
#else
#define HOLDFAST_IQ_TRIALS_INL_H
#endif

#include <algorithm>
#include <bit>
#include <cstring>

#include <hwy/highway.h>

#include "quantize/internal/iq_neighbours-inl.h"
#include "quantize/internal/iq_search.h"
#include "quantize/internal/lanes-inl.h"
#include "quantize/internal/tile-inl.h"

#if HOLDFAST_SIMD

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {

// What a format fixes. Trials stand side by side, one a lane.
template <class F>
struct GridTrials {
  static constexpr std::size_t kValues = F::kShape.values;
  static constexpr std::size_t kDimension = F::kShape.dimension;
  static constexpr std::size_t kGroups = kValues / kDimension;
  static constexpr std::size_t kLevels = 32 / kDimension;  // per table, used or not
  static constexpr int kBits = LevelTables<kDimension>::kBits;
  static constexpr std::size_t kTrials = 2 * F::kShape.trials + 1;
  // Trials that are computed: with wide vectors the last one may be half a vector, except where the
  // neighbours of all trials are looked for side by side.
  static constexpr std::size_t kStep = kLanes == 16 && kDimension != 4 ? 8 : kLanes;
  static constexpr std::size_t kPadded = (kTrials + kStep - 1) / kStep * kStep;
  static constexpr std::size_t kRow = (kTrials + kLanes - 1) / kLanes * kLanes;

  // Trials [t, t + lanes of d) for all t.
  template <class Body>
  static HWY_INLINE void ForTrials(const Body& body) {
    for (std::size_t t = 0; t + kLanes <= kPadded; t += kLanes) body(kFloat, t);
    if constexpr (kPadded % kLanes != 0) body(hn::Half<FloatTag>{}, kPadded / kLanes * kLanes);
  }

  // What the trials map the largest level to; the last one fills up.
  struct alignas(64) Guesses {
    float v[kPadded];
  };

  static constexpr Guesses kGuesses = [] {
    Guesses guesses{};
    for (std::size_t t = 0; t < kPadded; ++t) {
      const int step = static_cast<int>(std::min(t, kTrials - 1)) - F::kShape.trials;
      guesses.v[t] =
          static_cast<float>(2 * F::kShape.levels - 1) + static_cast<float>(step) * F::kShape.step;
    }
    return guesses;
  }();

  // The quantized values of the table entries.
  alignas(64) static constexpr auto kOdd = [] {
    struct {
      float v[32];
      constexpr const float* operator+(std::size_t i) const { return v + i; }
    } odd{};
    for (std::size_t i = 0; i < 32; ++i) odd.v[i] = static_cast<float>(2 * (i % kLevels) + 1);
    return odd;
  }();
};

// Σwxq and Σwq² of every trial, and the trial that wins.
template <class F>
class TrialScores {
 public:
  // `products` are weights times values; `codes` one row a group.
  template <class Codes>
  HWY_INLINE void sum_up(const float* weights, const float* products, const Codes& codes) {
    T::ForTrials([&](auto d, std::size_t t) {
      const hn::RebindToUnsigned<decltype(d)> du;
      auto qx = hn::Zero(d), qq = hn::Zero(d);
      for (std::size_t k = 0; k < T::kGroups; ++k) {
        auto code = hn::Load(du, codes[k] + t);
        for (std::size_t i = k * T::kDimension; i < (k + 1) * T::kDimension; ++i) {
          const auto q = LowestOf(d, code);
          qx = qx + hn::Set(d, products[i]) * q;
          qq = qq + hn::Set(d, weights[i]) * q * q;
          code = hn::ShiftRight<T::kBits>(code);
        }
      }
      hn::Store(qx, d, qx_ + t);
      hn::Store(qq, d, qq_ + t);
    });
  }

  // The trial that the reference keeps, and its scale; kTrials when it keeps none. It goes through
  // the trials and takes each that beats the best one so far.
  HWY_INLINE std::size_t best(float& scale) const {
    std::size_t best = T::kTrials;
    float score = 0;
    for (std::uint32_t trials = contenders(); trials != 0; trials &= trials - 1) {
      const auto t = static_cast<std::size_t>(std::countr_zero(trials));
      const float qx = qx_[t], qq = qq_[t];
      if (qq > 0 && qx * qx > score * qq) {
        scale = qx / qq;
        score = scale * qx;
        best = t;
      }
    }
    return best;
  }

 private:
  using T = GridTrials<F>;

  // The quantized value that stands lowest in each code.
  template <class D, class V>
  static HWY_INLINE hn::Vec<D> LowestOf(D d, V code) {
    if constexpr (kLanes >= 8 && !HWY_IS_DEBUG_BUILD) {
      return hn::TableLookupLanes(hn::Load(d, T::kOdd + 0), hn::IndicesFromVec(d, code));
    } else {
      const hn::RebindToSigned<D> di;
      const auto level = hn::And(hn::BitCast(di, code), hn::Set(di, T::kLevels - 1));
      return hn::MulAdd(hn::Set(d, 2.0f), hn::ConvertTo(d, level), hn::Set(d, 1.0f));
    }
  }

  // The trials that matter to best(). Rounding turns no comparison of scores that differ by more
  // than 2^-21 of them. Where a gap of that size and more lies below the highest ones, the
  // first of these beats whatever came before, and no other beats them after.
  HWY_INLINE std::uint32_t contenders() const {
    constexpr std::uint32_t kAll = (1u << T::kTrials) - 1;
    alignas(64) float scores[T::kRow] = {};
    T::ForTrials([&](auto d, std::size_t t) {
      const auto qx = hn::Load(d, qx_ + t), qq = hn::Load(d, qq_ + t);
      hn::Store(hn::IfThenElseZero(hn::Gt(qq, hn::Zero(d)), qx / qq * qx), d, scores + t);
    });
    Floats top = hn::Load(kFloat, scores);
    for (std::size_t t = kLanes; t < T::kRow; t += kLanes) {
      top = hn::Max(top, hn::Load(kFloat, scores + t));
    }
    top = hn::MaxOfLanes(kFloat, top);
    std::uint32_t high = 0, below = 0;
    for (std::size_t t = 0; t < T::kRow; t += kLanes) {
      const Floats score = hn::Load(kFloat, scores + t);
      high |= MaskBits(hn::Ge(score, top * Splat(1 - 0x1p-21f))) << t;
      below |= MaskBits(hn::Ge(score, top * Splat(1 - 0x1p-18f))) << t;
    }
    high &= kAll;
    below &= kAll;
    if (high == 0 || high != below) return kAll;
    const float qx = qx_[std::countr_zero(high)];
    // Squares neither overflow nor vanish: those of other trials are within a factor of 225.
    return qx * qx > 1e-25f && qx * qx < 1e30f ? high : kAll;
  }

  alignas(64) float qx_[T::kRow], qq_[T::kRow];
};

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif  // HOLDFAST_SIMD
#endif
