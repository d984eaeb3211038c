// The formats of 32 values, SIMD encoders: one block at a time, its values across lanes. The plain
// rules need only order-independent reductions (largest, smallest), so lanes may share a block.
#include <bit>
#include <cmath>

#include "quantize/internal/dispatch.h"
#include "quantize/internal/families.h"
#include "quantize/internal/legacy.h"
#include "quantize/internal/numbers.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/legacy_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/errors-inl.h"
#include "quantize/internal/legacy_store-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

#if HOLDFAST_SIMD

// The values of one block.
struct BlockValues {
  explicit BlockValues(const float* x) {
    for (std::size_t p = 0; p < kParts; ++p) part[p] = hn::LoadU(kFloat, x + p * kLanes);
  }

  float largest() const {
    Floats result = part[0];
    for (std::size_t p = 1; p < kParts; ++p) result = hn::Max(result, part[p]);
    return hn::GetLane(hn::MaxOfLanes(kFloat, result));
  }

  float smallest() const {
    Floats result = part[0];
    for (std::size_t p = 1; p < kParts; ++p) result = hn::Min(result, part[p]);
    return hn::GetLane(hn::MinOfLanes(kFloat, result));
  }

  float largest_magnitude() const {
    Floats result = hn::Abs(part[0]);
    for (std::size_t p = 1; p < kParts; ++p) result = hn::Max(result, hn::Abs(part[p]));
    return hn::GetLane(hn::MaxOfLanes(kFloat, result));
  }

  Floats part[kParts];
};

// With +a and -a both present the first one counts.
float FirstOf(const float* x, float magnitude) {
  while (std::fabs(*x) != magnitude) ++x;
  return *x;
}

float SignedExtreme(const BlockValues& values, const float* x) {
  const float high = values.largest();
  const float low = values.smallest();
  if (high > -low) return high;
  if (high < -low) return low;
  return high == 0 ? 0 : FirstOf(x, high);  // never -0
}

static_assert(kParts == kPlaceVectors);  // a block's values are one set of places

// Small integers as the low bytes of 32-bit lanes: adding 2^23 leaves them in the mantissa.
HWY_INLINE Uints InMantissa(Floats code) { return hn::BitCast(kUint, code + Splat(0x1p23f)); }

// As Inverse of the reference: where scale or reciprocal overflows every code is 0.
struct InverseScale {
  explicit InverseScale(float scale)
      : value(scale != 0 ? 1.0f / scale : 0.0f),
        overflows(std::isinf(value) || std::isinf(scale)) {}

  float value;
  bool overflows;
};

template <class Block, int kLevels, class Errors>
HWY_INLINE void EncodeSymmetric(const Strip& strip, std::byte* out, Errors& errors) {
  auto* to = reinterpret_cast<Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kBlock, ++to) {
    const BlockValues values(strip.values + at);
    const float scale = SignedExtreme(values, strip.values + at) / static_cast<float>(-kLevels);
    const InverseScale inverse(scale);
    Floats code[kParts];
    Uints codes[kParts];
    for (std::size_t p = 0; p < kParts; ++p) {
      const Floats t = values.part[p] * Splat(inverse.value) + Splat(kLevels + 0.5f);
      const Floats truncated = hn::Trunc(hn::Min(t, Splat(2 * kLevels - 1)));
      code[p] = inverse.overflows ? hn::Zero(kFloat) : truncated;
      codes[p] = InMantissa(code[p]);
    }
    to->scale = FloatToHalf(scale);
    StoreNibbles(codes, to->codes);
    if constexpr (kLevels == 16) StoreFifthBits(codes, to->high);
    if constexpr (Errors::kOn) {
      const Floats stored = Splat(HalfToFloat(to->scale));
      ForPlaces([&](auto p) {
        const Floats x = values.part[p];
        errors.add(p, x, hn::NegMulAdd(code[p] - Splat(kLevels), stored, x));
      });
    }
  }
}

template <class Block, int kLevels, class Errors>
HWY_INLINE void EncodeAffine(const Strip& strip, std::byte* out, Errors& errors) {
  auto* to = reinterpret_cast<Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kBlock, ++to) {
    const BlockValues values(strip.values + at);
    float low = values.smallest();
    if (low == 0) low = FirstOf(strip.values + at, 0);  // the sign of the first zero is stored
    const float high = values.largest() + 0.0f;  // never -0, which would be the scale of zeros
    const float scale = (high - low) / static_cast<float>(kLevels);
    const InverseScale inverse(scale);
    Floats code[kParts];
    Uints codes[kParts];
    for (std::size_t p = 0; p < kParts; ++p) {
      const Floats t = (values.part[p] - Splat(low)) * Splat(inverse.value) + Splat(0.5f);
      const Floats truncated = hn::Trunc(hn::Min(t, Splat(kLevels)));
      code[p] = inverse.overflows ? hn::Zero(kFloat) : truncated;
      codes[p] = InMantissa(code[p]);
    }
    to->scale = FloatToHalf(scale);
    to->low = FloatToHalf(low);
    StoreNibbles(codes, to->codes);
    if constexpr (kLevels == 31) StoreFifthBits(codes, to->high);
    if constexpr (Errors::kOn) {
      const Floats stored = Splat(HalfToFloat(to->scale)), stored_low = Splat(HalfToFloat(to->low));
      ForPlaces([&](auto p) {
        const Floats x = values.part[p];
        errors.add(p, x, x - hn::MulAdd(code[p], stored, stored_low));  // the product is exact
      });
    }
  }
}

template <class Errors>
HWY_INLINE void EncodeQ8_0(const Strip& strip, std::byte* out, Errors& errors) {
  auto* to = reinterpret_cast<Q8_0Block*>(out);
  // Half away from zero: the largest float below one half, added with the value's sign, carries
  // every tie and nothing below it; truncation does the rest.
  const Floats half = Splat(0x1.fffffep-2f);
  for (std::size_t at = 0; at < strip.count; at += kBlock, ++to) {
    const BlockValues values(strip.values + at);
    const float scale = values.largest_magnitude() / 127;
    const InverseScale inverse(scale);
    const Floats factor = Splat(inverse.overflows ? 0.0f : inverse.value);
    to->scale = FloatToHalf(scale);
    [[maybe_unused]] const Floats stored = Splat(HalfToFloat(to->scale));
    ForPlaces([&](auto p) {
      const Floats x = values.part[p], t = x * factor;
      const Floats rounded = hn::Trunc(t + hn::CopySign(half, t));
      // 1.5 * 2^23 leaves the integer in the mantissa, two's complement.
      const auto bits = hn::BitCast(kUint, rounded + Splat(0x1.8p23f));
      StoreBytes(bits, reinterpret_cast<std::uint8_t*>(to->codes) + p * kLanes);
      if constexpr (Errors::kOn) errors.add(p, x, hn::NegMulAdd(rounded, stored, x));
    });
  }
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
