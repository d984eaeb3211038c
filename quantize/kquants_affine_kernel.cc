// Q2_K, Q4_K and Q5_K, SIMD encoders: the searches one sub-block a lane, then each super-block's
// codes across lanes. Super-blocks that leave the tame numbers go to the reference.
#include <algorithm>

#include "quantize/internal/affine_super.h"
#include "quantize/internal/families.h"
#include "quantize/internal/numbers.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/kquants_affine_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/affine_search-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {

#if HOLDFAST_SIMD

inline constexpr hn::Rebind<std::uint8_t, FloatTag> kByte{};

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

// Search results of one tile, by sub-block.
template <std::size_t kSubBlocks>
struct Found {
  alignas(64) float scale[kSubBlocks], offset[kSubBlocks], inverse[kSubBlocks], from[kSubBlocks],
      weight_sum[kSubBlocks], wild[kSubBlocks];
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

// importance * sqrt(variance of the super-block + x²).
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

template <bool kAbsolute, std::size_t kSub, std::size_t kGroups>
void SearchTile(const AffineSchedule& schedule, const Tile<kSub, kGroups>& x,
                const Tile<kSub, kGroups>& weights, Found<kGroups * kLanes>& found) {
  AffineLanes<kSub, kGroups, kAbsolute> lanes(schedule, x, weights);
  AffineFound result[kGroups];
  lanes.run(result);
  for (std::size_t g = 0; g < kGroups; ++g) {
    const std::size_t at = g * kLanes;
    hn::StoreU(result[g].scale, kFloat, found.scale + at);
    hn::StoreU(hn::Neg(result[g].low), kFloat, found.offset + at);
    hn::StoreU(result[g].inverse, kFloat, found.inverse + at);
    hn::StoreU(result[g].from, kFloat, found.from + at);
    hn::StoreU(result[g].weight_sum, kFloat, found.weight_sum + at);
    hn::StoreU(hn::IfThenElseZero(result[g].wild, Splat(1.0f)), kFloat, found.wild + at);
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

HWY_INLINE void StoreBytes(Uints bytes, std::uint8_t* out) {
  hn::StoreU(hn::TruncateTo(kByte, bytes), kByte, out);
}

HWY_INLINE Uints LowBits(Uints codes, std::uint32_t mask) {
  return hn::And(codes, hn::Set(kUint, mask));
}

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

// One super-block whose sub-blocks start at `first` of the tile.
template <class Traits, std::size_t kSubBlocks>
void FinishSuper(const Strip& strip, const Found<kSubBlocks>& found, std::size_t first,
                 typename Traits::Block& to) {
  constexpr std::size_t kSubs = kSuper / Traits::kSub;
  const auto reference = [&] { Traits::kReference(strip, reinterpret_cast<std::byte*>(&to)); };
  if (std::any_of(found.wild + first, found.wild + first + kSubs,
                  [](float wild) { return wild != 0; })) {
    return reference();
  }
  AffineSuper super;
  std::copy_n(found.scale + first, kSubs, super.scales);
  std::copy_n(found.offset + first, kSubs, super.offsets);
  std::copy_n(found.weight_sum + first, kSubs, super.weight_sums);
  quantize_scales(Traits::kShape, strip.importance != nullptr, super);
  Requantizer requantizer(Traits::kShape, strip.values, super);
  if (requantizer.any_zero()) return reference();
  write_scales(super, to);
  WriteCodes(requantizer, to);
  if (!requantizer.tame()) reference();
}

template <class Traits>
void EncodeAffineK(const Strip& strip, std::byte* out) {
  constexpr std::size_t kSub = Traits::kSub;
  constexpr std::size_t kGroups =
      std::max<std::size_t>(kLanes == 16 ? 1 : 2, kSuper / kSub / kLanes);
  constexpr std::size_t kSubBlocks = kGroups * kLanes;
  constexpr std::size_t kTileValues = kSubBlocks * kSub;
  constexpr std::size_t kSupers = kTileValues / kSuper;
  auto* to = reinterpret_cast<typename Traits::Block*>(out);
  Tile<kSub, kGroups> x, weights;
  Found<kSubBlocks> found;
  alignas(64) float padded[kTileValues];
  for (std::size_t at = 0; at < strip.count; at += kTileValues) {
    const std::size_t count = std::min(kTileValues, strip.count - at);
    const float* values = strip.values + at;
    if (count < kTileValues) {
      std::fill(std::copy_n(values, count, padded), padded + kTileValues, 0.0f);
      values = padded;
    }
    LoadTile(values, x);
    PlainWeights(x, Traits::kAbsolutePlain, weights);
    SearchTile<Traits::kAbsolutePlain>(Traits::kShape.plain, x, weights, found);
    for (std::size_t s = 0; s < kSupers && s * kSuper < count; ++s, ++to) {
      FinishSuper<Traits>({strip.values + at + s * kSuper, kSuper}, found, s * (kSuper / kSub),
                          *to);
    }
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

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HWY_EXPORT(EncodeQ2_K);
HWY_EXPORT(EncodeQ4_K);
HWY_EXPORT(EncodeQ5_K);

void q2_k_encode(const Strip& strip, std::byte* blocks) noexcept {
  if (strip.importance != nullptr) return q2_k_encode_reference(strip, blocks);
  HWY_DYNAMIC_DISPATCH(EncodeQ2_K)(strip, blocks);
}

void q4_k_encode(const Strip& strip, std::byte* blocks) noexcept {
  if (strip.importance != nullptr) return q4_k_encode_reference(strip, blocks);
  HWY_DYNAMIC_DISPATCH(EncodeQ4_K)(strip, blocks);
}

void q5_k_encode(const Strip& strip, std::byte* blocks) noexcept {
  if (strip.importance != nullptr) return q5_k_encode_reference(strip, blocks);
  HWY_DYNAMIC_DISPATCH(EncodeQ5_K)(strip, blocks);
}

}  // namespace holdfast::quantize
#endif
