// Q2_K, Q4_K and Q5_K, SIMD encoders: the searches one sub-block a lane, then each super-block's
// codes across lanes. Super-blocks that leave the tame numbers go to the reference.
#include <algorithm>

#include "quantize/internal/affine_super.h"
#include "quantize/internal/dispatch.h"
#include "quantize/internal/families.h"
#include "quantize/internal/numbers.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/kquants_affine_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/affine_search-inl.h"
#include "quantize/internal/legacy_store-inl.h"
#include "quantize/internal/positive_search-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

#if HOLDFAST_SIMD

// What a format fixes at compile time.
struct Q2_KTraits {
  using Block = Q2_KBlock;
  static constexpr const AffineShape& kShape = kQ2_K;
  static constexpr std::size_t kSub = 16;
  static constexpr bool kAbsolutePlain = true;
  static constexpr auto kReference = q2_k_encode_reference;
};

struct Q4_KTraits {
  using Block = Q4_KBlock;
  static constexpr const AffineShape& kShape = kQ4_K;
  static constexpr std::size_t kSub = 32;
  static constexpr bool kAbsolutePlain = false;
  static constexpr auto kReference = q4_k_encode_reference;
};

struct Q5_KTraits {
  using Block = Q5_KBlock;
  static constexpr const AffineShape& kShape = kQ5_K;
  static constexpr std::size_t kSub = 32;
  static constexpr bool kAbsolutePlain = false;
  static constexpr auto kReference = q5_k_encode_reference;
};

inline constexpr std::size_t kChunk = 2048;  // values between the two halves of the work
inline constexpr std::size_t kSupers = kChunk / kSuper;

// Search results of one chunk, by sub-block; wild is by super-block.
struct Found {
  alignas(64) float scale[kChunk / 16], offset[kChunk / 16], weight_sum[kChunk / 16];
  bool wild[kSupers];
};

template <std::size_t kSub, std::size_t kGroups>
HWY_INLINE void PlainWeights(const Tile<kSub, kGroups>& x, bool absolute,
                             Tile<kSub, kGroups>& weights) {
  for (std::size_t g = 0; g < kGroups; ++g) {
    Floats base = hn::Zero(kFloat);
    if (!absolute) {
      for (std::size_t i = 0; i < kSub; ++i) base = base + x.v[i][g] * x.v[i][g];
      base = hn::Sqrt(base / Splat(static_cast<float>(kSub)));
    }
    for (std::size_t i = 0; i < kSub; ++i) weights.v[i][g] = base + hn::Abs(x.v[i][g]);
  }
}

// importance * sqrt(variance of the super-block + x²); `weights` comes in as the importance.
template <std::size_t kSub, std::size_t kGroups>
HWY_INLINE void ImportanceWeights(const Tile<kSub, kGroups>& x, const float* variances,
                                  Tile<kSub, kGroups>& weights) {
  for (std::size_t g = 0; g < kGroups; ++g) {
    const Floats variance = hn::LoadU(kFloat, variances + g * kLanes);
    for (std::size_t i = 0; i < kSub; ++i) {
      const Floats square = x.v[i][g] * x.v[i][g];
      weights.v[i][g] = weights.v[i][g] * hn::Sqrt(variance + square);
    }
  }
}

// Searches one tile; `first` is its first sub-block within the chunk.
template <bool kAbsolute, std::size_t kSub, std::size_t kGroups>
void SearchTile(const AffineSchedule& schedule, const Tile<kSub, kGroups>& x,
                const Tile<kSub, kGroups>& weights, std::size_t first, Found& found) {
  AffineLanes<kSub, kGroups, kAbsolute> lanes(schedule, x, weights);
  AffineFound result[kGroups];
  lanes.run(result);
  for (std::size_t g = 0; g < kGroups; ++g) {
    const std::size_t at = first + g * kLanes;
    hn::StoreU(result[g].scale, kFloat, found.scale + at);
    hn::StoreU(hn::Neg(result[g].low), kFloat, found.offset + at);
    hn::StoreU(result[g].weight_sum, kFloat, found.weight_sum + at);
    if (hn::AllFalse(kFloat, result[g].wild)) continue;
    alignas(64) float wild[kLanes];
    hn::Store(hn::IfThenElseZero(result[g].wild, Splat(1.0f)), kFloat, wild);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      if (wild[lane] != 0) found.wild[(at + lane) * kSub / kSuper] = true;
    }
  }
}

// Codes of kLanes values with the scales as stored.
class Requantizer {
 public:
  Requantizer(const AffineShape& shape, const float* x, const AffineSuper& super)
      : x_(x), sub_(shape.sub_values), top_(Splat(static_cast<float>(shape.plain.levels))) {
    for (std::size_t j = 0; j < kSuper / sub_; ++j) {
      scale_[j] = half_to_float(super.scale) * static_cast<float>(super.scale_codes[j]);
      offset_[j] = half_to_float(super.offset) * static_cast<float>(super.offset_codes[j]);
      any_zero_ = any_zero_ || scale_[j] == 0;
    }
  }

  bool any_zero() const { return any_zero_; }

  bool zero(std::size_t sub) const { return scale_[sub] == 0; }

  bool tame() const { return hn::AllTrue(kFloat, tame_); }

  // The low byte of each lane is the code.
  HWY_INLINE Uints codes(std::size_t at) {
    const std::size_t j = at / sub_;
    const Floats t = (hn::LoadU(kFloat, x_ + at) + Splat(offset_[j])) / Splat(scale_[j]);
    tame_ = hn::And(tame_, hn::Lt(hn::Abs(t), Splat(kNearestLimit)));
    const Floats code = hn::Max(hn::Zero(kFloat), hn::Min(top_, Nearest(t)));
    return hn::BitCast(kUint, code + Splat(0x1p23f));
  }

 private:
  const float* x_;
  std::size_t sub_;
  Floats top_;
  float scale_[16], offset_[16];
  bool any_zero_ = false;
  FloatMask tame_ = hn::Eq(hn::Zero(kFloat), hn::Zero(kFloat));
};

void WriteCodes(Requantizer& from, Q2_KBlock& to) {
  for (std::size_t i = 0; i < 64; i += kLanes) {
    const std::size_t at = i / 32 * 128 + i % 32;
    const Uints low =
        hn::Or(LowBits(from.codes(at), 3), hn::ShiftLeft<2>(LowBits(from.codes(at + 32), 3)));
    const Uints high = hn::Or(hn::ShiftLeft<4>(LowBits(from.codes(at + 64), 3)),
                              hn::ShiftLeft<6>(LowBits(from.codes(at + 96), 3)));
    StoreBytes(hn::Or(low, high), to.codes + i);
  }
}

void WriteCodes(Requantizer& from, Q4_KBlock& to) {
  for (std::size_t i = 0; i < 128; i += kLanes) {
    const std::size_t at = i / 32 * 64 + i % 32;
    StoreBytes(hn::Or(LowBits(from.codes(at), 15), hn::ShiftLeft<4>(from.codes(at + 32))),
               to.codes + i);
  }
}

void WriteCodes(Requantizer& from, Q5_KBlock& to) {
  for (std::size_t l = 0; l < 32; l += kLanes) {
    Uints high = hn::Zero(kUint);
    for (std::size_t k = 8; k-- > 0;) {  // the last one in is bit 0
      const Uints codes = from.codes(32 * k + l);
      high = hn::Or(hn::ShiftLeft<1>(high), hn::ShiftRight<4>(LowBits(codes, 16)));
    }
    StoreBytes(high, to.high + l);
  }
  for (std::size_t i = 0; i < 128; i += kLanes) {
    const std::size_t at = i / 32 * 64 + i % 32;
    StoreBytes(hn::Or(LowBits(from.codes(at), 15), hn::ShiftLeft<4>(from.codes(at + 32))),
               to.codes + i);
  }
}

// What search_positive found for the super-blocks of a chunk.
struct PositiveFound {
  float scale[2 * kSupers];  // scales, then offsets
  alignas(64) float codes[16][2 * kSupers];
};

// Scales and offsets of a chunk's super-blocks side by side in lanes.
template <class Traits>
void SearchPositive(Found& found, PositiveFound& result) {
  constexpr std::size_t kSubs = kSuper / Traits::kSub;
  alignas(64) float columns[2][kSubs][2 * kSupers];
  for (std::size_t j = 0; j < kSubs; ++j) {
    for (std::size_t s = 0; s < kSupers; ++s) {
      columns[0][j][s] = found.scale[s * kSubs + j];
      columns[0][j][s + kSupers] = found.offset[s * kSubs + j];
      columns[1][j][s] = columns[1][j][s + kSupers] = found.weight_sum[s * kSubs + j];
    }
  }
  for (std::size_t lane = 0; lane < 2 * kSupers; lane += kLanes) {
    typename PositiveLanes<kSubs>::Lanes lanes;
    for (std::size_t j = 0; j < kSubs; ++j) {
      lanes.x[j] = hn::Load(kFloat, &columns[0][j][lane]);
      lanes.weights[j] = hn::Load(kFloat, &columns[1][j][lane]);
    }
    FloatMask wild;
    const Floats scale = PositiveLanes<kSubs>(lanes, Traits::kShape.scale_levels).run(wild);
    hn::StoreU(scale, kFloat, result.scale + lane);
    for (std::size_t j = 0; j < kSubs; ++j)
      hn::Store(lanes.codes[j], kFloat, &result.codes[j][lane]);
    alignas(64) float flags[kLanes];
    hn::Store(hn::IfThenElseZero(wild, Splat(1.0f)), kFloat, flags);
    for (std::size_t k = 0; k < kLanes; ++k) {
      if (flags[k] != 0) found.wild[(lane + k) % kSupers] = true;
    }
  }
}

