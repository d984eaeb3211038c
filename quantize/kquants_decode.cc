// Q2_K to Q6_K, SIMD decoders.
#include "quantize/internal/dispatch.h"
#include "quantize/internal/families.h"
#include "quantize/internal/kquants.h"
#include "quantize/internal/numbers.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/kquants_decode.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/lanes-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

// Sixteen values at most stand under one scale: on wider vectors than that nothing here would hold.
static_assert(kLanes <= 16);

HWY_INLINE Ints LoadBytes(const std::uint8_t* from) {
  const hn::Rebind<std::uint8_t, FloatTag> byte;
  return hn::PromoteTo(kInt, hn::LoadU(byte, from));
}

HWY_INLINE Ints Bits(Ints from, int shift, std::int32_t mask) {
  return hn::And(hn::ShiftRightSame(from, shift), hn::Set(kInt, mask));
}

HWY_INLINE void StoreScaled(Ints codes, float scale, float* y) {
  hn::StoreU(Splat(scale) * hn::ConvertTo(kFloat, codes), kFloat, y);
}

HWY_INLINE void StoreAffine(Ints codes, float scale, float offset, float* y) {
  hn::StoreU(Splat(scale) * hn::ConvertTo(kFloat, codes) - Splat(offset), kFloat, y);
}

void DecodeQ2_K(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const Q2_KBlock*>(blocks);
  for (const float* end = y + count; y != end; y += kSuper, ++block) {
    const float scale = HalfToFloat(block->scale), offset = HalfToFloat(block->offset);
    float scales[16], offsets[16];
    for (std::size_t j = 0; j < 16; ++j) {
      scales[j] = scale * static_cast<float>(block->scales[j] & 15);
      offsets[j] = offset * static_cast<float>(block->scales[j] >> 4);
    }
    for (std::size_t i = 0; i < 64; i += kLanes) {
      const Ints bytes = LoadBytes(block->codes + i);
      for (std::size_t k = 0; k < 4; ++k) {
        const std::size_t at = i / 32 * 128 + 32 * k + i % 32;
        StoreAffine(Bits(bytes, static_cast<int>(2 * k), 3), scales[at / 16], offsets[at / 16],
                    y + at);
      }
    }
  }
}

void DecodeQ3_K(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const Q3_KBlock*>(blocks);
  for (const float* end = y + count; y != end; y += kSuper, ++block) {
    const float scale = HalfToFloat(block->scale);
    std::uint8_t codes[16];
    unpack_scales_q3(block->scales, codes);
    float scales[16];
    for (std::size_t j = 0; j < 16; ++j) scales[j] = scale * static_cast<float>(codes[j] - 32);
    for (std::size_t i = 0; i < 64; i += kLanes) {
      const Ints low = LoadBytes(block->codes + i);
      const Ints high = LoadBytes(block->high + i % 32);
      for (std::size_t k = 0; k < 4; ++k) {
        const std::size_t at = i / 32 * 128 + 32 * k + i % 32;
        const Ints top = hn::ShiftLeft<2>(Bits(high, static_cast<int>(at / 32), 1));
        const Ints code = hn::Or(Bits(low, static_cast<int>(2 * k), 3), top) - hn::Set(kInt, 4);
        StoreScaled(code, scales[at / 16], y + at);
      }
    }
  }
}

template <class Block>
void DecodeSixBitScales(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const Block*>(blocks);
  for (const float* end = y + count; y != end; y += kSuper, ++block) {
    const float scale = HalfToFloat(block->scale), offset = HalfToFloat(block->offset);
    std::uint8_t scale_codes[8], offset_codes[8];
    unpack_scales_6(block->scales, scale_codes, offset_codes);
    float scales[8], offsets[8];
    for (std::size_t j = 0; j < 8; ++j) {
      scales[j] = scale * static_cast<float>(scale_codes[j]);
      offsets[j] = offset * static_cast<float>(offset_codes[j]);
    }
    for (std::size_t i = 0; i < 128; i += kLanes) {
      const Ints bytes = LoadBytes(block->codes + i);
      const std::size_t sub = i / 32 * 2, at = 32 * sub + i % 32;
      Ints low = hn::And(bytes, hn::Set(kInt, 15)), high = hn::ShiftRight<4>(bytes);
      if constexpr (requires { block->high; }) {
        const Ints fifth = LoadBytes(block->high + i % 32);
        low = hn::Or(low, hn::ShiftLeft<4>(Bits(fifth, static_cast<int>(sub), 1)));
        high = hn::Or(high, hn::ShiftLeft<4>(Bits(fifth, static_cast<int>(sub + 1), 1)));
      }
      StoreAffine(low, scales[sub], offsets[sub], y + at);
      StoreAffine(high, scales[sub + 1], offsets[sub + 1], y + at + 32);
    }
  }
}

void DecodeQ4_K(const std::byte* blocks, std::size_t count, float* y) {
  DecodeSixBitScales<Q4_KBlock>(blocks, count, y);
}

void DecodeQ5_K(const std::byte* blocks, std::size_t count, float* y) {
  DecodeSixBitScales<Q5_KBlock>(blocks, count, y);
}

void DecodeQ6_K(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const Q6_KBlock*>(blocks);
  for (const float* end = y + count; y != end; y += kSuper, ++block) {
    const float scale = HalfToFloat(block->scale);
    for (std::size_t half = 0; half < 2; ++half) {
      for (std::size_t l = 0; l < 32; l += kLanes) {
        const Ints low[2] = {LoadBytes(block->low + 64 * half + l),
                             LoadBytes(block->low + 64 * half + 32 + l)};
        const Ints high = LoadBytes(block->high + 32 * half + l);
        for (std::size_t k = 0; k < 4; ++k) {
          const std::size_t at = 128 * half + 32 * k + l;
          const Ints top = hn::ShiftLeft<4>(Bits(high, static_cast<int>(2 * k), 3));
          const Ints code = hn::Or(Bits(low[k % 2], k < 2 ? 0 : 4, 15), top);
          StoreScaled(code - hn::Set(kInt, 32), scale * static_cast<float>(block->scales[at / 16]),
                      y + at);
        }
      }
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HOLDFAST_DISPATCH_DECODE(q2_k_decode, DecodeQ2_K);
HOLDFAST_DISPATCH_DECODE(q3_k_decode, DecodeQ3_K);
HOLDFAST_DISPATCH_DECODE(q4_k_decode, DecodeQ4_K);
HOLDFAST_DISPATCH_DECODE(q5_k_decode, DecodeQ5_K);
HOLDFAST_DISPATCH_DECODE(q6_k_decode, DecodeQ6_K);

}  // namespace holdfast::quantize
#endif
