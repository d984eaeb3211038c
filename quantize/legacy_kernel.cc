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

// Codes as the low bytes of 32-bit lanes: truncate(t), at most `top`. Adding 2^23 leaves the
// integer in the mantissa.
HWY_INLINE Uints TruncatedCode(Floats t, float top) {
  return hn::BitCast(kUint, hn::Trunc(hn::Min(t, Splat(top))) + Splat(0x1p23f));
}

// As Inverse of the reference: where scale or reciprocal overflows every code is 0.
struct InverseScale {
  explicit InverseScale(float scale)
      : value(scale != 0 ? 1.0f / scale : 0.0f),
        overflows(std::isinf(value) || std::isinf(scale)) {}

  float value;
  bool overflows;
};

template <class Block, int kLevels>
void EncodeSymmetric(const Strip& strip, std::byte* out) {
  auto* to = reinterpret_cast<Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kBlock, ++to) {
    const BlockValues values(strip.values + at);
    const float scale = SignedExtreme(values, strip.values + at) / static_cast<float>(-kLevels);
    const InverseScale inverse(scale);
    Uints codes[kParts];
    for (std::size_t p = 0; p < kParts; ++p) {
      const Floats t = values.part[p] * Splat(inverse.value) + Splat(kLevels + 0.5f);
      codes[p] = inverse.overflows ? hn::Zero(kUint) : TruncatedCode(t, 2 * kLevels - 1);
    }
    to->scale = FloatToHalf(scale);
    StoreNibbles(codes, to->codes);
    if constexpr (kLevels == 16) StoreFifthBits(codes, to->high);
  }
}

template <class Block, int kLevels>
void EncodeAffine(const Strip& strip, std::byte* out) {
  auto* to = reinterpret_cast<Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kBlock, ++to) {
    const BlockValues values(strip.values + at);
    float low = values.smallest();
    if (low == 0) low = FirstOf(strip.values + at, 0);  // the sign of the first zero is stored
    const float high = values.largest() + 0.0f;  // never -0, which would be the scale of zeros
    const float scale = (high - low) / static_cast<float>(kLevels);
    const InverseScale inverse(scale);
    Uints codes[kParts];
    for (std::size_t p = 0; p < kParts; ++p) {
      const Floats t = (values.part[p] - Splat(low)) * Splat(inverse.value) + Splat(0.5f);
      codes[p] = inverse.overflows ? hn::Zero(kUint) : TruncatedCode(t, kLevels);
    }
    to->scale = FloatToHalf(scale);
    to->low = FloatToHalf(low);
    StoreNibbles(codes, to->codes);
    if constexpr (kLevels == 31) StoreFifthBits(codes, to->high);
  }
}

void EncodeQ8_0(const Strip& strip, std::byte* out) {
  auto* to = reinterpret_cast<Q8_0Block*>(out);
  // Half away from zero: the largest float below one half, added with the value's sign, carries
  // every tie and nothing below it; truncation does the rest.
  const Floats half = Splat(0x1.fffffep-2f);
  for (std::size_t at = 0; at < strip.count; at += kBlock, ++to) {
    const BlockValues values(strip.values + at);
    const float scale = values.largest_magnitude() / 127;
    const InverseScale inverse(scale);
    const Floats factor = Splat(inverse.overflows ? 0.0f : inverse.value);
    for (std::size_t p = 0; p < kParts; ++p) {
      const Floats t = values.part[p] * factor;
      const Floats rounded = hn::Trunc(t + hn::CopySign(half, t));
      // 1.5 * 2^23 leaves the integer in the mantissa, two's complement.
      const auto bits = hn::BitCast(kUint, rounded + Splat(0x1.8p23f));
      StoreBytes(bits, reinterpret_cast<std::uint8_t*>(to->codes) + p * kLanes);
    }
    to->scale = FloatToHalf(scale);
  }
}

void EncodeQ4_0(const Strip& strip, std::byte* out) { EncodeSymmetric<Q4_0Block, 8>(strip, out); }

void EncodeQ4_1(const Strip& strip, std::byte* out) { EncodeAffine<Q4_1Block, 15>(strip, out); }

void EncodeQ5_0(const Strip& strip, std::byte* out) { EncodeSymmetric<Q5_0Block, 16>(strip, out); }

void EncodeQ5_1(const Strip& strip, std::byte* out) { EncodeAffine<Q5_1Block, 31>(strip, out); }

#else

void EncodeQ4_0(const Strip& strip, std::byte* out) { q4_0_encode_reference(strip, out); }

void EncodeQ4_1(const Strip& strip, std::byte* out) { q4_1_encode_reference(strip, out); }

void EncodeQ5_0(const Strip& strip, std::byte* out) { q5_0_encode_reference(strip, out); }

void EncodeQ5_1(const Strip& strip, std::byte* out) { q5_1_encode_reference(strip, out); }

void EncodeQ8_0(const Strip& strip, std::byte* out) { q8_0_encode_reference(strip, out); }

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HWY_EXPORT(EncodeQ4_0);
HWY_EXPORT(EncodeQ4_1);
HWY_EXPORT(EncodeQ5_0);
HWY_EXPORT(EncodeQ5_1);

void q4_0_encode(const Strip& strip, std::byte* blocks) noexcept {
  if (strip.importance != nullptr) return q4_0_encode_weighted(strip, blocks);
  HWY_DYNAMIC_DISPATCH(EncodeQ4_0)(strip, blocks);
}

void q4_1_encode(const Strip& strip, std::byte* blocks) noexcept {
  if (strip.importance != nullptr) return q4_1_encode_weighted(strip, blocks);
  HWY_DYNAMIC_DISPATCH(EncodeQ4_1)(strip, blocks);
}

void q5_0_encode(const Strip& strip, std::byte* blocks) noexcept {
  if (strip.importance != nullptr) return q5_0_encode_weighted(strip, blocks);
  HWY_DYNAMIC_DISPATCH(EncodeQ5_0)(strip, blocks);
}

void q5_1_encode(const Strip& strip, std::byte* blocks) noexcept {
  if (strip.importance != nullptr) return q5_1_encode_weighted(strip, blocks);
  HWY_DYNAMIC_DISPATCH(EncodeQ5_1)(strip, blocks);
}

HOLDFAST_DISPATCH_ENCODE(q8_0_encode, EncodeQ8_0);

}  // namespace holdfast::quantize
#endif
