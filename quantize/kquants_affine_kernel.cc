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
#include "quantize/internal/errors-inl.h"
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
  static constexpr const AffineShape& kShape = kQ2K;
  static constexpr std::size_t kSub = 16;
  static constexpr bool kAbsolutePlain = true;
  static constexpr Format kFormat = Format::Q2_K;
};

struct Q4_KTraits {
  using Block = Q4_KBlock;
  static constexpr const AffineShape& kShape = kQ4K;
  static constexpr std::size_t kSub = 32;
  static constexpr bool kAbsolutePlain = false;
  static constexpr Format kFormat = Format::Q4_K;
};

struct Q5_KTraits {
  using Block = Q5_KBlock;
  static constexpr const AffineShape& kShape = kQ5K;
  static constexpr std::size_t kSub = 32;
  static constexpr bool kAbsolutePlain = false;
  static constexpr Format kFormat = Format::Q5_K;
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
template <std::size_t kSub, class Errors>
class Requantizer {
 public:
  // `errors` are those of the strip before this super-block.
  Requantizer(const AffineShape& shape, const float* x, const AffineSuper& super,
              const Errors& errors)
      : x_(x), top_(Splat(static_cast<float>(shape.plain.levels))), errors_(errors) {
    for (std::size_t j = 0; j < kSuper / kSub; ++j) {
      scale_[j] = half_to_float(super.scale) * static_cast<float>(super.scale_codes[j]);
      offset_[j] = half_to_float(super.offset) * static_cast<float>(super.offset_codes[j]);
      any_zero_ = any_zero_ || scale_[j] == 0;
    }
  }

  bool any_zero() const { return any_zero_; }

  bool tame() const { return hn::AllTrue(kFloat, tame_); }

  // With this super-block's, once all codes were taken.
  const Errors& errors() const { return errors_; }

  // The low byte of each lane is the code.
  template <std::size_t kAt>
  HWY_INLINE Uints codes() {
    const Floats x = hn::LoadU(kFloat, x_ + kAt);
    const Floats scale = Splat(scale_[kAt / kSub]), offset = Splat(offset_[kAt / kSub]);
    const Floats t = (x + offset) / scale;
    tame_ = hn::And(tame_, hn::Lt(hn::Abs(t), Splat(kNearestLimit)));
    const Floats code = hn::Max(hn::Zero(kFloat), hn::Min(top_, Nearest(t)));
    if constexpr (Errors::kOn) {  // the product is exact
      errors_.add(kAt % kSumPlaces / kLanes, x, x - hn::MulSub(code, scale, offset));
    }
    return hn::BitCast(kUint, code + Splat(0x1p23f));
  }

 private:
  const float* x_;
  Floats top_;
  float scale_[kSuper / kSub], offset_[kSuper / kSub];
  bool any_zero_ = false;
  FloatMask tame_ = hn::Eq(hn::Zero(kFloat), hn::Zero(kFloat));
  Errors errors_;
};

template <class From>
HWY_INLINE void WriteCodes(From& from, Q2_KBlock& to) {
  Unrolled<64 / kLanes>([&](auto i) {
    constexpr std::size_t kByte = i * kLanes, kFirst = kByte / 32 * 128 + kByte % 32;
    Uints bytes = hn::Zero(kUint);  // the last ones in are the highest bits
    Unrolled<4>([&](auto k) {
      const Uints codes = from.template codes<kFirst + 32 * k>();
      bytes = hn::Or(hn::ShiftRight<2>(bytes), hn::ShiftLeft<6>(LowBits(codes, 3)));
    });
    StoreBytes(bytes, to.codes + kByte);
  });
}

template <class From>
HWY_INLINE void WriteCodes(From& from, Q4_KBlock& to) {
  Unrolled<128 / kLanes>([&](auto i) {
    constexpr std::size_t kByte = i * kLanes, kFirst = kByte / 32 * 64 + kByte % 32;
    const Uints low = from.template codes<kFirst>();
    const Uints high = from.template codes<kFirst + 32>();
    StoreBytes(hn::Or(LowBits(low, 15), hn::ShiftLeft<4>(high)), to.codes + kByte);
  });
}

template <class From>
HWY_INLINE void WriteCodes(From& from, Q5_KBlock& to) {
  Unrolled<32 / kLanes>([&](auto i) {
    constexpr std::size_t kByte = i * kLanes;
    Uints fifth = hn::Zero(kUint);  // the last one in is bit 7
    Unrolled<4>([&](auto k) {
      const Uints low = from.template codes<64 * k + kByte>();
      const Uints high = from.template codes<64 * k + 32 + kByte>();
      StoreBytes(hn::Or(LowBits(low, 15), hn::ShiftLeft<4>(high)), to.codes + 32 * k + kByte);
      fifth = hn::Or(hn::ShiftRight<1>(fifth), hn::ShiftLeft<3>(LowBits(low, 16)));
      fifth = hn::Or(hn::ShiftRight<1>(fifth), hn::ShiftLeft<3>(LowBits(high, 16)));
    });
    StoreBytes(fifth, to.high + kByte);
  });
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
template <class Traits, class Errors>
void FinishSuper(const Strip& strip, bool wild, AffineSuper& super, typename Traits::Block& to,
                 Errors& errors) {
  if (!wild) {
    Requantizer<Traits::kSub, Errors> requantizer(Traits::kShape, strip.values, super, errors);
    if (!requantizer.any_zero()) {  // there the search's own codes stay
      write_scales(super, to);
      WriteCodes(requantizer, to);
      if (requantizer.tame()) {
        errors = requantizer.errors();
        return;
      }
    }
  }
  EncodeByReference(Traits::kFormat, strip, reinterpret_cast<std::byte*>(&to), errors);
}

template <class Traits, class Errors>
void FinishChunk(const Strip& strip, Found& found, typename Traits::Block* to, Errors& errors) {
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
                        to[s], errors);
  }
}

// Per sub-block, the variance of its super-block.
void SpreadVariances(const Strip& strip, float factor, std::size_t subs, float* variances) {
  float sums[kSupers] = {};
  sums_of_squares(strip.values, strip.count / kSuper, sums);
  for (std::size_t j = 0; j < kSupers * subs; ++j) variances[j] = factor * sums[j / subs] / kSuper;
}

// As many sub-blocks from `at` on as kGroups vectors have lanes; zeros where fewer are left.
template <class Traits, std::size_t kGroups>
void SearchGroups(const Strip& strip, const float* variances, std::size_t at, Found& found) {
  constexpr std::size_t kSub = Traits::kSub;
  const std::size_t count = strip.count - at;
  Tile<kSub, kGroups> x, weights;
  LoadPadded(strip.values + at, count, x);
  if (strip.importance != nullptr) {
    LoadPadded(strip.importance + at, count, weights);
    ImportanceWeights(x, variances + at / kSub, weights);
    SearchTile<false>(Traits::kShape.weighted, x, weights, at / kSub, found);
  } else {
    PlainWeights(x, Traits::kAbsolutePlain, weights);
    SearchTile<Traits::kAbsolutePlain>(Traits::kShape.plain, x, weights, at / kSub, found);
  }
}

// The chains of additions of one group leave the adders idle half of the time; those of several run
// side by side, as far as registers go.
inline constexpr std::size_t kGroupsMax = kLanes == 16 ? 4 : 2;

// At most kChunk values.
template <class Traits>
void SearchChunk(const Strip& strip, Found& found) {
  constexpr std::size_t kGroupValues = kLanes * Traits::kSub;
  float variances[kChunk / Traits::kSub];
  if (strip.importance != nullptr) {
    SpreadVariances(strip, Traits::kShape.variance_factor, kSuper / Traits::kSub, variances);
  }
  std::size_t groups = 0;
  for (std::size_t at = 0; at < strip.count; at += groups * kGroupValues) {
    const std::size_t left = strip.count - at;
    if (kGroupsMax > 2 && left > 2 * kGroupValues) {
      groups = kGroupsMax;
      SearchGroups<Traits, kGroupsMax>(strip, variances, at, found);
    } else if (left > kGroupValues) {
      groups = 2;
      SearchGroups<Traits, 2>(strip, variances, at, found);
    } else {
      groups = 1;
      SearchGroups<Traits, 1>(strip, variances, at, found);
    }
  }
}

template <class Traits, class Errors>
void EncodeAffineK(const Strip& strip, std::byte* out, Errors& errors) {
  auto* to = reinterpret_cast<typename Traits::Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kChunk, to += kSupers) {
    const float* importance = strip.importance == nullptr ? nullptr : strip.importance + at;
    const Strip chunk{strip.values + at, std::min(kChunk, strip.count - at), importance};
    Found found{};
    SearchChunk<Traits>(chunk, found);
    FinishChunk<Traits>(chunk, found, to, errors);
  }
}

template <class Errors>
void EncodeQ2_K(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeAffineK<Q2_KTraits>(strip, out, errors);
}

template <class Errors>
void EncodeQ4_K(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeAffineK<Q4_KTraits>(strip, out, errors);
}

template <class Errors>
void EncodeQ5_K(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeAffineK<Q5_KTraits>(strip, out, errors);
}

#else

template <class Errors>
void EncodeQ2_K(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeByReference(Format::Q2_K, strip, out, errors);
}

template <class Errors>
void EncodeQ4_K(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeByReference(Format::Q4_K, strip, out, errors);
}

template <class Errors>
void EncodeQ5_K(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeByReference(Format::Q5_K, strip, out, errors);
}

#endif

HOLDFAST_BOTH_USES(EncodeQ2_K);
HOLDFAST_BOTH_USES(EncodeQ4_K);
HOLDFAST_BOTH_USES(EncodeQ5_K);

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HOLDFAST_DISPATCH_MEASURED(q2_k, EncodeQ2_K);
HOLDFAST_DISPATCH_MEASURED(q4_k, EncodeQ4_K);
HOLDFAST_DISPATCH_MEASURED(q5_k, EncodeQ5_K);

}  // namespace holdfast::quantize
#endif
