// The formats of 32 values, SIMD decoders.
#include "quantize/internal/dispatch.h"
#include "quantize/internal/families.h"
#include "quantize/internal/legacy.h"
#include "quantize/internal/numbers.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/legacy_decode.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/lanes-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

// Sixteen where the fifth bit of the value is set; `first` is the first lane's value.
HWY_INLINE Ints FifthBits(std::uint32_t bits, std::size_t first) {
  const auto here = hn::Set(kInt, static_cast<std::int32_t>(bits >> first));
  const auto lane_bit = hn::Shl(hn::Set(kInt, 1), hn::Iota(kInt, 0));
  return hn::IfThenElseZero(hn::TestBit(here, lane_bit), hn::Set(kInt, 16));
}

template <class Block, int kBias>
void DecodeNibbles(const std::byte* blocks, std::size_t count, float* y) {
  constexpr hn::Rebind<std::uint8_t, FloatTag> kByte{};
  const auto* block = reinterpret_cast<const Block*>(blocks);
  for (const float* end = y + count; y != end; y += kBlock, ++block) {
    const Floats scale = Splat(HalfToFloat(block->scale));
    Floats low = hn::Zero(kFloat);
    if constexpr (requires { block->low; }) low = Splat(HalfToFloat(block->low));
    for (std::size_t i = 0; i < kBlock / 2; i += kLanes) {
      const auto bytes = hn::PromoteTo(kInt, hn::LoadU(kByte, block->codes + i));
      Ints codes[2] = {hn::And(bytes, hn::Set(kInt, 15)), hn::ShiftRight<4>(bytes)};
      for (std::size_t half = 0; half < 2; ++half) {
        const std::size_t at = i + half * kBlock / 2;
        if constexpr (requires { block->high; }) {
          codes[half] = hn::Or(codes[half], FifthBits(load<std::uint32_t>(block->high), at));
        }
        Floats value = hn::ConvertTo(kFloat, codes[half] - hn::Set(kInt, kBias)) * scale;
        if constexpr (requires { block->low; }) value = value + low;
        hn::StoreU(value, kFloat, y + at);
      }
    }
  }
}

void DecodeQ4_0(const std::byte* blocks, std::size_t count, float* y) {
  DecodeNibbles<Q4_0Block, 8>(blocks, count, y);
}

void DecodeQ4_1(const std::byte* blocks, std::size_t count, float* y) {
  DecodeNibbles<Q4_1Block, 0>(blocks, count, y);
}

void DecodeQ5_0(const std::byte* blocks, std::size_t count, float* y) {
  DecodeNibbles<Q5_0Block, 16>(blocks, count, y);
}

void DecodeQ5_1(const std::byte* blocks, std::size_t count, float* y) {
  DecodeNibbles<Q5_1Block, 0>(blocks, count, y);
}

void DecodeQ8_0(const std::byte* blocks, std::size_t count, float* y) {
  constexpr hn::Rebind<std::int8_t, FloatTag> kByte{};
  const auto* block = reinterpret_cast<const Q8_0Block*>(blocks);
  for (const float* end = y + count; y != end; y += kBlock, ++block) {
    const Floats scale = Splat(HalfToFloat(block->scale));
    for (std::size_t i = 0; i < kBlock; i += kLanes) {
      const auto codes = hn::PromoteTo(kInt, hn::LoadU(kByte, block->codes + i));
      hn::StoreU(hn::ConvertTo(kFloat, codes) * scale, kFloat, y + i);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HOLDFAST_DISPATCH_DECODE(q4_0_decode, DecodeQ4_0);
HOLDFAST_DISPATCH_DECODE(q4_1_decode, DecodeQ4_1);
HOLDFAST_DISPATCH_DECODE(q5_0_decode, DecodeQ5_0);
HOLDFAST_DISPATCH_DECODE(q5_1_decode, DecodeQ5_1);
HOLDFAST_DISPATCH_DECODE(q8_0_decode, DecodeQ8_0);

}  // namespace holdfast::quantize
#endif
