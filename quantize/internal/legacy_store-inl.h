// Codes of a 32-value block from vector lanes into bytes.
#if defined(HOLDFAST_LEGACY_STORE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_LEGACY_STORE_INL_H
#undef HOLDFAST_LEGACY_STORE_INL_H
#else
#define HOLDFAST_LEGACY_STORE_INL_H
#endif

#include <hwy/highway.h>

#include "quantize/internal/lanes-inl.h"
#include "quantize/internal/legacy.h"
#include "quantize/internal/numbers.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {

inline constexpr std::size_t kParts = kBlock / kLanes;

// Half away from zero: the largest float below one half, added with the value's sign, carries every
// tie and nothing below it; truncation does the rest.
HWY_INLINE Floats RoundHalfAway(Floats value) {
  return hn::Trunc(value + hn::CopySign(Splat(0x1.fffffep-2f), value));
}

// Low bytes of 32-bit lanes.
HWY_INLINE void StoreBytes(Uints bytes, std::uint8_t* out) {
  const hn::Rebind<std::uint8_t, FloatTag> byte;
  hn::StoreU(hn::TruncateTo(byte, bytes), byte, out);
}

HWY_INLINE Uints LowBits(Uints codes, std::uint32_t mask) {
  return hn::And(codes, hn::Set(kUint, mask));
}

// Value i in the low nibble of byte i, value i + 16 in its high nibble.
HWY_INLINE void StoreNibbles(const Uints (&codes)[kParts], std::uint8_t* out) {
  for (std::size_t p = 0; p < kParts / 2; ++p) {
    StoreBytes(hn::Or(LowBits(codes[p], 15), hn::ShiftLeft<4>(codes[p + kParts / 2])),
               out + p * kLanes);
  }
}

HWY_INLINE void StoreFifthBits(const Uints (&codes)[kParts], std::uint8_t* out) {
  std::uint32_t all = 0;
  for (std::size_t p = 0; p < kParts; ++p) {
    std::uint8_t bits[8] = {};
    hn::StoreMaskBits(kUint, hn::TestBit(codes[p], hn::Set(kUint, 16u)), bits);
    all |= load<std::uint32_t>(bits) << (p * kLanes);
  }
  store(out, all);
}

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif
