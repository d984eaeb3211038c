// Better IQ4_XS and IQ4_NL: neighbours of the stored scale and least squares, with the codes that
// are nearest under the scale as decoded. One sub-block (or block) of 32 a lane.
#include <algorithm>

#include "quantize/internal/best.h"
#include "quantize/internal/kquants.h"
#include "quantize/internal/legacy.h"
#include "quantize/internal/numbers.h"
#include "quantize/internal/small.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/best_iq4_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/best_gain-inl.h"
#include "quantize/internal/iq4_store-inl.h"
#include "quantize/internal/tile-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

inline constexpr std::size_t kSubs = kSuper / kBlock;
inline constexpr std::size_t kGroups = std::max<std::size_t>(1, kSubs / kLanes);
inline constexpr std::size_t kTileSubs = kGroups * kLanes;
inline constexpr std::size_t kTileValues = kTileSubs * kBlock;

using SubTile = Tile<kBlock, kGroups>;

// Error and least squares of 32 values under a scale.
class Fit {
 public:
  Fit(const SubTile& x, const SubTile* weights) : x_(x), weights_(weights) {}

  static Floats reciprocal(Floats scale) {
    return hn::IfThenZeroElse(hn::Eq(scale, hn::Zero(kFloat)), Splat(1) / scale);
  }

  HWY_INLINE Floats error(std::size_t g, Floats scale) const {
    const Floats inverse = reciprocal(scale);
    Floats sum = hn::Zero(kFloat);
    for_values(g, inverse, [&](std::size_t i, Floats x, Floats q) {
      const Floats difference = scale * q - x;
      const Floats square = difference * difference;
      sum = sum + (weights_ == nullptr ? square : weights_->v[i][g] * square);
    });
    return sum;
  }

  // Sums of w·q·q and w·q·x for the codes nearest under `scale`.
  HWY_INLINE void sums(std::size_t g, Floats scale, Floats& qq, Floats& qx) const {
    qq = qx = hn::Zero(kFloat);
    for_values(g, reciprocal(scale), [&](std::size_t i, Floats x, Floats q) {
      const Floats wq = weights_ == nullptr ? q : weights_->v[i][g] * q;
      qq = qq + wq * q;
      qx = qx + wq * x;
    });
  }

 private:
  // body(index, value, nearest table value) in order, looked up four at a time.
  template <class Body>
  HWY_INLINE void for_values(std::size_t g, Floats inverse, const Body& body) const {
    for (std::size_t i = 0; i < kBlock; i += 4) {
      Floats t[4], q[4];
      for (std::size_t k = 0; k < 4; ++k) t[k] = x_.v[i + k][g] * inverse;
      nearest_.of(t, q);
      for (std::size_t k = 0; k < 4; ++k) body(i + k, x_.v[i + k][g], q[k]);
    }
  }

  const SubTile& x_;
  const SubTile* weights_;
  const NearestValue nearest_{};
};

// Codes of 32 values under a scale, two a byte.
void WriteScaled(const float* x, float scale, std::uint8_t* out) {
  WriteCodes(x, scale == 0 ? 0 : 1 / scale, out);
}

// ---- IQ4_NL: one scale a block ----

Floats AsHalf(Floats value) { return HalfBitsToFloat(FloatToHalfBits(value)); }

// Takes `candidate` where it is better.
void Consider(const Fit& fit, std::size_t g, Floats candidate, Floats& scale, Floats& least) {
  const Floats error = fit.error(g, candidate);
  const auto better = hn::Lt(error, least);
  scale = hn::IfThenElse(better, candidate, scale);
  least = hn::IfThenElse(better, error, least);
}

void ConsiderLeastSquares(const Fit& fit, std::size_t g, Floats& scale, Floats& least) {
  Floats qq, qx;
  fit.sums(g, scale, qq, qx);
  const auto solvable = hn::Gt(qq, hn::Zero(kFloat));
  Consider(fit, g, AsHalf(hn::IfThenElse(solvable, qx / qq, scale)), scale, least);
}

// The best of seven scales and of least squares for one group of lanes; their errors at first and
// at last.
void ImproveGroup(const Fit& fit, std::size_t g, float* scales, float* before, float* after) {
  const Floats start = hn::Load(kFloat, scales);
  Floats scale = start, least = fit.error(g, start);
  hn::Store(least, kFloat, before);
  for (const float factor : {0.95f, 0.97f, 0.985f, 1.015f, 1.03f, 1.05f}) {
    Consider(fit, g, AsHalf(start * Splat(factor)), scale, least);
  }
  ConsiderLeastSquares(fit, g, scale, least);
  hn::Store(scale, kFloat, scales);
  hn::Store(least, kFloat, after);
}

void ImproveIQ4_NL(const Strip& strip, std::byte* out) {
  auto* block = reinterpret_cast<IQ4_NLBlock*>(out);
  const ClearGain is_gain(strip);
  SubTile x, weights;
  for (std::size_t at = 0; at < strip.count; at += kTileValues) {
    const std::size_t count = std::min(kTileValues, strip.count - at);
    LoadPadded(strip.values + at, count, x);
    if (strip.importance != nullptr) LoadPadded(strip.importance + at, count, weights);
    alignas(64) float scales[kTileSubs] = {}, before[kTileSubs], after[kTileSubs];
    for (std::size_t b = 0; b < count / kBlock; ++b) scales[b] = half_to_float(block[b].scale);
    const Fit fit(x, strip.importance == nullptr ? nullptr : &weights);
    for (std::size_t g = 0; g < kTileSubs; g += kLanes) {
      ImproveGroup(fit, g / kLanes, scales + g, before + g, after + g);
    }
    for (std::size_t b = 0; b < count / kBlock; ++b, ++block) {
      if (!is_gain(before + b, after + b, 1)) continue;
      block->scale = float_to_half(scales[b]);
      WriteScaled(strip.values + at + b * kBlock, scales[b], block->codes);
    }
  }
}

// ---- IQ4_XS: eight six-bit scales under one half ----

struct SuperScales {
  float unit;
  float scales[kSubs];
};

SuperScales Read(const IQ4_XSBlock& from) {
  SuperScales stored;
  stored.unit = half_to_float(from.scale);
  const auto low = load<std::uint32_t>(from.scales_low);
  for (std::size_t j = 0; j < kSubs; ++j) {
    const auto biased = (low >> (4 * j) & 15u) | (from.scales_high >> (2 * j) & 3u) << 4;
    stored.scales[j] = static_cast<float>(static_cast<int>(biased) - 32);
  }
  return stored;
}

void Write(const float* x, const SuperScales& stored, IQ4_XSBlock& to) {
  std::uint32_t low = 0, high = 0;
  to.scale = float_to_half(stored.unit);
  for (std::size_t j = 0; j < kSubs; ++j) {
    const auto biased = static_cast<std::uint32_t>(static_cast<int>(stored.scales[j]) + 32);
    low |= (biased & 15u) << (4 * j);
    high |= (biased >> 4) << (2 * j);
    WriteScaled(x + kBlock * j, stored.unit * stored.scales[j], to.codes + 16 * j);
  }
  store(to.scales_low, low);
  to.scales_high = static_cast<std::uint16_t>(high);
}

// The state of one tile: sub-blocks of one or more super-blocks.
struct TileScales {
  alignas(64) float unit[kTileSubs] = {}, scale[kTileSubs] = {}, error[kTileSubs] = {};
};

void MeasureErrors(const Fit& fit, TileScales& tile) {
  for (std::size_t g = 0; g < kGroups; ++g) {
    const Floats scale =
        hn::Load(kFloat, tile.unit + g * kLanes) * hn::Load(kFloat, tile.scale + g * kLanes);
    hn::Store(fit.error(g, scale), kFloat, tile.error + g * kLanes);
  }
}

// Tries the neighbours of each stored scale, `reach` steps to either side.
void ImproveScales(const Fit& fit, int reach, TileScales& tile) {
  for (std::size_t g = 0; g < kGroups; ++g) {
    const Floats unit = hn::Load(kFloat, tile.unit + g * kLanes);
    const Floats start = hn::Load(kFloat, tile.scale + g * kLanes);
    Floats best = start, least = hn::Load(kFloat, tile.error + g * kLanes);
    for (int step = -reach; step <= reach; ++step) {
      if (step == 0) continue;
      const Floats moved = start + Splat(static_cast<float>(step));
      const Floats scale = hn::Max(Splat(-32), hn::Min(Splat(31), moved));
      const Floats error = fit.error(g, unit * scale);
      const auto better = hn::Lt(error, least);
      best = hn::IfThenElse(better, scale, best);
      least = hn::IfThenElse(better, error, least);
    }
    hn::Store(best, kFloat, tile.scale + g * kLanes);
    hn::Store(least, kFloat, tile.error + g * kLanes);
  }
}

// Least squares for each super-block's unit, as a half, taken where its error falls.
void SolveUnits(const Fit& fit, TileScales& tile) {
  TileScales trial;
  alignas(64) float squares[kTileSubs], products[kTileSubs];
  for (std::size_t g = 0; g < kGroups; ++g) {
    const Floats scale = hn::Load(kFloat, tile.scale + g * kLanes);
    Floats qq, qx;
    fit.sums(g, hn::Load(kFloat, tile.unit + g * kLanes) * scale, qq, qx);
    hn::Store(qq * scale * scale, kFloat, squares + g * kLanes);
    hn::Store(qx * scale, kFloat, products + g * kLanes);
  }
  for (std::size_t first = 0; first < kTileSubs; first += kSubs) {
    const double square = SumUp(squares + first, kSubs);
    const double product = SumUp(products + first, kSubs);
    const double unit = square > 0 ? product / square : 0;
    std::fill_n(trial.unit + first, kSubs, half_to_float(float_to_half(static_cast<float>(unit))));
  }
  std::copy_n(tile.scale, kTileSubs, trial.scale);
  MeasureErrors(fit, trial);
  for (std::size_t first = 0; first < kTileSubs; first += kSubs) {
    if (!(SumUp(trial.error + first, kSubs) < SumUp(tile.error + first, kSubs))) continue;
    std::copy_n(trial.unit + first, kSubs, tile.unit + first);
    std::copy_n(trial.error + first, kSubs, tile.error + first);
  }
}

void ImproveIQ4_XS(const Strip& strip, std::byte* out) {
  auto* block = reinterpret_cast<IQ4_XSBlock*>(out);
  const ClearGain is_gain(strip);
  SubTile x, weights;
  for (std::size_t at = 0; at < strip.count; at += kTileValues) {
    const std::size_t count = std::min(kTileValues, strip.count - at);
    LoadPadded(strip.values + at, count, x);
    if (strip.importance != nullptr) LoadPadded(strip.importance + at, count, weights);
    TileScales tile;
    for (std::size_t first = 0; first < count / kBlock; first += kSubs) {
      const SuperScales stored = Read(block[first / kSubs]);
      std::fill_n(tile.unit + first, kSubs, stored.unit);
      std::copy_n(stored.scales, kSubs, tile.scale + first);
    }
    const Fit fit(x, strip.importance == nullptr ? nullptr : &weights);
    MeasureErrors(fit, tile);
    alignas(64) float before[kTileSubs];
    std::ranges::copy(tile.error, before);
    ImproveScales(fit, 2, tile);
    SolveUnits(fit, tile);
    ImproveScales(fit, 1, tile);
    for (std::size_t first = 0; first < count / kBlock; first += kSubs, ++block) {
      if (!is_gain(before + first, tile.error + first, kSubs)) continue;
      SuperScales found{tile.unit[first], {}};
      std::copy_n(tile.scale + first, kSubs, found.scales);
      Write(strip.values + at + first * kBlock, found, *block);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HWY_EXPORT(ImproveIQ4_NL);
HWY_EXPORT(ImproveIQ4_XS);

void iq4_nl_encode_best(const Strip& strip, std::byte* blocks) noexcept {
  encode_best(Format::IQ4_NL, HWY_DYNAMIC_DISPATCH(ImproveIQ4_NL), strip, blocks);
}

void iq4_xs_encode_best(const Strip& strip, std::byte* blocks) noexcept {
  encode_best(Format::IQ4_XS, HWY_DYNAMIC_DISPATCH(ImproveIQ4_XS), strip, blocks);
}

}  // namespace holdfast::quantize
#endif
