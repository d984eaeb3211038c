// Vector helpers that several kernels share. Included once per Highway target, inside no namespace;
// the guard below toggles, as in Highway's own -inl headers.
//
// Scalar target: Highway's one-lane vectors lack the shuffles that kernels need, and a CPU without
// SSE4 does not need a kernel. There the reference encoder is the kernel: HOLDFAST_SIMD is 0.
#if defined(HOLDFAST_LANES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_LANES_INL_H
#undef HOLDFAST_LANES_INL_H
#else
#define HOLDFAST_LANES_INL_H
#endif

#include <cstddef>
#include <cstdint>

#include <hwy/highway.h>

#include "quantize/internal/numbers.h"

#undef HOLDFAST_SIMD
#if HWY_TARGET == HWY_SCALAR
#define HOLDFAST_SIMD 0
#else
#define HOLDFAST_SIMD 1
#endif

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using IntTag = hn::RebindToSigned<FloatTag>;
using UintTag = hn::RebindToUnsigned<FloatTag>;
using Floats = hn::Vec<FloatTag>;
using Ints = hn::Vec<IntTag>;
using Uints = hn::Vec<UintTag>;

inline constexpr FloatTag kFloat{};
inline constexpr IntTag kInt{};
inline constexpr UintTag kUint{};
inline constexpr std::size_t kLanes = hn::MaxLanes(FloatTag{});

HWY_INLINE Floats Splat(float value) { return hn::Set(kFloat, value); }

// Half-precision bits in 32-bit lanes to float, exact for subnormals, infinities and NaN.
HWY_INLINE Floats HalfBitsToFloat(Uints half) {
  const auto magnitude = hn::ShiftLeft<13>(hn::And(half, hn::Set(kUint, 0x7fffu)));
  const auto sign = hn::ShiftLeft<16>(hn::And(half, hn::Set(kUint, 0x8000u)));
  const auto scaled = hn::Mul(hn::BitCast(kFloat, magnitude), Splat(0x1p112f));
  // An exponent of all ones stays all ones: 0x7c00 << 13 is 0x0f800000.
  const auto special = hn::Gt(hn::BitCast(kInt, magnitude), hn::Set(kInt, 0x0f7fffff));
  const auto fixed = hn::Or(magnitude, hn::Set(kUint, 0x7f800000u));
  const auto bits =
      hn::IfThenElse(hn::RebindMask(kUint, special), fixed, hn::BitCast(kUint, scaled));
  return hn::BitCast(kFloat, hn::Or(bits, sign));
}

// To half-precision bits in 32-bit lanes: rounds half to even, for every input but NaN.
HWY_INLINE Uints FloatToHalfBits(Floats value) {
  const auto bits = hn::BitCast(kUint, value);
  const auto magnitude = hn::And(bits, hn::Set(kUint, 0x7fffffffu));
  const auto sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(kUint, 0x8000u));
  const auto odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(kUint, 1u));
  const auto rounded = hn::ShiftRight<13>(magnitude + (hn::Set(kUint, 0xfffu - 0x38000000u) + odd));
  // The adder rounds subnormals: one unit in the last place of 0.5 is one subnormal step.
  const auto small = hn::BitCast(kUint, hn::BitCast(kFloat, magnitude) + Splat(0.5f)) -
                     hn::Set(kUint, 0x3f000000u);
  const auto signed_magnitude = hn::BitCast(kInt, magnitude);
  const auto is_small = hn::RebindMask(kUint, hn::Lt(signed_magnitude, hn::Set(kInt, 0x38800000)));
  const auto is_large = hn::RebindMask(kUint, hn::Gt(signed_magnitude, hn::Set(kInt, 0x477fffff)));
  const auto finite = hn::IfThenElse(is_small, small, rounded);
  return hn::Or(hn::IfThenElse(is_large, hn::Set(kUint, 0x7c00u), finite), sign);
}

// Half precision in memory and one by one, by the processor where it can. The same bits as the
// functions above and in numbers.h for all but NaN, whose payload may differ.
#if HWY_TARGET <= HWY_AVX2

HWY_INLINE Floats LoadHalves(const void* from) {
#if HWY_TARGET <= HWY_AVX3
  return Floats{_mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(from)))};
#else
  return Floats{_mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(from)))};
#endif
}

HWY_INLINE void StoreHalves(Floats value, void* to) {
#if HWY_TARGET <= HWY_AVX3
  _mm256_storeu_si256(static_cast<__m256i*>(to),
                      _mm512_cvtps_ph(value.raw, _MM_FROUND_TO_NEAREST_INT));
#else
  _mm_storeu_si128(static_cast<__m128i*>(to),
                   _mm256_cvtps_ph(value.raw, _MM_FROUND_TO_NEAREST_INT));
#endif
}

HWY_INLINE float HalfToFloat(std::uint16_t half) {
  return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half)));
}

HWY_INLINE std::uint16_t FloatToHalf(float value) {
  const __m128i half = _mm_cvtps_ph(_mm_set_ss(value), _MM_FROUND_TO_NEAREST_INT);
  return static_cast<std::uint16_t>(_mm_extract_epi16(half, 0));
}

#else

HWY_INLINE Floats LoadHalves(const void* from) {
  const hn::Rebind<std::uint16_t, FloatTag> narrow;
  const auto bits = hn::LoadU(narrow, static_cast<const std::uint16_t*>(from));
  return HalfBitsToFloat(hn::PromoteTo(kUint, bits));
}

HWY_INLINE void StoreHalves(Floats value, void* to) {
  const hn::Rebind<std::uint16_t, FloatTag> narrow;
  hn::StoreU(hn::TruncateTo(narrow, FloatToHalfBits(value)), narrow,
             static_cast<std::uint16_t*>(to));
}

HWY_INLINE float HalfToFloat(std::uint16_t half) { return half_to_float(half); }

HWY_INLINE std::uint16_t FloatToHalf(float value) { return float_to_half(value); }

#endif

// The largest magnitude of `count` values, whole vectors.
HWY_INLINE float LargestMagnitude(const float* x, std::size_t count) {
  Floats largest = hn::Zero(kFloat);
  for (std::size_t i = 0; i < count; i += kLanes) {
    largest = hn::Max(largest, hn::Abs(hn::LoadU(kFloat, x + i)));
  }
  return hn::GetLane(hn::MaxOfLanes(kFloat, largest));
}

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif
