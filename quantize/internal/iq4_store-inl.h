// The codes of an IQ4 sub-block under a scale that is known, across lanes.
#if defined(HOLDFAST_IQ4_STORE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_IQ4_STORE_INL_H
#undef HOLDFAST_IQ4_STORE_INL_H
#else
#define HOLDFAST_IQ4_STORE_INL_H
#endif

#include <cstddef>
#include <cstdint>

#include <hwy/highway.h>

#include "quantize/internal/errors-inl.h"
#include "quantize/internal/iq4_nearest-inl.h"
#include "quantize/internal/legacy_store-inl.h"
#include "quantize/internal/small.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

// Whether a code's value comes from one lookup; otherwise decoding blocks again is as fast.
inline constexpr bool kMeasuresIq4 = kLanes == 16;

struct alignas(64) Iq4Floats {
  float value[16];
};

inline constexpr Iq4Floats kIq4Floats = [] {
  Iq4Floats floats{};
  for (std::size_t i = 0; i < 16; ++i) floats.value[i] = static_cast<float>(kIq4Values[i]);
  return floats;
}();

// `codes` are Uints; only where kMeasuresIq4.
template <class Codes>
HWY_INLINE Floats Iq4Value(Codes codes) {
  const auto indices = hn::IndicesFromVec(kFloat, hn::BitCast(kInt, LowBits(codes, 15)));
  return hn::TableLookupLanes(hn::Load(kFloat, kIq4Floats.value), indices);
}

// Codes of 32 values, two a byte, which decode under the scale `stored`.
template <class Errors>
HWY_INLINE void WriteCodes(const float* x, float inverse, float stored, std::uint8_t* out,
                           Errors& errors) {
  static_assert(!Errors::kOn || kMeasuresIq4);
  Uints codes[kParts];
  ForPlaces([&](auto p) {
    const Floats value = hn::LoadU(kFloat, x + p * kLanes);
    const Floats code = NearestCode(Splat(inverse) * value);
    codes[p] = hn::BitCast(kUint, code + Splat(0x1p23f));
    if constexpr (Errors::kOn) {
      errors.add(p, value, hn::NegMulAdd(Iq4Value(codes[p]), Splat(stored), value));
    }
  });
  StoreNibbles(codes, out);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif
