// TQ1_0, TQ2_0, Q1_0 and Q2_0, SIMD encoders and decoders.
#include <algorithm>
#include <cmath>

#include "quantize/internal/dispatch.h"
#include "quantize/internal/families.h"
#include "quantize/internal/kquants.h"
#include "quantize/internal/numbers.h"
#include "quantize/internal/small.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/ternary_kernel.cc"
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

inline constexpr std::size_t kSigns = 128;   // values of a Q1_0 block
inline constexpr std::size_t kTwoBits = 64;  // of a Q2_0 block

#if HOLDFAST_SIMD

// round(x / scale), half away from zero; 0 where the reciprocal of the scale overflows.
class Rounding {
 public:
  explicit Rounding(float scale)
      : inverse_(scale != 0 ? 1.0f / scale : 0.0f), overflows_(std::isinf(inverse_)) {}

  bool overflows() const { return overflows_; }

  HWY_INLINE Floats operator()(Floats x) const {
    return RoundHalfAway(x * Splat(overflows_ ? 0.0f : inverse_));
  }

 private:
  float inverse_;
  bool overflows_;
};

// A scale as it is stored, in all lanes.
HWY_INLINE Floats Stored(std::uint16_t scale) { return Splat(HalfToFloat(scale)); }

// Trits of kLanes bytes: values kFirst, kFirst + kStride, … of the block at x, the first one most
// significant.
template <std::size_t kFirst, std::size_t kStride, class Errors>
HWY_INLINE void StoreTrits(const float* x, const Rounding& round, Floats stored, std::uint8_t* out,
                           Errors& errors) {
  Floats value = hn::Zero(kFloat);
  Unrolled<5>([&](auto n) {
    constexpr std::size_t kAt = kFirst + n * kStride;
    const Floats v = hn::LoadU(kFloat, x + kAt), trit = round(v);
    if constexpr (Errors::kOn) {
      errors.add(kAt % kSumPlaces / kLanes, v, hn::NegMulAdd(trit, stored, v));
    }
    value = hn::MulAdd(value, Splat(3), trit);  // small integers: exact
  });
  // (value * 256 + 242) / 243 by the rounded-up reciprocal, exact below 2^16. A one for each trit.
  const auto wide = LowBits(hn::BitCast(kUint, value + Splat(0x1p23f + 121)), 255);
  const auto scaled = hn::ShiftLeft<8>(wide) + hn::Set(kUint, 242u);
  StoreBytes(hn::ShiftRight<24>(scaled * hn::Set(kUint, 69043u)), out);
}

// The last sixteen values of a TQ1_0 block: four a byte, a fifth trit of zero.
template <class Errors>
HWY_INLINE void StoreLastTrits(const float* x, const Rounding& round, Floats stored,
                               std::uint8_t* out, Errors& errors) {
  alignas(64) float trits[16];
  Unrolled<16 / kLanes>([&](auto i) {
    constexpr std::size_t kAt = 240 + i * kLanes;
    const Floats v = hn::LoadU(kFloat, x + kAt), trit = round(v);
    if constexpr (Errors::kOn) {
      errors.add(kAt % kSumPlaces / kLanes, v, hn::NegMulAdd(trit, stored, v));
    }
    hn::Store(trit, kFloat, trits + i * kLanes);
  });
  for (std::size_t m = 0; m < 4; ++m) {
    unsigned value = 0;
    for (std::size_t n = 0; n < 4; ++n) {
      value = value * 3 + static_cast<unsigned>(static_cast<int>(trits[m + 4 * n]) + 1);
    }
    out[m] = static_cast<std::uint8_t>((value * 3 * 256 + 242) / 243);
  }
}

template <class Errors>
HWY_INLINE void EncodeTQ1_0(const Strip& strip, std::byte* out, Errors& errors) {
  auto* to = reinterpret_cast<TQ1_0Block*>(out);
  for (const float* x = strip.values; x != strip.values + strip.count; x += kSuper, ++to) {
    const float scale = LargestMagnitude(x, kSuper);
    const Rounding round(scale);
    to->scale = FloatToHalf(scale);
    const Floats stored = Stored(to->scale);
    Unrolled<32 / kLanes>([&](auto m) {
      StoreTrits<m * kLanes, 32>(x, round, stored, to->codes + m * kLanes, errors);
    });
    Unrolled<16 / kLanes>([&](auto m) {
      StoreTrits<160 + m * kLanes, 16>(x, round, stored, to->codes + 32 + m * kLanes, errors);
    });
    StoreLastTrits(x, round, stored, to->last, errors);
  }
}

template <class Errors>
HWY_INLINE void EncodeTQ2_0(const Strip& strip, std::byte* out, Errors& errors) {
  constexpr float kPowers[4] = {1, 4, 16, 64};
  auto* to = reinterpret_cast<TQ2_0Block*>(out);
  for (const float* x = strip.values; x != strip.values + strip.count; x += kSuper, ++to) {
    const float scale = LargestMagnitude(x, kSuper);
    const Rounding round(scale);
    to->scale = FloatToHalf(scale);
    const Floats stored = Stored(to->scale);
    Unrolled<64 / kLanes>([&](auto m) {
      constexpr std::size_t kByte = m * kLanes, kFirst = kByte / 32 * 128 + kByte % 32;
      Floats value = Splat(0x1p23f + 85);  // a one for each code
      Unrolled<4>([&](auto k) {
        constexpr std::size_t kAt = kFirst + 32 * k;
        const Floats v = hn::LoadU(kFloat, x + kAt), code = round(v);
        if constexpr (Errors::kOn) {
          errors.add(kAt % kSumPlaces / kLanes, v, hn::NegMulAdd(code, stored, v));
        }
        value = hn::MulAdd(code, Splat(kPowers[k]), value);  // small integers: exact
      });
      StoreBytes(hn::BitCast(kUint, value), to->codes + kByte);
    });
  }
}

// Sums of magnitudes of kLanes blocks of 128, one a lane.
void SumMagnitudes(const float* x, float* sums) {
  Floats sum = hn::Zero(kFloat);
  for (std::size_t i = 0; i < kSigns; i += 4) {
    Floats columns[4];
    LoadColumns(x + i, kSigns, columns);
    for (const Floats column : columns) sum = sum + hn::Abs(column);
  }
  hn::StoreU(sum, kFloat, sums);
}

template <class Errors>
HWY_INLINE void EncodeQ1_0(const Strip& strip, std::byte* out, Errors& errors) {
  auto* to = reinterpret_cast<Q1_0Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kLanes * kSigns) {
    const float* x = strip.values + at;
    if ((strip.count - at) / kSigns < kLanes) {
      return EncodeByReference(Format::Q1_0, {x, strip.count - at},
                               reinterpret_cast<std::byte*>(to), errors);
    }
    float sums[kLanes];
    SumMagnitudes(x, sums);
    for (std::size_t b = 0; b < kLanes; ++b, ++to, x += kSigns) {
      to->scale = FloatToHalf(sums[b] / kSigns);
      [[maybe_unused]] const Floats stored = Stored(to->scale);
      for (std::size_t i = 0; i < kSigns; i += kSumPlaces) {
        std::uint32_t signs = 0;
        ForPlaces([&](auto p) {
          const Floats v = hn::LoadU(kFloat, x + i + p * kLanes);
          signs |= MaskBits(hn::Ge(v, hn::Zero(kFloat))) << (p * kLanes);
          // The decoded value has the value's sign.
          if constexpr (Errors::kOn) errors.add(p, hn::Abs(v), hn::Abs(v) - stored);
        });
        store(to->signs + i / 8, signs);
      }
    }
  }
}

// Four codes of two bits, one a byte of each lane, into the low byte.
HWY_INLINE Uints PackFour(Uints codes) {
  // Shifted by 24, 18, 12 and 6 they meet in the highest byte, and no bits below it meet.
  return hn::ShiftRight<24>(codes * hn::Set(kUint, 0x01041040u));
}

