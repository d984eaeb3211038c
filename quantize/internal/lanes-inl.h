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

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif
