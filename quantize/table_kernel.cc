// Formats whose codes name one of sixteen small integers: SIMD encoders of MXFP4 and NVFP4,
// decoders of these and of IQ4_NL and IQ4_XS.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "quantize/internal/dispatch.h"
#include "quantize/internal/families.h"
#include "quantize/internal/fp4.h"
#include "quantize/internal/kquants.h"
#include "quantize/internal/legacy.h"
#include "quantize/internal/numbers.h"
#include "quantize/internal/small.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/table_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/block_groups-inl.h"
#include "quantize/internal/errors-inl.h"
#include "quantize/internal/legacy_store-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

#if HOLDFAST_SIMD

// Nearest E2M1 code: counts the middles between doubled magnitudes that |x| passes. A value on a
// middle takes the smaller one, and zero has one code. Differences to neighbouring values are exact
// there, so that comparing with the middle decides as the reference's comparison of errors does.
class E2M1Coder {
 public:
  explicit E2M1Coder(float unit) {
    constexpr float kMiddles[7] = {0.5f, 1.5f, 2.5f, 3.5f, 5, 7, 10};
    const float infinity = float_of(0x7f800000u);
    for (std::size_t k = 0; k < 7; ++k) {
      // With a unit of zero every value is as near as any other: the first code. A value that
      // overflows is infinitely far.
      const float above = static_cast<float>(kE2M1Doubled[k + 1]) * unit;
      middles_[k] = Splat(unit == 0 || above == infinity ? infinity : kMiddles[k] * unit);
    }
  }

  // How many middles a magnitude passes.
  HWY_INLINE Ints count(Floats magnitude) const {
    Ints passed = hn::Zero(kInt);
    for (const Floats middle : middles_) {
      passed = passed - hn::VecFromMask(kInt, hn::RebindMask(kInt, hn::Gt(magnitude, middle)));
    }
    return passed;
  }

  // With the sign of x.
  static HWY_INLINE Uints Code(Ints count, Floats x) {
    // Bit 31 of x to bit 3, unless the magnitude is zero.
    const auto sign = hn::And(hn::ShiftRight<28>(hn::BitCast(kUint, x)), hn::Set(kUint, 8u));
    const auto some = hn::RebindMask(kUint, hn::Gt(count, hn::Zero(kInt)));
    return hn::Or(hn::BitCast(kUint, count), hn::IfThenElseZero(some, sign));
  }

  // The doubled magnitude that a count stands for.
  static HWY_INLINE Floats Doubled(Ints count) {
    if constexpr (kLanes >= 8) {
      return hn::TableLookupLanes(hn::Load(kFloat, kDoubled), hn::IndicesFromVec(kFloat, count));
    }
    // Steps of one, from 4 on of two, from 8 on of four.
    const Ints twos = hn::Max(count - hn::Set(kInt, 4), hn::Zero(kInt));
    const Ints fours = hn::Max(count - hn::Set(kInt, 6), hn::Zero(kInt));
    return hn::ConvertTo(kFloat, count + twos + fours + fours);
  }

 private:
  alignas(64) static constexpr float kDoubled[16] = {0, 1, 2, 3, 4, 6, 8, 12};

  Floats middles_[7];
};

// The codes of kLanes values from kAt on of a block.
template <std::size_t kAt, class Errors>
HWY_INLINE Uints CodesAt(const float* x, const E2M1Coder& coder, float unit, Errors& errors) {
  const Floats value = hn::LoadU(kFloat, x + kAt), magnitude = hn::Abs(value);
  const Ints count = coder.count(magnitude);
  if constexpr (Errors::kOn) {  // the decoded value has the value's sign
    const Floats lost = hn::NegMulAdd(E2M1Coder::Doubled(count), Splat(unit), magnitude);
    errors.add(kAt % kSumPlaces / kLanes, magnitude, lost);
  }
  return E2M1Coder::Code(count, value);
}

// kCount values from kFirst on of the block at x into kCount / 2 bytes: value i low nibble, value
// i + kCount / 2 high nibble.
template <std::size_t kFirst, std::size_t kCount, class Errors>
HWY_INLINE void StoreE2M1(const float* x, float unit, std::uint8_t* out, Errors& errors) {
  const E2M1Coder coder(unit);
  constexpr std::size_t kHalf = kCount / 2;
  if constexpr (kLanes > kHalf) {  // all codes stand in one vector
    static_assert(kLanes == kCount && kHalf == sizeof(std::uint64_t));
    std::uint8_t codes[kCount];
    StoreBytes(CodesAt<kFirst>(x, coder, unit, errors), codes);
    store(out, load<std::uint64_t>(codes) | load<std::uint64_t>(codes + kHalf) << 4);
  } else {
    Unrolled<kHalf / kLanes>([&](auto i) {
      const Uints low = CodesAt<kFirst + i * kLanes>(x, coder, unit, errors);
      const Uints high = CodesAt<kFirst + kHalf + i * kLanes>(x, coder, unit, errors);
      StoreBytes(hn::Or(low, hn::ShiftLeft<4>(high)), out + i * kLanes);
    });
  }
}

template <class Errors>
HWY_INLINE void EncodeMXFP4(const Strip& strip, std::byte* out, Errors& errors) {
  auto* to = reinterpret_cast<MXFP4Block*>(out);
  // All exponents first: a call of a function empties the vector registers.
  ForGroups<kBlock>(strip, [&](const float* x, std::size_t blocks) {
    alignas(64) float largest[kLanes];
    hn::Store(LargestMagnitudeOfEach<kBlock>(x), kFloat, largest);
    for (std::size_t b = 0; b < blocks; ++b, ++to) to->exponent = mxfp4_exponent(largest[b]);
  });
  to -= strip.count / kBlock;
  for (const float* x = strip.values; x != strip.values + strip.count; x += kBlock, ++to) {
    StoreE2M1<0, kBlock>(x, mxfp4_unit(to->exponent), to->codes, errors);
  }
}

// Beyond 2^24 times the saturated scale's integers, subtracting a value from x changes nothing, and
// the reference takes the first code.
inline constexpr float kExactMagnitude = 1048576.0f;

template <class Errors>
HWY_INLINE void EncodeNVFP4(const Strip& strip, std::byte* out, Errors& errors) {
  constexpr std::size_t kValues = 64, kScales = 4, kSub = kValues / kScales;
  auto* to = reinterpret_cast<NVFP4Block*>(out);
  ForGroups<kValues>(strip, [&](const float* x, std::size_t blocks) {
    alignas(64) float largest[kLanes * kScales];
    Unrolled<kScales>([&](auto i) {
      hn::Store(LargestMagnitudeOfEach<kSub>(x + i * kLanes * kSub), kFloat, largest + i * kLanes);
    });
    for (std::size_t i = 0; i < blocks * kScales; ++i) {
      to[i / kScales].scales[i % kScales] = float_to_ue4m3(largest[i] / 6.0f);
    }
    for (std::size_t b = 0; b < blocks; ++b, x += kValues, ++to) {
      const float* of_block = largest + b * kScales;
      if (*std::max_element(of_block, of_block + kScales) > kExactMagnitude) {
        EncodeByReference(Format::NVFP4, {x, kValues}, reinterpret_cast<std::byte*>(to), errors);
        continue;
      }
      Unrolled<kScales>([&](auto j) {
        StoreE2M1<kSub * j, kSub>(x, ue4m3_unit(to->scales[j]), to->codes + 8 * j, errors);
      });
    }
  });
}

// Values of 2 * kBytes codes: the low nibbles first, then the high ones.
template <std::size_t kBytes>
HWY_INLINE void DecodeNibbles(const std::int8_t* table, const std::uint8_t* codes, float scale,
                              float* y) {
  const hn::FixedTag<std::uint8_t, 16> bytes;
  const hn::Rebind<std::int8_t, FloatTag> narrow;
  const auto values = hn::LoadU(bytes, reinterpret_cast<const std::uint8_t*>(table));
  const hn::FixedTag<std::uint8_t, kBytes> part;
  const auto pairs = hn::LoadU(part, codes);
  const auto low = hn::And(pairs, hn::Set(part, std::uint8_t{15}));
  const auto high = hn::ShiftRight<4>(pairs);
  alignas(16) std::int8_t looked_up[2 * kBytes];
  auto* out = reinterpret_cast<std::uint8_t*>(looked_up);
  if constexpr (kBytes == 8) {  // one store: a load that spans two has to wait for both
    hn::Store(hn::TableLookupBytes(values, hn::Combine(bytes, high, low)), bytes, out);
  } else {
    hn::Store(hn::TableLookupBytes(values, low), bytes, out);
    hn::Store(hn::TableLookupBytes(values, high), bytes, out + kBytes);
  }
  for (std::size_t i = 0; i < 2 * kBytes; i += kLanes) {
    const auto wide = hn::PromoteTo(kInt, hn::LoadU(narrow, looked_up + i));
    hn::StoreU(Splat(scale) * hn::ConvertTo(kFloat, wide), kFloat, y + i);
  }
}

void DecodeMXFP4(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const MXFP4Block*>(blocks);
  for (const float* end = y + count; y != end; y += kBlock, ++block) {
    DecodeNibbles<16>(kE2M1Doubled, block->codes, mxfp4_unit(block->exponent), y);
  }
}

void DecodeNVFP4(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const NVFP4Block*>(blocks);
  for (const float* end = y + count; y != end; y += 64, ++block) {
    for (std::size_t j = 0; j < 4; ++j) {
      DecodeNibbles<8>(kE2M1Doubled, block->codes + 8 * j, ue4m3_unit(block->scales[j]),
                       y + 16 * j);
    }
  }
}

void DecodeIQ4_NL(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const IQ4_NLBlock*>(blocks);
  for (const float* end = y + count; y != end; y += kBlock, ++block) {
    DecodeNibbles<16>(kIq4Values, block->codes, HalfToFloat(block->scale), y);
  }
}

void DecodeIQ4_XS(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const IQ4_XSBlock*>(blocks);
  for (const float* end = y + count; y != end; y += kSuper, ++block) {
    const float scale = HalfToFloat(block->scale);
    const auto low = load<std::uint32_t>(block->scales_low);
    for (std::size_t j = 0; j < 8; ++j) {
      const auto biased = (low >> (4 * j) & 15u) | (block->scales_high >> (2 * j) & 3u) << 4;
      DecodeNibbles<16>(kIq4Values, block->codes + 16 * j,
                        scale * static_cast<float>(static_cast<int>(biased) - 32), y + kBlock * j);
    }
  }
}

#else

template <class Errors>
void EncodeMXFP4(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeByReference(Format::MXFP4, strip, out, errors);
}

template <class Errors>
void EncodeNVFP4(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeByReference(Format::NVFP4, strip, out, errors);
}

void DecodeMXFP4(const std::byte* blocks, std::size_t count, float* y) {
  mxfp4_decode_reference(blocks, count, y);
}

void DecodeNVFP4(const std::byte* blocks, std::size_t count, float* y) {
  nvfp4_decode_reference(blocks, count, y);
}

void DecodeIQ4_NL(const std::byte* blocks, std::size_t count, float* y) {
  iq4_nl_decode_reference(blocks, count, y);
}

void DecodeIQ4_XS(const std::byte* blocks, std::size_t count, float* y) {
  iq4_xs_decode_reference(blocks, count, y);
}

#endif

HOLDFAST_BOTH_USES(EncodeMXFP4);
HOLDFAST_BOTH_USES(EncodeNVFP4);

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HOLDFAST_DISPATCH_MEASURED(mxfp4, EncodeMXFP4);
HOLDFAST_DISPATCH_MEASURED(nvfp4, EncodeNVFP4);
HOLDFAST_DISPATCH_DECODE(mxfp4_decode, DecodeMXFP4);
HOLDFAST_DISPATCH_DECODE(nvfp4_decode, DecodeNVFP4);
HOLDFAST_DISPATCH_DECODE(iq4_nl_decode, DecodeIQ4_NL);
HOLDFAST_DISPATCH_DECODE(iq4_xs_decode, DecodeIQ4_XS);

}  // namespace holdfast::quantize
#endif
