// IQ2 and IQ3, SIMD encoders: what every value needs is made for a super-block at once, then the
// search runs sub-block by sub-block (internal/iq_lanes-inl.h). Super-blocks whose numbers are not
// tame go to the reference.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "quantize/internal/dispatch.h"
#include "quantize/internal/families.h"
#include "quantize/internal/iq_formats.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/iq_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/iq_lanes-inl.h"
#include "quantize/internal/iq_super-inl.h"
#include "quantize/internal/positive_search-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

#if HOLDFAST_SIMD

// A super-block, made ready for its searches.
template <class F>
class SuperView {
 public:
  static constexpr std::size_t kSub = F::kShape.values;
  static constexpr std::size_t kSubs = kGridSuper / kSub;

  void fill(const float* from, const float* importance, float variance) {
    Floats heaviest = hn::Zero(kFloat);
    auto tame = hn::Eq(heaviest, heaviest);
    for (std::size_t i = 0; i < kGridSuper; i += kLanes) {
      const Floats value = hn::LoadU(kFloat, from + i);
      const Floats square = value * value;
      const Floats weight =
          importance == nullptr
              ? Splat(F::kShape.weight_floor * variance) + square
              : hn::LoadU(kFloat, importance + i) * hn::Sqrt(Splat(variance) + square);
      heaviest = hn::Max(heaviest, weight);
      tame = hn::And(tame, hn::Ge(weight, hn::Zero(kFloat)));
      hn::Store(weight, kFloat, weights_ + i);
      hn::Store(hn::Sqrt(weight), kFloat, roots_ + i);
      hn::Store(weight * value * value, kFloat, costs_ + i);
      hn::Store(hn::Abs(value), kFloat, x_ + i);
      std::uint8_t bits[8] = {};
      hn::StoreMaskBits(kFloat, hn::Lt(value, hn::Zero(kFloat)), bits);
      store_signs(i, bits);
    }
    if constexpr (F::kShape.even_signs) {
      for (std::size_t g = 0; g < kGridSuper / 8; ++g) make_even(g);
    }
    tame_ =
        hn::AllTrue(kFloat, tame) && hn::GetLane(hn::MaxOfLanes(kFloat, heaviest)) < kTameWeight;
  }

  // False: the reference decides.
  bool tame() const { return tame_; }

  GridView view(std::size_t sub) const {
    return {x_ + sub * kSub, weights_ + sub * kSub, roots_ + sub * kSub};
  }

  float largest(std::size_t sub) const {
    Floats result = hn::Load(kFloat, x_ + sub * kSub);
    for (std::size_t i = kLanes; i < kSub; i += kLanes) {
      result = hn::Max(result, hn::Load(kFloat, x_ + sub * kSub + i));
    }
    return hn::GetLane(hn::MaxOfLanes(kFloat, result));
  }

  // The largest magnitude of a sub-block; more than largest() where a sign is wrong.
  float span(std::size_t sub) const {
    Floats result = hn::Abs(hn::Load(kFloat, x_ + sub * kSub));
    for (std::size_t i = kLanes; i < kSub; i += kLanes) {
      result = hn::Max(result, hn::Abs(hn::Load(kFloat, x_ + sub * kSub + i)));
    }
    return hn::GetLane(hn::MaxOfLanes(kFloat, result));
  }

  void put_signs(std::size_t sub, float scale, SubFit& fit) const {
    constexpr unsigned kMask = F::kShape.even_signs ? 127 : 255;
    for (std::size_t k = 0; k < kSub / 8; ++k) {
      const unsigned signs = signs_[sub * (kSub / 8) + k];
      fit.signs[k] = static_cast<std::uint8_t>((scale < 0 ? ~signs : signs) & kMask);
    }
  }

 private:
  HWY_INLINE void store_signs(std::size_t at, const std::uint8_t* bits) {
    if constexpr (kLanes == 4) {
      if (at % 8 == 0) {
        signs_[at / 8] = bits[0];
      } else {
        signs_[at / 8] = static_cast<std::uint8_t>(signs_[at / 8] | bits[0] << 4);
      }
    } else {
      std::memcpy(signs_ + at / 8, bits, kLanes / 8);
    }
  }

  // The value that costs least gets the wrong sign, where the number of signs is odd.
  HWY_INLINE void make_even(std::size_t group) {
    if (std::popcount(signs_[group]) % 2 == 0) return;
    const std::size_t cheapest = group * 8 + first_least(costs_ + group * 8);
    x_[cheapest] = -x_[cheapest];
    signs_[group] = static_cast<std::uint8_t>(signs_[group] ^ 1u << (cheapest % 8));
  }

  static HWY_INLINE std::size_t first_least(const float* costs) {
    std::size_t first = 0;
    for (std::size_t i = 1; i < 8; ++i) first = costs[i] < costs[first] ? i : first;
    return first;
  }

  alignas(64) float x_[kGridSuper], weights_[kGridSuper], roots_[kGridSuper], costs_[kGridSuper];
  std::uint8_t signs_[kGridSuper / 8];
  bool tame_;
};

// The value that the first guess maps to the largest level, and the scale that goes with it.
struct FirstGuess {
  float reach, scale;
  bool tame = true;
};

// As many super-blocks as have their sub-blocks of 32 values in the lanes of one vector.
inline constexpr std::size_t kBatch = std::max<std::size_t>(1, kLanes / 8);

// Sub-blocks of several super-blocks, in order.
template <class F>
using Guesses = FirstGuess[kBatch * SuperView<F>::kSubs];

// From search_positive, in lanes; one that leaves the tame numbers sends its super-block to the
// reference.
template <class F>
void GuessByPositive(const SuperView<F>* supers, Guesses<F>& guesses) {
  constexpr std::size_t kValues = F::kShape.values;
  constexpr std::size_t kSubs = SuperView<F>::kSubs;
  using Search = PositiveLanes<kValues, true>;
  typename Search::Lanes lanes;
  for (std::size_t first = 0; first < kBatch * kSubs; first += kLanes) {
    alignas(64) float x[kLanes * kValues], weights[kLanes * kValues];
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const GridView view = supers[(first + lane) / kSubs].view((first + lane) % kSubs);
      std::memcpy(x + lane * kValues, view.x, kValues * sizeof(float));
      std::memcpy(weights + lane * kValues, view.weights, kValues * sizeof(float));
    }
    for (std::size_t i = 0; i < kValues; i += 4) {
      Floats columns[4], weight_columns[4];
      LoadColumns(x + i, kValues, columns);
      LoadColumns(weights + i, kValues, weight_columns);
      for (std::size_t k = 0; k < 4; ++k) {
        lanes.x[i + k] = columns[k];
        lanes.weights[i + k] = weight_columns[k];
      }
    }
    FloatMask wild;
    const Floats scale = Search(lanes, 4).run(wild);
    alignas(64) float scales[kLanes], wildness[kLanes];
    hn::Store(scale, kFloat, scales);
    hn::Store(hn::IfThenElseZero(wild, Splat(1.0f)), kFloat, wildness);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      guesses[first + lane] = {scales[lane] * 3, scales[lane], wildness[lane] == 0};
    }
  }
}

// Where the largest value becomes the largest level.
template <class F>
void GuessByLargest(const SuperView<F>* supers, Guesses<F>& guesses) {
  constexpr std::size_t kSubs = SuperView<F>::kSubs;
  for (std::size_t s = 0; s < kBatch * kSubs; ++s) {
    const float largest = supers[s / kSubs].largest(s % kSubs);
    guesses[s] = {largest, largest / static_cast<float>(2 * F::kShape.levels - 1)};
  }
}

// Whether values up to `span` may be rounded in units of `reach`.
bool IsTame(float span, float reach) {
  return reach > kTameSmallest && span < kTameLargest && span < reach * kTameRatio;
}