// One super-block of the chunk: its codes, or the reference where it is wild.
template <class Traits>
void FinishSuper(const Strip& strip, bool wild, AffineSuper& super, typename Traits::Block& to) {
  const auto reference = [&] { Traits::kReference(strip, reinterpret_cast<std::byte*>(&to)); };
  if (wild) return reference();
  Requantizer requantizer(Traits::kShape, strip.values, super);
  if (requantizer.any_zero()) return reference();  // there the search's own codes stay
  write_scales(super, to);
  WriteCodes(requantizer, to);
  if (!requantizer.tame()) reference();
}

template <class Traits>
void FinishChunk(const Strip& strip, Found& found, typename Traits::Block* to) {
  constexpr std::size_t kSubs = kSuper / Traits::kSub;
  PositiveFound positive;
  const bool weighted = strip.importance != nullptr;
  if (weighted) SearchPositive<Traits>(found, positive);
  for (std::size_t s = 0; s < strip.count / kSuper; ++s) {
    AffineSuper super;
    if (weighted) {
      for (std::size_t j = 0; j < kSubs; ++j) {
        super.scale_codes[j] = static_cast<std::uint8_t>(positive.codes[j][s]);
        super.offset_codes[j] = static_cast<std::uint8_t>(positive.codes[j][s + kSupers]);
      }
      store_scales(Traits::kShape, positive.scale[s], positive.scale[s + kSupers], super);
    } else {
      std::copy_n(found.scale + s * kSubs, kSubs, super.scales);
      std::copy_n(found.offset + s * kSubs, kSubs, super.offsets);
      quantize_scales(Traits::kShape, super);
    }
    const float* importance = weighted ? strip.importance + s * kSuper : nullptr;
    FinishSuper<Traits>({strip.values + s * kSuper, kSuper, importance}, found.wild[s], super,
                        to[s]);
  }
}

// Per sub-block, the variance of its super-block.
void SpreadVariances(const Strip& strip, float factor, std::size_t subs, float* variances) {
  float sums[kSupers] = {};
  sums_of_squares(strip.values, strip.count / kSuper, sums);
  for (std::size_t j = 0; j < kSupers * subs; ++j) variances[j] = factor * sums[j / subs] / kSuper;
}

// At most kChunk values. Where fewer come, the rest of the last tile is zeros.
template <class Traits>
void EncodeChunk(const Strip& strip, typename Traits::Block* to) {
  constexpr std::size_t kSub = Traits::kSub;
  constexpr std::size_t kGroups = kLanes == 16 ? 1 : 2;
  constexpr std::size_t kTileValues = kGroups * kLanes * kSub;
  Tile<kSub, kGroups> x, weights;
  Found found{};
  const bool weighted = strip.importance != nullptr;
  float variances[kChunk / kSub];
  if (weighted) SpreadVariances(strip, Traits::kShape.variance_factor, kSuper / kSub, variances);
  for (std::size_t at = 0; at < strip.count; at += kTileValues) {
    const std::size_t count = strip.count - at;
    LoadPadded(strip.values + at, count, x);
    if (weighted) {
      LoadPadded(strip.importance + at, count, weights);
      ImportanceWeights(x, variances + at / kSub, weights);
      SearchTile<false>(Traits::kShape.weighted, x, weights, at / kSub, found);
    } else {
      PlainWeights(x, Traits::kAbsolutePlain, weights);
      SearchTile<Traits::kAbsolutePlain>(Traits::kShape.plain, x, weights, at / kSub, found);
    }
  }
  FinishChunk<Traits>(strip, found, to);
}

template <class Traits>
void EncodeAffineK(const Strip& strip, std::byte* out) {
  auto* to = reinterpret_cast<typename Traits::Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kChunk, to += kSupers) {
    const float* importance = strip.importance == nullptr ? nullptr : strip.importance + at;
    EncodeChunk<Traits>({strip.values + at, std::min(kChunk, strip.count - at), importance}, to);
  }
}

void EncodeQ2_K(const Strip& strip, std::byte* out) { EncodeAffineK<Q2_KTraits>(strip, out); }

void EncodeQ4_K(const Strip& strip, std::byte* out) { EncodeAffineK<Q4_KTraits>(strip, out); }

void EncodeQ5_K(const Strip& strip, std::byte* out) { EncodeAffineK<Q5_KTraits>(strip, out); }

#else

void EncodeQ2_K(const Strip& strip, std::byte* out) { q2_k_encode_reference(strip, out); }

void EncodeQ4_K(const Strip& strip, std::byte* out) { q4_k_encode_reference(strip, out); }

void EncodeQ5_K(const Strip& strip, std::byte* out) { q5_k_encode_reference(strip, out); }

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HOLDFAST_DISPATCH_ENCODE(q2_k_encode, EncodeQ2_K);
HOLDFAST_DISPATCH_ENCODE(q4_k_encode, EncodeQ4_K);
HOLDFAST_DISPATCH_ENCODE(q5_k_encode, EncodeQ5_K);

}  // namespace holdfast::quantize
#endif