// The codes of a block, one a byte.
template <class Errors>
HWY_INLINE void CodesQ2_0(const float* x, float inverse, float stored, std::uint8_t* codes,
                          Errors& errors) {
  Unrolled<kTwoBits / kLanes>([&](auto i) {
    constexpr std::size_t kAt = i * kLanes;
    const Floats v = hn::LoadU(kFloat, x + kAt), rounded = RoundHalfAway(v * Splat(inverse));
    const Floats code = hn::Max(Splat(-1), hn::Min(Splat(2), rounded));
    if constexpr (Errors::kOn) {
      errors.add(kAt % kSumPlaces / kLanes, v, hn::NegMulAdd(code, Splat(stored), v));
    }
    StoreBytes(hn::BitCast(kUint, code + Splat(0x1p23f + 1)), codes + kAt);
  });
}

template <class Errors>
HWY_INLINE void EncodeQ2_0(const Strip& strip, std::byte* out, Errors& errors) {
  auto* to = reinterpret_cast<Q2_0Block*>(out);
  ForGroups<kTwoBits>(strip, [&](const float* x, std::size_t blocks) {
    const Floats scales = LargestMagnitudeOfEach<kTwoBits>(x);
    const Inverses inverses(scales);
    const StoredHalves stored(scales);
    if (inverses.overflow) {
      EncodeByReference(Format::Q2_0, {x, blocks * kTwoBits}, reinterpret_cast<std::byte*>(to),
                        errors);
      to += blocks;
      return;
    }
    // All codes of the group before the first is packed: a load that spans what several stores have
    // just written waits for all of them.
    alignas(64) std::uint32_t codes[kLanes][kTwoBits / 4];
    for (std::size_t b = 0; b < blocks; ++b, x += kTwoBits) {
      CodesQ2_0(x, inverses.values[b], stored.values[b], reinterpret_cast<std::uint8_t*>(codes[b]),
                errors);
    }
    for (std::size_t b = 0; b < blocks; ++b, ++to) {
      to->scale = stored.bits[b];
      for (std::size_t i = 0; i < kTwoBits / 4; i += kLanes) {
        StoreBytes(PackFour(hn::Load(kUint, codes[b] + i)), to->codes + i);
      }
    }
  });
}

HWY_INLINE Ints LoadBytes(const std::uint8_t* from) {
  const hn::Rebind<std::uint8_t, FloatTag> byte;
  return hn::PromoteTo(kInt, hn::LoadU(byte, from));
}

// (code - 1) * scale.
HWY_INLINE Floats Centred(Ints codes, float scale) {
  return hn::ConvertTo(kFloat, codes - hn::Set(kInt, 1)) * Splat(scale);
}

// Multiplying the fraction by 3 brings out a trit above bit 8.
HWY_INLINE Ints NextTrit(Ints& fraction) {
  const Ints product = fraction + fraction + fraction;
  fraction = hn::And(product, hn::Set(kInt, 255));
  return hn::ShiftRight<8>(product);
}

void DecodeTQ1_0(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const TQ1_0Block*>(blocks);
  for (const float* end = y + count; y != end; y += kSuper, ++block) {
    const float scale = HalfToFloat(block->scale);
    const auto decode = [&](const std::uint8_t* from, std::size_t stride, float* to) {
      Ints fraction = LoadBytes(from);
      for (std::size_t n = 0; n < 5; ++n) {
        hn::StoreU(Centred(NextTrit(fraction), scale), kFloat, to + n * stride);
      }
    };
    for (std::size_t m = 0; m < 32; m += kLanes) decode(block->codes + m, 32, y + m);
    for (std::size_t m = 0; m < 16; m += kLanes) decode(block->codes + 32 + m, 16, y + 160 + m);
    for (std::size_t m = 0; m < 4; ++m) {
      unsigned fraction = block->last[m];
      for (std::size_t n = 0; n < 4; ++n) {
        fraction *= 3;
        y[240 + 4 * n + m] = (static_cast<float>(fraction >> 8) - 1) * scale;
        fraction &= 255u;
      }
    }
  }
}