// False when the reference must decide.
template <class F>
bool EncodeSuper(const Grid& grid, const SuperView<F>& super, const FirstGuess* guesses,
                 typename F::Block& block) {
  if (!super.tame()) return false;
  SubFit fits[SuperView<F>::kSubs];
  for (std::size_t s = 0; s < SuperView<F>::kSubs; ++s) {
    const float largest = super.largest(s);
    if (largest < F::kShape.epsilon) continue;
    const float span = super.span(s);
    if (!IsTame(span, largest) || !guesses[s].tame) return false;
    if (guesses[s].reach <= 0) continue;
    if (!IsTame(span, guesses[s].reach)) return false;
    GridLanes<F> lanes(grid, super.view(s));
    fits[s] = lanes.run(guesses[s].reach, guesses[s].scale, span);
    super.put_signs(s, fits[s].scale, fits[s]);
    fits[s].scale = std::fabs(fits[s].scale);
    if (!(fits[s].scale >= 0)) return false;
  }
  write_grid_block<F>(grid, fits, block);
  return true;
}

template <class F>
void EncodeBatch(const Grid& grid, const Strip& strip, std::size_t at, std::size_t count,
                 const float* variances, typename F::Block* to) {
  SuperView<F> supers[kBatch];
  for (std::size_t s = 0; s < kBatch; ++s) {
    // The last one stands in for those that are missing.
    const std::size_t from = at + std::min(s, count - 1) * kGridSuper;
    const float* importance = strip.importance == nullptr ? nullptr : strip.importance + from;
    supers[s].fill(strip.values + from, importance, variances[std::min(s, count - 1)]);
  }
  Guesses<F> guesses;
  if constexpr (F::kShape.refit == Refit::Always) {
    GuessByPositive<F>(supers, guesses);
  } else {
    GuessByLargest<F>(supers, guesses);
  }
  for (std::size_t s = 0; s < count; ++s) {
    if (EncodeSuper<F>(grid, supers[s], guesses + s * SuperView<F>::kSubs, to[s])) continue;
    const std::size_t from = at + s * kGridSuper;
    const float* importance = strip.importance == nullptr ? nullptr : strip.importance + from;
    F::kEncodeReference({strip.values + from, kGridSuper, importance},
                        reinterpret_cast<std::byte*>(to + s));
  }
}

template <class F>
void Encode(const Strip& strip, std::byte* out) {
  const Grid& grid = F::grid();
  auto* to = reinterpret_cast<typename F::Block*>(out);
  const std::size_t total = strip.count / kGridSuper;
  for (std::size_t begin = 0; begin < total; begin += kStripSupers) {
    const std::size_t supers = std::min(kStripSupers, total - begin);
    float variances[kStripSupers];
    Variances(strip.values + begin * kGridSuper, supers, F::kShape.variance_factor, variances);
    for (std::size_t s = 0; s < supers; s += kBatch) {
      EncodeBatch<F>(grid, strip, (begin + s) * kGridSuper, std::min(kBatch, supers - s),
                     variances + s, to + begin + s);
    }
  }
}

#else

template <class F>
void Encode(const Strip& strip, std::byte* out) {
  F::kEncodeReference(strip, out);
}

#endif

void EncodeIQ2_XXS(const Strip& strip, std::byte* out) { Encode<IQ2_XXS>(strip, out); }

void EncodeIQ2_XS(const Strip& strip, std::byte* out) { Encode<IQ2_XS>(strip, out); }

void EncodeIQ2_S(const Strip& strip, std::byte* out) { Encode<IQ2_S>(strip, out); }

void EncodeIQ3_XXS(const Strip& strip, std::byte* out) { Encode<IQ3_XXS>(strip, out); }

void EncodeIQ3_S(const Strip& strip, std::byte* out) { Encode<IQ3_S>(strip, out); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HOLDFAST_DISPATCH_ENCODE(iq2_xxs_encode, EncodeIQ2_XXS);
HOLDFAST_DISPATCH_ENCODE(iq2_xs_encode, EncodeIQ2_XS);
HOLDFAST_DISPATCH_ENCODE(iq2_s_encode, EncodeIQ2_S);
HOLDFAST_DISPATCH_ENCODE(iq3_xxs_encode, EncodeIQ3_XXS);
HOLDFAST_DISPATCH_ENCODE(iq3_s_encode, EncodeIQ3_S);

}  // namespace holdfast::quantize
#endif
