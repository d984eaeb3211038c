// The formats of 32 values, SIMD encoders: a block's values across lanes, and what is worked out
// once a block for a group of blocks at a time. The plain rules need only order-independent
// reductions (largest, smallest), so lanes may share a block.
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "quantize/internal/dispatch.h"
#include "quantize/internal/families.h"
#include "quantize/internal/legacy.h"
#include "quantize/internal/numbers.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/legacy_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/block_groups-inl.h"
#include "quantize/internal/errors-inl.h"
#include "quantize/internal/legacy_store-inl.h"
#include "quantize/internal/tile-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

#if HOLDFAST_SIMD

static_assert(kParts == kPlaceVectors);  // a block's values are one set of places

// With +a and -a both present the first one counts.
float FirstOf(const float* x, float magnitude) {
  while (std::fabs(*x) != magnitude) ++x;
  return *x;
}

// Of each block of a group the value of the largest magnitude, with its sign.
HWY_INLINE Floats SignedExtremes(const float* x) {
  const Floats high = ExtremeOfEach<kBlock>(x, Largest{});
  const Floats low = ExtremeOfEach<kBlock>(x, Smallest{});
  const Floats extremes = hn::IfThenElse(hn::Gt(high, hn::Neg(low)), high, low);
  std::uint32_t ties = MaskBits(hn::Eq(high, hn::Neg(low)));
  if (ties == 0) return extremes;
  alignas(64) float fixed[kLanes];
  hn::Store(extremes, kFloat, fixed);
  for (; ties != 0; ties &= ties - 1) {
    const auto b = static_cast<std::size_t>(std::countr_zero(ties));
    fixed[b] = fixed[b] == 0 ? 0 : FirstOf(x + b * kBlock, std::fabs(fixed[b]));  // never -0
  }
  return hn::Load(kFloat, fixed);
}

// Of each block of a group the smallest value; a zero with the sign of the first one, as it is
// stored.
HWY_INLINE Floats Lows(const float* x) {
  const Floats lows = ExtremeOfEach<kBlock>(x, Smallest{});
  std::uint32_t zeros = MaskBits(hn::Eq(lows, hn::Zero(kFloat)));
  if (zeros == 0) return lows;
  alignas(64) float fixed[kLanes];
  hn::Store(lows, kFloat, fixed);
  for (; zeros != 0; zeros &= zeros - 1) {
    const auto b = static_cast<std::size_t>(std::countr_zero(zeros));
    fixed[b] = FirstOf(x + b * kBlock, 0);
  }
  return hn::Load(kFloat, fixed);
}

// Small integers as the low bytes of 32-bit lanes: adding 2^23 leaves them in the mantissa.
HWY_INLINE Uints InMantissa(Floats code) { return hn::BitCast(kUint, code + Splat(0x1p23f)); }

template <class Block, int kLevels, class Errors>
HWY_INLINE void EncodeSymmetric(const Strip& strip, std::byte* out, Errors& errors) {
  constexpr Format kFormat = kLevels == 16 ? Format::Q5_0 : Format::Q4_0;
  auto* to = reinterpret_cast<Block*>(out);
  ForGroups<kBlock>(strip, [&](const float* x, std::size_t blocks) {
    const Floats scales = SignedExtremes(x) / Splat(-kLevels);
    const Inverses inverses(scales);
    const StoredHalves stored(scales);
    if (inverses.overflow) {
      EncodeByReference(kFormat, {x, blocks * kBlock}, reinterpret_cast<std::byte*>(to), errors);
      to += blocks;
      return;
    }
    for (std::size_t b = 0; b < blocks; ++b, x += kBlock, ++to) {
      Uints codes[kParts];
      ForPlaces([&](auto p) {
        const Floats value = hn::LoadU(kFloat, x + p * kLanes);
        const Floats t = value * Splat(inverses.values[b]) + Splat(kLevels + 0.5f);
        const Floats code = hn::Trunc(hn::Min(t, Splat(2 * kLevels - 1)));
        codes[p] = InMantissa(code);
        if constexpr (Errors::kOn) {
          errors.add(p, value,
                     hn::NegMulAdd(code - Splat(kLevels), Splat(stored.values[b]), value));
        }
      });
      to->scale = stored.bits[b];
      StoreNibbles(codes, to->codes);
      if constexpr (kLevels == 16) StoreFifthBits(codes, to->high);
    }
  });
}

template <class Block, int kLevels, class Errors>
HWY_INLINE void EncodeAffine(const Strip& strip, std::byte* out, Errors& errors) {
  constexpr Format kFormat = kLevels == 31 ? Format::Q5_1 : Format::Q4_1;
  auto* to = reinterpret_cast<Block*>(out);
  ForGroups<kBlock>(strip, [&](const float* x, std::size_t blocks) {
    const Floats lows = Lows(x);
    // Never -0, which would be the scale of zeros.
    const Floats highs = ExtremeOfEach<kBlock>(x, Largest{}) + hn::Zero(kFloat);
    const Floats scales = (highs - lows) / Splat(kLevels);
    const Inverses inverses(scales);
    const StoredHalves stored(scales), stored_lows(lows);
    if (inverses.overflow) {
      EncodeByReference(kFormat, {x, blocks * kBlock}, reinterpret_cast<std::byte*>(to), errors);
      to += blocks;
      return;
    }
    alignas(64) float low[kLanes];
    hn::Store(lows, kFloat, low);
    for (std::size_t b = 0; b < blocks; ++b, x += kBlock, ++to) {
      Uints codes[kParts];
      ForPlaces([&](auto p) {
        const Floats value = hn::LoadU(kFloat, x + p * kLanes);
        const Floats t = (value - Splat(low[b])) * Splat(inverses.values[b]) + Splat(0.5f);
        const Floats code = hn::Trunc(hn::Min(t, Splat(kLevels)));
        codes[p] = InMantissa(code);
        if constexpr (Errors::kOn) {
          errors.add(
              p, value,  // the product is exact
              value - hn::MulAdd(code, Splat(stored.values[b]), Splat(stored_lows.values[b])));
        }
      });
      to->scale = stored.bits[b];
      to->low = stored_lows.bits[b];
      StoreNibbles(codes, to->codes);
      if constexpr (kLevels == 31) StoreFifthBits(codes, to->high);
    }
  });
}

template <class Errors>
HWY_INLINE void EncodeQ8_0(const Strip& strip, std::byte* out, Errors& errors) {
  auto* to = reinterpret_cast<Q8_0Block*>(out);
  ForGroups<kBlock>(strip, [&](const float* x, std::size_t blocks) {
    const Floats scales = LargestMagnitudeOfEach<kBlock>(x) / Splat(127);
    const Inverses inverses(scales);  // where one overflows all codes are 0
    const StoredHalves stored(scales);
    for (std::size_t b = 0; b < blocks; ++b, x += kBlock, ++to) {
      to->scale = stored.bits[b];
      ForPlaces([&](auto p) {
        const Floats value = hn::LoadU(kFloat, x + p * kLanes);
        const Floats rounded = RoundHalfAway(value * Splat(inverses.values[b]));
        // 1.5 * 2^23 leaves the integer in the mantissa, two's complement.
        const auto bits = hn::BitCast(kUint, rounded + Splat(0x1.8p23f));
        StoreBytes(bits, reinterpret_cast<std::uint8_t*>(to->codes) + p * kLanes);
        if constexpr (Errors::kOn) {
          errors.add(p, value, hn::NegMulAdd(rounded, Splat(stored.values[b]), value));
        }
      });
    }
  });
}

template <class Errors>
HWY_INLINE void EncodeQ4_0(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeSymmetric<Q4_0Block, 8>(strip, out, errors);
}

template <class Errors>
HWY_INLINE void EncodeQ4_1(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeAffine<Q4_1Block, 15>(strip, out, errors);
}

template <class Errors>
HWY_INLINE void EncodeQ5_0(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeSymmetric<Q5_0Block, 16>(strip, out, errors);
}

template <class Errors>
HWY_INLINE void EncodeQ5_1(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeAffine<Q5_1Block, 31>(strip, out, errors);
}

#else

template <class Errors>
void EncodeQ4_0(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeByReference(Format::Q4_0, strip, out, errors);
}

template <class Errors>
void EncodeQ4_1(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeByReference(Format::Q4_1, strip, out, errors);
}

template <class Errors>
void EncodeQ5_0(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeByReference(Format::Q5_0, strip, out, errors);
}

template <class Errors>
void EncodeQ5_1(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeByReference(Format::Q5_1, strip, out, errors);
}

template <class Errors>
void EncodeQ8_0(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeByReference(Format::Q8_0, strip, out, errors);
}

#endif

HOLDFAST_BOTH_USES(EncodeQ4_0);
HOLDFAST_BOTH_USES(EncodeQ4_1);
HOLDFAST_BOTH_USES(EncodeQ5_0);
HOLDFAST_BOTH_USES(EncodeQ5_1);
HOLDFAST_BOTH_USES(EncodeQ8_0);

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

// With importance weights another kernel encodes, and what it lost is taken from its blocks.
#define DISPATCH_UNWEIGHTED(name, format, Kernel)                                                 \
  HWY_EXPORT(Kernel##Only);                                                                       \
  HWY_EXPORT(Kernel##Measured);                                                                   \
  void name##_encode(const Strip& strip, std::byte* blocks) noexcept {                            \
    if (strip.importance != nullptr) return name##_encode_weighted(strip, blocks);                \
    HWY_DYNAMIC_DISPATCH(Kernel##Only)(strip, blocks);                                            \
  }                                                                                               \
  bool name##_encode_measured(const Strip& strip, std::byte* blocks, PlacedSums& sums) noexcept { \
    if (strip.importance == nullptr) {                                                            \
      return HWY_DYNAMIC_DISPATCH(Kernel##Measured)(strip, blocks, sums);                         \
    }                                                                                             \
    name##_encode_weighted(strip, blocks);                                                        \
    return add_decoded_errors(info(format), strip.values, blocks, strip.count, sums);             \
  }                                                                                               \
  static_assert(true)

DISPATCH_UNWEIGHTED(q4_0, Format::Q4_0, EncodeQ4_0);
DISPATCH_UNWEIGHTED(q4_1, Format::Q4_1, EncodeQ4_1);
DISPATCH_UNWEIGHTED(q5_0, Format::Q5_0, EncodeQ5_0);
DISPATCH_UNWEIGHTED(q5_1, Format::Q5_1, EncodeQ5_1);

#undef DISPATCH_UNWEIGHTED

HOLDFAST_DISPATCH_MEASURED(q8_0, EncodeQ8_0);

}  // namespace holdfast::quantize
#endif
