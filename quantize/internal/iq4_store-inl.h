// The codes of an IQ4 sub-block under a scale that is known, across lanes.
#if defined(HOLDFAST_IQ4_STORE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_IQ4_STORE_INL_H
#undef HOLDFAST_IQ4_STORE_INL_H
#else
#define HOLDFAST_IQ4_STORE_INL_H
#endif

#include <hwy/highway.h>

#include "quantize/internal/iq4_nearest-inl.h"
#include "quantize/internal/legacy_store-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {

// Codes of 32 values, two a byte.
HWY_INLINE void WriteCodes(const float* x, float inverse, std::uint8_t* out) {
  Uints codes[kParts];
  for (std::size_t p = 0; p < kParts; ++p) {
    const Floats code = NearestCode(Splat(inverse) * hn::LoadU(kFloat, x + p * kLanes));
    codes[p] = hn::BitCast(kUint, code + Splat(0x1p23f));
  }
  StoreNibbles(codes, out);
}

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif
