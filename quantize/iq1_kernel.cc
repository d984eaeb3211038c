// IQ1_S and IQ1_M, SIMD encoders: the exhaustive splits one sub-block a lane, then the points of
// the grid sub-block by sub-block. Super-blocks whose numbers are not tame go to the reference.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "quantize/internal/dispatch.h"
#include "quantize/internal/families.h"
#include "quantize/internal/iq1.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/iq1_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/iq_neighbours-inl.h"
#include "quantize/internal/iq_super-inl.h"
#include "quantize/internal/tile-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

#if HOLDFAST_SIMD

// The best split so far, by lane. `mark` is low << 16 | high << 8 | shifts; negative: none.
struct BestLanes {
  HWY_INLINE BestLanes()
      : score(Splat(-std::numeric_limits<float>::max())),
        scale(hn::Zero(kFloat)),
        mark(hn::Set(kInt, -1)) {}

  HWY_INLINE FloatMask better(Floats qx, Floats qq) const {
    return hn::And(hn::Gt(qq, hn::Zero(kFloat)), hn::Gt(qx * qx, score * qq));
  }

  HWY_INLINE void offer(Floats qx, Floats qq, std::size_t low, std::size_t high, int shifts) {
    const auto accepted = better(qx, qq);
    const Floats new_scale = qx / qq;
    scale = hn::IfThenElse(accepted, new_scale, scale);
    score = hn::IfThenElse(accepted, new_scale * qx, score);
    const int new_mark = static_cast<int>(low << 16 | high << 8) | shifts;
    mark = hn::IfThenElse(hn::RebindMask(kInt, accepted), hn::Set(kInt, new_mark), mark);
  }

  Floats score, scale;
  Ints mark;
};

// What the lanes of a tile come to, by sub-block.
template <std::size_t kValues>
struct TileFits {
  alignas(64) float scale[kLanes];
  alignas(64) std::int32_t mark[kLanes];
  alignas(64) std::uint32_t codes[kValues / 8][kLanes];
};

// Where each value stands in ascending order; equal values keep their order.
template <std::size_t kValues>
HWY_INLINE void Rank(const Tile<kValues, 1>& x, Ints (&rank)[kValues]) {
  for (std::size_t i = 0; i < kValues; ++i) {
    rank[i] = hn::Set(kInt, static_cast<std::int32_t>(kValues - 1 - i));
  }
  for (std::size_t i = 0; i < kValues; ++i) {
    for (std::size_t j = i + 1; j < kValues; ++j) {
      const auto before = hn::RebindMask(kInt, hn::Le(x.v[i][0], x.v[j][0]));
      const auto minus_one = hn::VecFromMask(kInt, before);
      rank[i] = rank[i] + minus_one;
      rank[j] = rank[j] - minus_one;
    }
  }
}

// Running sums in ascending order: [j] over the first j values. kHalves 2: apart for the first and
// the second group of eight.
template <std::size_t kValues, std::size_t kHalves>
struct SortedSums {
  Floats x[kHalves][kValues + 1], w[kHalves][kValues + 1];

  HWY_INLINE SortedSums(const Tile<kValues, 1>& values, const Tile<kValues, 1>& weights,
                        const Ints (&rank)[kValues]) {
    const Floats zero = hn::Zero(kFloat);
    for (std::size_t h = 0; h < kHalves; ++h) {
      for (std::size_t j = 0; j <= kValues; ++j) x[h][j] = w[h][j] = zero;
    }
    const auto lane = hn::Iota(kInt, 0);
    for (std::size_t i = 0; i < kValues; ++i) {
      const std::size_t h = kHalves == 1 ? 0 : i / 8;
      const auto at = rank[i] * hn::Set(kInt, static_cast<std::int32_t>(kLanes)) + lane;
      const Floats weight = weights.v[i][0];
      hn::ScatterIndex(weight * values.v[i][0], kFloat, reinterpret_cast<float*>(x[h] + 1), at);
      hn::ScatterIndex(weight, kFloat, reinterpret_cast<float*>(w[h] + 1), at);
    }
    for (std::size_t h = 0; h < kHalves; ++h) {
      for (std::size_t j = 0; j < kValues; ++j) {
        // Values of the other half stand as zeros, which change no sum.
        x[h][j + 1] = x[h][j] + x[h][j + 1];
        w[h][j + 1] = w[h][j] + w[h][j + 1];
      }
    }
  }
};

// All splits of IQ1_S with both shifts, in the reference's order.
HWY_INLINE BestLanes Split(const SortedSums<32, 1>& sums) {
  constexpr std::size_t kValues = 32;
  const Floats* x = sums.x[0];
  const Floats* w = sums.w[0];
  const auto level = [](int shift, int i) { return Splat(kIq1Levels[shift][i]); };
  Floats high_x[2][kValues + 1], high_w[2][kValues + 1];
  for (std::size_t j = 0; j <= kValues; ++j) {
    for (int s = 0; s < 2; ++s) {
      high_x[s][j] = (x[kValues] - x[j]) * level(s, 2);
      high_w[s][j] = (w[kValues] - w[j]) * level(s, 2) * level(s, 2);
    }
  }
  BestLanes best;
  const Floats middle = Splat(kIq1Shift);
  for (std::size_t low = 0; low <= kValues; ++low) {
    const Floats up_x = x[low] * level(0, 0), down_x = x[low] * level(1, 0);
    const Floats up_w = w[low] * level(0, 0) * level(0, 0);
    const Floats down_w = w[low] * level(1, 0) * level(1, 0);
    for (std::size_t high = low; high <= kValues; ++high) {
      // The middle level is an eighth, up or down: its terms differ by sign alone.
      const Floats middle_x = (x[high] - x[low]) * middle;
      const Floats middle_w = (w[high] - w[low]) * middle * middle;
      const Floats up_qx = up_x + middle_x + high_x[0][high];
      const Floats up_qq = up_w + middle_w + high_w[0][high];
      const Floats down_qx = down_x - middle_x + high_x[1][high];
      const Floats down_qq = down_w + middle_w + high_w[1][high];
      const auto any = hn::Or(best.better(up_qx, up_qq), best.better(down_qx, down_qq));
      if (hn::AllFalse(kFloat, any)) continue;
      best.offer(up_qx, up_qq, low, high, 0);
      best.offer(down_qx, down_qq, low, high, 1);
    }
  }
  return best;
}

// Terms of one group of eight in the split of IQ1_M: qx is total_x less two prefixes, qq is low_w
// plus high_w.
struct HalfTerms {
  static constexpr std::size_t kValues = 16;

  HWY_INLINE HalfTerms(const Floats* w, Floats x_total, int shift) {
    const float* q = kIq1Levels[shift];
    const Floats low_factor = Splat(q[0] * q[0] - q[1] * q[1]);
    const Floats high_factor = Splat(q[1] * q[1] - q[2] * q[2]);
    total_x = x_total * Splat(q[2]);
    const Floats total_w = w[kValues] * Splat(q[2]) * Splat(q[2]);
    for (std::size_t j = 0; j <= kValues; ++j) {
      low_w[j] = total_w + w[j] * low_factor;
      high_w[j] = w[j] * high_factor;
    }
  }

  Floats total_x, low_w[kValues + 1], high_w[kValues + 1];
};

HWY_INLINE BestLanes Split(const SortedSums<16, 2>& sums) {
  constexpr std::size_t kValues = 16;
  const HalfTerms terms[2][2] = {
      {{sums.w[0], sums.x[0][kValues], 0}, {sums.w[0], sums.x[0][kValues], 1}},
      {{sums.w[1], sums.x[1][kValues], 0}, {sums.w[1], sums.x[1][kValues], 1}}};
  BestLanes best;
  for (std::size_t low = 0; low <= kValues; ++low) {
    for (std::size_t high = low; high <= kValues; ++high) {
      Floats qx[2][2], qq[2][2];
      for (std::size_t h = 0; h < 2; ++h) {
        const Floats prefixes = sums.x[h][low] + sums.x[h][high];
        for (std::size_t s = 0; s < 2; ++s) {
          qx[h][s] = terms[h][s].total_x - prefixes;
          qq[h][s] = terms[h][s].low_w[low] + terms[h][s].high_w[high];
        }
      }
      FloatMask any = hn::MaskFromVec(hn::Zero(kFloat));
      for (std::size_t s = 0; s < 4; ++s) {
        any = hn::Or(any, best.better(qx[0][s / 2] + qx[1][s % 2], qq[0][s / 2] + qq[1][s % 2]));
      }
      if (hn::AllFalse(kFloat, any)) continue;
      for (std::size_t s = 0; s < 4; ++s) {
        best.offer(qx[0][s / 2] + qx[1][s % 2], qq[0][s / 2] + qq[1][s % 2], low, high,
                   static_cast<int>(s));
      }
    }
  }
  return best;
}

// Splits and codes of kLanes sub-blocks; where the scale is negative, mirrored.
template <std::size_t kValues>
void FitTile(const float* x, const float* weights, TileFits<kValues>& fits) {
  Tile<kValues, 1> values, tile_weights;
  LoadTile(x, values);
  LoadTile(weights, tile_weights);
  Ints rank[kValues];
  Rank(values, rank);
  const SortedSums<kValues, kValues == 16 ? 2 : 1> sums(values, tile_weights, rank);
  const BestLanes best = Split(sums);
  hn::Store(best.scale, kFloat, fits.scale);
  hn::Store(best.mark, kInt, fits.mark);
  const auto byte = hn::Set(kInt, 255);
  const auto low = hn::ShiftRight<16>(best.mark);
  const auto high = hn::And(hn::ShiftRight<8>(best.mark), byte);
  const auto mirrored = hn::RebindMask(kInt, hn::Lt(best.scale, hn::Zero(kFloat)));
  for (std::size_t k = 0; k < kValues / 8; ++k) {
    auto code = hn::Zero(kInt);
    for (std::size_t i = 8; i-- > 0;) {
      const Ints at = rank[8 * k + i];
      const auto not_low = hn::VecFromMask(kInt, hn::Not(hn::Lt(at, low)));
      const auto not_middle = hn::VecFromMask(kInt, hn::Not(hn::Lt(at, high)));
      const Ints level = hn::Neg(not_low + not_middle);
      const Ints turned = hn::IfThenElse(mirrored, hn::Set(kInt, 2) - level, level);
      code = hn::Or(hn::ShiftLeft<2>(code), turned);
    }
    hn::Store(hn::BitCast(kUint, code), kUint, fits.codes[k]);
  }
}

// Entry l of table i is the error of value i at level l.
HWY_INLINE std::uint16_t NearestPoint(const Grid& grid, std::uint32_t code, const float* x,
                                      const float* weights, float scale, const float* levels) {
  constexpr hn::CappedTag<float, 4> kQuad{};
  alignas(64) float errors[32];
  alignas(16) const float padded[4] = {levels[0], levels[1], levels[2], levels[2]};
  const auto reached = hn::Set(kQuad, scale) * hn::Load(kQuad, padded);
  for (std::size_t i = 0; i < 8; ++i) {
    const auto difference = reached - hn::Set(kQuad, x[i]);
    hn::Store(hn::Set(kQuad, weights[i]) * difference * difference, kQuad, errors + 4 * i);
  }
  return NearestNeighbour<8>(grid.neighbours(code), errors, 0).code;
}

// The fit of one lane, as fit_split of the reference.
template <std::size_t kValues>
Iq1Fit FitLane(const Grid& grid, const float* x, const float* weights,
               const TileFits<kValues>& fits, std::size_t lane) {
  Iq1Fit fit;
  if (fits.mark[lane] < 0) return fit;
  fit.empty = false;
  fit.scale = std::fabs(fits.scale[lane]);
  fit.shifts = static_cast<std::uint32_t>(fits.mark[lane]) & 3u;
  if (fits.scale[lane] < 0) fit.shifts ^= kValues == 16 ? 3u : 1u;
  const float* levels[kValues / 8];
  bool all_on_grid = true;
  for (std::size_t k = 0; k < kValues / 8; ++k) {
    levels[k] = kIq1Levels[kValues == 16 ? iq1_m_shift(fit.shifts, k) : fit.shifts];
    const std::uint32_t code = fits.codes[k][lane];
    fit.codes[k] = static_cast<std::uint16_t>(code);
    if (grid.contains(code)) continue;
    all_on_grid = false;
    fit.codes[k] = NearestPoint(grid, code, x + 8 * k, weights + 8 * k, fit.scale, levels[k]);
  }
  if (all_on_grid) return fit;
  float qx = 0, qq = 0;
  for (std::size_t i = 0; i < kValues; ++i) {
    const float q = levels[i / 8][level_of(fit.codes[i / 8], i % 8, 8)];
    qx += weights[i] * q * x[i];
    qq += weights[i] * q * q;
  }
  if (qx > 0 && qq > 0) fit.scale = qx / qq;
  return fit;
}

// Values and weights of up to kStripSupers super-blocks; zeros behind them, for whole tiles.
struct Chunk {
  alignas(64) float x[kStripSupers * kGridSuper];
  alignas(64) float weights[kStripSupers * kGridSuper];
  bool tame[kStripSupers];

  Chunk(const Strip& strip, std::size_t begin, std::size_t supers) {
    const float* from = strip.values + begin;
    float variances[kStripSupers];
    Variances(from, supers, 2, variances);
    for (std::size_t s = 0; s < supers; ++s) {
      const float* importance =
          strip.importance == nullptr ? nullptr : strip.importance + begin + s * kGridSuper;
      std::memcpy(x + s * kGridSuper, from + s * kGridSuper, kGridSuper * sizeof(float));
      tame[s] = Weigh(x + s * kGridSuper, importance, variances[s], weights + s * kGridSuper);
    }
    std::fill(std::begin(x) + supers * kGridSuper, std::end(x), 0.0f);
    std::fill(std::begin(weights) + supers * kGridSuper, std::end(weights), 0.0f);
  }

 private:
  // False when the reference must decide.
  static bool Weigh(const float* from, const float* importance, float variance, float* to) {
    Floats heaviest = hn::Zero(kFloat), largest = heaviest;
    auto tame = hn::Eq(heaviest, heaviest);
    for (std::size_t i = 0; i < kGridSuper; i += kLanes) {
      const Floats value = hn::Load(kFloat, from + i);
      Floats weight = value * value;
      if (importance != nullptr) {
        weight = hn::LoadU(kFloat, importance + i) * hn::Sqrt(Splat(variance) + weight);
      }
      tame = hn::And(tame, hn::Ge(weight, hn::Zero(kFloat)));
      heaviest = hn::Max(heaviest, weight);
      largest = hn::Max(largest, hn::Abs(value));
      hn::Store(weight, kFloat, to + i);
    }
    return hn::AllTrue(kFloat, tame) &&
           hn::GetLane(hn::MaxOfLanes(kFloat, heaviest)) < kTameWeight &&
           hn::GetLane(hn::MaxOfLanes(kFloat, largest)) < kTameLargest;
  }
};

struct TraitsS {
  using Block = IQ1_SBlock;
  static constexpr std::size_t kValues = 32;
  static constexpr float kEpsilon = 1e-12f;
  static constexpr auto kReference = iq1_s_encode_reference;

  static void write(const Grid& grid, const Iq1Fit* fits, const float*, const float*, Block& to) {
    write_iq1_s(grid, fits, to);
  }
};

struct TraitsM {
  using Block = IQ1_MBlock;
  static constexpr std::size_t kValues = 16;
  static constexpr float kEpsilon = 1e-7f;
  static constexpr auto kReference = iq1_m_encode_reference;

  static void write(const Grid& grid, const Iq1Fit* fits, const float* x, const float* weights,
                    Block& to) {
    write_iq1_m(grid, fits, x, weights, to);
  }
};

bool IsEmpty(const float* x, std::size_t count, float epsilon) {
  Floats largest = hn::Zero(kFloat);
  for (std::size_t i = 0; i < count; i += kLanes) {
    largest = hn::Max(largest, hn::Abs(hn::Load(kFloat, x + i)));
  }
  return hn::GetLane(hn::MaxOfLanes(kFloat, largest)) < epsilon;
}

// A scale beyond this would overflow distances.
inline constexpr float kTameScale = 1e10f;

template <class T>
void EncodeChunk(const Grid& grid, const Strip& strip, std::size_t begin, std::size_t supers,
                 typename T::Block* to) {
  constexpr std::size_t kValues = T::kValues;
  constexpr std::size_t kSubs = kGridSuper / kValues;
  Chunk chunk(strip, begin, supers);
  Iq1Fit fits[kStripSupers * kSubs];
  for (std::size_t sub = 0; sub < supers * kSubs; sub += kLanes) {
    TileFits<kValues> tile;
    FitTile<kValues>(chunk.x + sub * kValues, chunk.weights + sub * kValues, tile);
    for (std::size_t lane = 0; lane < kLanes && sub + lane < supers * kSubs; ++lane) {
      const float* x = chunk.x + (sub + lane) * kValues;
      bool& tame = chunk.tame[(sub + lane) / kSubs];
      tame = tame && std::fabs(tile.scale[lane]) < kTameScale;
      if (!tame || IsEmpty(x, kValues, T::kEpsilon)) continue;
      const float* weights = chunk.weights + (sub + lane) * kValues;
      fits[sub + lane] = FitLane<kValues>(grid, x, weights, tile, lane);
    }
  }
  for (std::size_t s = 0; s < supers; ++s) {
    const std::size_t at = s * kGridSuper;
    if (chunk.tame[s]) {
      T::write(grid, fits + s * kSubs, chunk.x + at, chunk.weights + at, to[s]);
    } else {
      const float* importance =
          strip.importance == nullptr ? nullptr : strip.importance + begin + at;
      T::kReference({strip.values + begin + at, kGridSuper, importance},
                    reinterpret_cast<std::byte*>(to + s));
    }
  }
}

template <class T>
void Encode(const Strip& strip, std::byte* out) {
  const Grid& grid = iq1_grid();
  auto* to = reinterpret_cast<typename T::Block*>(out);
  const std::size_t supers = strip.count / kGridSuper;
  for (std::size_t s = 0; s < supers; s += kStripSupers) {
    EncodeChunk<T>(grid, strip, s * kGridSuper, std::min(kStripSupers, supers - s), to + s);
  }
}

void EncodeIQ1_S(const Strip& strip, std::byte* out) { Encode<TraitsS>(strip, out); }

void EncodeIQ1_M(const Strip& strip, std::byte* out) { Encode<TraitsM>(strip, out); }

#else

void EncodeIQ1_S(const Strip& strip, std::byte* out) { iq1_s_encode_reference(strip, out); }

void EncodeIQ1_M(const Strip& strip, std::byte* out) { iq1_m_encode_reference(strip, out); }

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HOLDFAST_DISPATCH_ENCODE(iq1_s_encode, EncodeIQ1_S);
HOLDFAST_DISPATCH_ENCODE(iq1_m_encode, EncodeIQ1_M);

}  // namespace holdfast::quantize
#endif