void DecodeTQ2_0(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const TQ2_0Block*>(blocks);
  for (const float* end = y + count; y != end; y += kSuper, ++block) {
    const float scale = HalfToFloat(block->scale);
    for (std::size_t i = 0; i < 64; i += kLanes) {
      Ints bytes = LoadBytes(block->codes + i);
      for (std::size_t k = 0; k < 4; ++k, bytes = hn::ShiftRight<2>(bytes)) {
        hn::StoreU(Centred(hn::And(bytes, hn::Set(kInt, 3)), scale), kFloat,
                   y + i / 32 * 128 + 32 * k + i % 32);
      }
    }
  }
}

void DecodeQ1_0(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const Q1_0Block*>(blocks);
  for (const float* end = y + count; y != end; y += kSigns, ++block) {
    const float scale = half_to_float(block->scale);
    for (std::size_t i = 0; i < kSigns; i += kLanes) {
      std::uint8_t bits[8] = {static_cast<std::uint8_t>(block->signs[i / 8] >> (i % 8))};
      if constexpr (kLanes == 16) bits[1] = block->signs[i / 8 + 1];
      const auto positive = hn::LoadMaskBits(kFloat, bits);
      hn::StoreU(hn::IfThenElse(positive, Splat(scale), Splat(-scale)), kFloat, y + i);
    }
  }
}

void DecodeQ2_0(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const Q2_0Block*>(blocks);
  for (const float* end = y + count; y != end; y += kTwoBits, ++block) {
    const float scale = HalfToFloat(block->scale);
    for (std::size_t i = 0; i < kTwoBits / 4; i += kLanes) {
      Ints bytes = LoadBytes(block->codes + i);
      Floats v[4];
      for (std::size_t k = 0; k < 4; ++k, bytes = hn::ShiftRight<2>(bytes)) {
        v[k] = Centred(hn::And(bytes, hn::Set(kInt, 3)), scale);
      }
      hn::StoreInterleaved4(v[0], v[1], v[2], v[3], kFloat, y + 4 * i);
    }
  }
}

#else

template <class Errors>
void EncodeTQ1_0(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeByReference(Format::TQ1_0, strip, out, errors);
}

template <class Errors>
void EncodeTQ2_0(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeByReference(Format::TQ2_0, strip, out, errors);
}

template <class Errors>
void EncodeQ1_0(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeByReference(Format::Q1_0, strip, out, errors);
}

template <class Errors>
void EncodeQ2_0(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeByReference(Format::Q2_0, strip, out, errors);
}

void DecodeTQ1_0(const std::byte* blocks, std::size_t count, float* y) {
  tq1_0_decode_reference(blocks, count, y);
}

void DecodeTQ2_0(const std::byte* blocks, std::size_t count, float* y) {
  tq2_0_decode_reference(blocks, count, y);
}

void DecodeQ1_0(const std::byte* blocks, std::size_t count, float* y) {
  q1_0_decode_reference(blocks, count, y);
}

void DecodeQ2_0(const std::byte* blocks, std::size_t count, float* y) {
  q2_0_decode_reference(blocks, count, y);
}

#endif

HOLDFAST_BOTH_USES(EncodeTQ1_0);
HOLDFAST_BOTH_USES(EncodeTQ2_0);
HOLDFAST_BOTH_USES(EncodeQ1_0);
HOLDFAST_BOTH_USES(EncodeQ2_0);

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HOLDFAST_DISPATCH_MEASURED(tq1_0, EncodeTQ1_0);
HOLDFAST_DISPATCH_MEASURED(tq2_0, EncodeTQ2_0);
HOLDFAST_DISPATCH_MEASURED(q1_0, EncodeQ1_0);
HOLDFAST_DISPATCH_MEASURED(q2_0, EncodeQ2_0);
HOLDFAST_DISPATCH_DECODE(tq1_0_decode, DecodeTQ1_0);
HOLDFAST_DISPATCH_DECODE(tq2_0_decode, DecodeTQ2_0);
HOLDFAST_DISPATCH_DECODE(q1_0_decode, DecodeQ1_0);
HOLDFAST_DISPATCH_DECODE(q2_0_decode, DecodeQ2_0);

}  // namespace holdfast::quantize
#endif
