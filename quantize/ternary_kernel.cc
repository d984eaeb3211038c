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
    // The largest float below one half carries every tie and nothing below it.
    const Floats t = x * Splat(overflows_ ? 0.0f : inverse_);
    return hn::Trunc(t + hn::CopySign(Splat(0x1.fffffep-2f), t));
  }

 private:
  float inverse_;
  bool overflows_;
};

// Trits of kLanes bytes: values `stride` apart, the first one most significant.
HWY_INLINE void StoreTrits(const float* x, std::size_t stride, const Rounding& round,
                           std::uint8_t* out) {
  Floats value = hn::Zero(kFloat);
  for (std::size_t n = 0; n < 5; ++n) {
    const Floats trit = round(hn::LoadU(kFloat, x + n * stride)) + Splat(1);
    value = value * Splat(3) + trit;
  }
  // (value * 256 + 242) / 243 by the rounded-up reciprocal, exact below 2^16.
  const auto wide = LowBits(hn::BitCast(kUint, value + Splat(0x1p23f)), 255);
  const auto scaled = hn::ShiftLeft<8>(wide) + hn::Set(kUint, 242u);
  StoreBytes(hn::ShiftRight<24>(scaled * hn::Set(kUint, 69043u)), out);
}

void EncodeTQ1_0(const Strip& strip, std::byte* out) {
  auto* to = reinterpret_cast<TQ1_0Block*>(out);
  for (const float* x = strip.values; x != strip.values + strip.count; x += kSuper, ++to) {
    const float scale = LargestMagnitude(x, kSuper);
    const Rounding round(scale);
    for (std::size_t m = 0; m < 32; m += kLanes) StoreTrits(x + m, 32, round, to->codes + m);
    for (std::size_t m = 0; m < 16; m += kLanes) {
      StoreTrits(x + 160 + m, 16, round, to->codes + 32 + m);
    }
    // The last sixteen values: four a byte, a fifth trit of zero.
    alignas(64) float last[16];
    for (std::size_t i = 0; i < 16; i += kLanes) {
      hn::Store(round(hn::LoadU(kFloat, x + 240 + i)), kFloat, last + i);
    }
    for (std::size_t m = 0; m < 4; ++m) {
      unsigned value = 0;
      for (std::size_t n = 0; n < 4; ++n) {
        value = value * 3 + static_cast<unsigned>(static_cast<int>(last[m + 4 * n]) + 1);
      }
      to->last[m] = static_cast<std::uint8_t>((value * 3 * 256 + 242) / 243);
    }
    to->scale = FloatToHalf(scale);
  }
}

void EncodeTQ2_0(const Strip& strip, std::byte* out) {
  auto* to = reinterpret_cast<TQ2_0Block*>(out);
  for (const float* x = strip.values; x != strip.values + strip.count; x += kSuper, ++to) {
    const float scale = LargestMagnitude(x, kSuper);
    const Rounding round(scale);
    for (std::size_t i = 0; i < 64; i += kLanes) {
      Floats value = hn::Zero(kFloat);  // base four, the last one most significant
      for (std::size_t k = 4; k-- > 0;) {
        const Floats code = round(hn::LoadU(kFloat, x + i / 32 * 128 + 32 * k + i % 32)) + Splat(1);
        value = value * Splat(4) + code;
      }
      StoreBytes(hn::BitCast(kUint, value + Splat(0x1p23f)), to->codes + i);
    }
    to->scale = FloatToHalf(scale);
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

void EncodeQ1_0(const Strip& strip, std::byte* out) {
  auto* to = reinterpret_cast<Q1_0Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kLanes * kSigns) {
    const std::size_t blocks = std::min(kLanes, (strip.count - at) / kSigns);
    if (blocks < kLanes) {
      q1_0_encode_reference({strip.values + at, blocks * kSigns}, reinterpret_cast<std::byte*>(to));
      return;
    }
    float sums[kLanes];
    SumMagnitudes(strip.values + at, sums);
    for (std::size_t b = 0; b < blocks; ++b, ++to) {
      const float* x = strip.values + at + b * kSigns;
      to->scale = FloatToHalf(sums[b] / kSigns);
      for (std::size_t byte = 0; byte < kSigns / 8; byte += std::max<std::size_t>(1, kLanes / 8)) {
        std::uint8_t bits[8] = {};
        const auto sign = [&](std::size_t first) {
          return hn::Ge(hn::LoadU(kFloat, x + 8 * byte + first), hn::Zero(kFloat));
        };
        hn::StoreMaskBits(kFloat, sign(0), bits);
        to->signs[byte] = bits[0];
        if constexpr (kLanes == 16) to->signs[byte + 1] = bits[1];
        if constexpr (kLanes == 4) {
          hn::StoreMaskBits(kFloat, sign(4), bits + 1);
          to->signs[byte] = static_cast<std::uint8_t>(bits[0] | bits[1] << 4);
        }
      }
    }
  }
}

void EncodeQ2_0(const Strip& strip, std::byte* out) {
  auto* to = reinterpret_cast<Q2_0Block*>(out);
  for (const float* x = strip.values; x != strip.values + strip.count; x += kTwoBits, ++to) {
    const float scale = LargestMagnitude(x, kTwoBits);
    const Rounding round(scale);
    for (std::size_t i = 0; i < kTwoBits; i += 4 * kLanes) {
      Floats v[4];
      hn::LoadInterleaved4(kFloat, x + i, v[0], v[1], v[2], v[3]);
      Floats value = hn::Zero(kFloat);
      for (std::size_t k = 4; k-- > 0;) {
        const Floats code = hn::Max(Splat(-1), hn::Min(Splat(2), round(v[k]))) + Splat(1);
        value = value * Splat(4) + (round.overflows() ? hn::Zero(kFloat) : code);
      }
      StoreBytes(hn::BitCast(kUint, value + Splat(0x1p23f)), to->codes + i / 4);
    }
    to->scale = FloatToHalf(scale);
  }
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

void EncodeTQ1_0(const Strip& strip, std::byte* out) { tq1_0_encode_reference(strip, out); }

void EncodeTQ2_0(const Strip& strip, std::byte* out) { tq2_0_encode_reference(strip, out); }

void EncodeQ1_0(const Strip& strip, std::byte* out) { q1_0_encode_reference(strip, out); }

void EncodeQ2_0(const Strip& strip, std::byte* out) { q2_0_encode_reference(strip, out); }

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

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HOLDFAST_DISPATCH_ENCODE(tq1_0_encode, EncodeTQ1_0);
HOLDFAST_DISPATCH_ENCODE(tq2_0_encode, EncodeTQ2_0);
HOLDFAST_DISPATCH_ENCODE(q1_0_encode, EncodeQ1_0);
HOLDFAST_DISPATCH_ENCODE(q2_0_encode, EncodeQ2_0);
HOLDFAST_DISPATCH_DECODE(tq1_0_decode, DecodeTQ1_0);
HOLDFAST_DISPATCH_DECODE(tq2_0_decode, DecodeTQ2_0);
HOLDFAST_DISPATCH_DECODE(q1_0_decode, DecodeQ1_0);
HOLDFAST_DISPATCH_DECODE(q2_0_decode, DecodeQ2_0);

}  // namespace holdfast::quantize
#endif
