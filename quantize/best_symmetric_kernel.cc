// Better Q3_K and Q6_K: least squares for the super-block's half, then the neighbours of each
// sub-block's stored scale. Codes follow by rounding. One sub-block a lane; a tile holds whole
// super-blocks.
#include <algorithm>
#include <limits>

#include "quantize/internal/best.h"
#include "quantize/internal/numbers.h"
#include "quantize/internal/symmetric_super.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/best_symmetric_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/best_gain-inl.h"
#include "quantize/internal/symmetric_store-inl.h"
#include "quantize/internal/tile-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

inline constexpr std::size_t kSub = kSymmetricSub;
inline constexpr std::size_t kSubs = kSymmetricSubs;
inline constexpr std::size_t kGroups = std::max<std::size_t>(1, kSubs / kLanes);
static_assert(kGroups * kLanes == kSubs);  // a tile is one super-block

using SuperTile = Tile<kSub, kGroups>;

// Limits of a format: code and scale ranges, and how far from a stored scale to look.
struct Limits {
  int levels;
  float scale_low, scale_high;
  int reach, reach_on_one_side;
};

inline constexpr Limits kQ3 = {4, -32, 31, 1, 2};
inline constexpr Limits kQ6 = {32, -128, 127, 3, 3};

class Improver {
 public:
  Improver(const SuperTile& x, const SuperTile* weights, const Limits& limits, float unit,
           float (&scales)[kSubs])
      : x_(x), weights_(weights), limits_(limits), unit_(unit), scales_(scales) {}

  // The super-block's scale; `scales` holds the sub-blocks'. Leaves the error of each of these at
  // first and at last.
  float run(float* before, float* after) {
    solve(before);
    improve_sub_blocks(after);
    return unit_;
  }

  HWY_INLINE static Floats code(Floats x, Floats inverse, const Limits& limits) {
    const Floats low = Splat(static_cast<float>(-limits.levels));
    const Floats high = Splat(static_cast<float>(limits.levels - 1));
    return hn::Max(low, hn::Min(high, Nearest(x * inverse)));
  }

  static Floats reciprocal(Floats scale) {
    return hn::IfThenZeroElse(hn::Eq(scale, hn::Zero(kFloat)), Splat(1) / scale);
  }

 private:
  Floats weighted(Floats value, std::size_t i, std::size_t g) const {
    return weights_ == nullptr ? value : weights_->v[i][g] * value;
  }

  Floats error(std::size_t g, Floats scale) const {
    const Floats inverse = reciprocal(scale);
    Floats sum = hn::Zero(kFloat);
    for (std::size_t i = 0; i < kSub; ++i) {
      const Floats x = x_.v[i][g];
      const Floats difference = scale * code(x, inverse, limits_) - x;
      sum = sum + weighted(difference * difference, i, g);
    }
    return sum;
  }

  // The neighbours of each scale on both sides, then further ones on the better side.
  void improve_sub_blocks(float* errors) {
    const Floats unit = Splat(unit_);
    for (std::size_t g = 0; g < kGroups; ++g) {
      const Floats start = hn::LoadU(kFloat, scales_ + g * kLanes);
      Floats best = start, least = error(g, unit * start);
      const auto consider = [&](Floats wanted) {
        const Floats scale =
            hn::Max(Splat(limits_.scale_low), hn::Min(Splat(limits_.scale_high), wanted));
        const Floats e = error(g, unit * scale);
        const auto better = hn::Lt(e, least);
        best = hn::IfThenElse(better, scale, best);
        least = hn::IfThenElse(better, e, least);
        return e;
      };
      const Floats below = consider(start - Splat(1)), above = consider(start + Splat(1));
      for (int step = 2; step <= limits_.reach; ++step) {
        consider(start - Splat(static_cast<float>(step)));
        consider(start + Splat(static_cast<float>(step)));
      }
      const Floats side = hn::IfThenElse(hn::Lt(below, above), Splat(-1), Splat(1));
      for (int step = limits_.reach + 1; step <= limits_.reach_on_one_side; ++step) {
        consider(start + side * Splat(static_cast<float>(step)));
      }
      hn::StoreU(best, kFloat, scales_ + g * kLanes);
      hn::StoreU(least, kFloat, errors + g * kLanes);
    }
  }

  // Least squares for the unit with all codes and scales as they are, as a half; and the errors
  // before.
  void solve(float* errors) {
    alignas(64) float squares[kSubs], products[kSubs];
    for (std::size_t g = 0; g < kGroups; ++g) {
      const Floats scale = hn::LoadU(kFloat, scales_ + g * kLanes);
      const Floats decoded_scale = Splat(unit_) * scale, inverse = reciprocal(decoded_scale);
      Floats ll = hn::Zero(kFloat), xl = ll, sum = ll;
      for (std::size_t i = 0; i < kSub; ++i) {
        const Floats x = x_.v[i][g], q = code(x, inverse, limits_);
        const Floats difference = decoded_scale * q - x;
        const Floats l = scale * q, wl = weighted(l, i, g);
        ll = ll + wl * l;
        xl = xl + wl * x;
        sum = sum + weighted(difference * difference, i, g);
      }
      hn::Store(ll, kFloat, squares + g * kLanes);
      hn::Store(xl, kFloat, products + g * kLanes);
      hn::StoreU(sum, kFloat, errors + g * kLanes);
    }
    const double square = SumUp(squares, kSubs);
    if (!(square > 0)) return;
    unit_ = half_to_float(float_to_half(static_cast<float>(SumUp(products, kSubs) / square)));
  }

  const SuperTile& x_;
  const SuperTile* weights_;
  const Limits& limits_;
  float unit_;
  float (&scales_)[kSubs];
};

void ReadScales(const Q3_KBlock& from, float (&scales)[kSubs]) {
  std::uint8_t codes[kSubs];
  unpack_scales_q3(from.scales, codes);
  for (std::size_t j = 0; j < kSubs; ++j) scales[j] = static_cast<float>(codes[j]) - 32;
}

void ReadScales(const Q6_KBlock& from, float (&scales)[kSubs]) {
  for (std::size_t j = 0; j < kSubs; ++j) scales[j] = static_cast<float>(from.scales[j]);
}

void WriteScales(const float (&scales)[kSubs], Q3_KBlock& to) {
  std::uint8_t codes[kSubs];
  for (std::size_t j = 0; j < kSubs; ++j) {
    codes[j] = static_cast<std::uint8_t>(static_cast<int>(scales[j]) + 32);
  }
  pack_scales_q3(codes, to.scales);
}

void WriteScales(const float (&scales)[kSubs], Q6_KBlock& to) {
  for (std::size_t j = 0; j < kSubs; ++j) {
    to.scales[j] = static_cast<std::int8_t>(static_cast<int>(scales[j]));
  }
}

template <class Block>
void Write(const Limits& limits, const float* x, float unit, const float (&scales)[kSubs],
           Block& to) {
  Requantizer requantizer(x, limits.levels, Unmeasured{});
  for (std::size_t j = 0; j < kSubs; ++j) {
    const float scale = unit * scales[j];
    // Under a scale of zero every code is zero.
    requantizer.set_scale(j, scale == 0 ? std::numeric_limits<float>::infinity() : scale);
  }
  to.scale = float_to_half(unit);
  WriteScales(scales, to);
  WriteCodes(requantizer, to);
}

template <class Block>
void ImproveSymmetric(const Limits& limits, const Strip& strip, std::byte* out) {
  auto* block = reinterpret_cast<Block*>(out);
  const ClearGain is_gain(strip);
  SuperTile x, weights;
  for (std::size_t at = 0; at < strip.count; at += kSuper, ++block) {
    LoadTile(strip.values + at, x);
    if (strip.importance != nullptr) LoadTile(strip.importance + at, weights);
    float scales[kSubs], before[kSubs], after[kSubs];
    ReadScales(*block, scales);
    Improver improver(x, strip.importance == nullptr ? nullptr : &weights, limits,
                      half_to_float(block->scale), scales);
    const float unit = improver.run(before, after);
    if (is_gain(before, after, kSubs)) Write(limits, strip.values + at, unit, scales, *block);
  }
}

void ImproveQ3_K(const Strip& strip, std::byte* blocks) {
  ImproveSymmetric<Q3_KBlock>(kQ3, strip, blocks);
}

void ImproveQ6_K(const Strip& strip, std::byte* blocks) {
  ImproveSymmetric<Q6_KBlock>(kQ6, strip, blocks);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HWY_EXPORT(ImproveQ3_K);
HWY_EXPORT(ImproveQ6_K);

void q3_k_encode_best(const Strip& strip, std::byte* blocks) noexcept {
  encode_best(Format::Q3_K, HWY_DYNAMIC_DISPATCH(ImproveQ3_K), strip, blocks);
}

void q6_k_encode_best(const Strip& strip, std::byte* blocks) noexcept {
  encode_best(Format::Q6_K, HWY_DYNAMIC_DISPATCH(ImproveQ6_K), strip, blocks);
}

}  // namespace holdfast::quantize
#endif
