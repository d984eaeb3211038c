// F16 and BF16 at memory speed.
#include "quantize/internal/dispatch.h"
#include "quantize/internal/families.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/plain_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/lanes-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

inline constexpr hn::Rebind<std::uint16_t, FloatTag> kHalf{};

void EncodeF16(const Strip& strip, std::byte* blocks) {
  std::size_t i = 0;
  for (; i + kLanes <= strip.count; i += kLanes) {
    StoreHalves(hn::LoadU(kFloat, strip.values + i), blocks + 2 * i);
  }
  f16_encode_reference({strip.values + i, strip.count - i}, blocks + 2 * i);
}

void DecodeF16(const std::byte* blocks, std::size_t count, float* values) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Floats value = LoadHalves(blocks + 2 * i);
    if (!hn::AllTrue(kFloat, hn::Eq(value, value))) {  // the payload of NaN
      const auto bits = hn::LoadU(kHalf, reinterpret_cast<const std::uint16_t*>(blocks + 2 * i));
      value = HalfBitsToFloat(hn::PromoteTo(kUint, bits));
    }
    hn::StoreU(value, kFloat, values + i);
  }
  f16_decode_reference(blocks + 2 * i, count - i, values + i);
}

void EncodeBF16(const Strip& strip, std::byte* blocks) {
  std::size_t i = 0;
  for (; i + kLanes <= strip.count; i += kLanes) {
    const auto bits = hn::BitCast(kUint, hn::LoadU(kFloat, strip.values + i));
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(kUint, 1u));
    const auto rounded = hn::ShiftRight<16>(bits + (hn::Set(kUint, 0x7fffu) + odd));
    hn::StoreU(hn::TruncateTo(kHalf, rounded), kHalf,
               reinterpret_cast<std::uint16_t*>(blocks + 2 * i));
  }
  bf16_encode_reference({strip.values + i, strip.count - i}, blocks + 2 * i);
}

void DecodeBF16(const std::byte* blocks, std::size_t count, float* values) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const auto bits = hn::LoadU(kHalf, reinterpret_cast<const std::uint16_t*>(blocks + 2 * i));
    const auto wide = hn::BitCast(kFloat, hn::ShiftLeft<16>(hn::PromoteTo(kUint, bits)));
    hn::StoreU(wide, kFloat, values + i);
  }
  bf16_decode_reference(blocks + 2 * i, count - i, values + i);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HOLDFAST_DISPATCH_ENCODE(f16_encode, EncodeF16);
HOLDFAST_DISPATCH_DECODE(f16_decode, DecodeF16);
HOLDFAST_DISPATCH_ENCODE(bf16_encode, EncodeBF16);
HOLDFAST_DISPATCH_DECODE(bf16_decode, DecodeBF16);

}  // namespace holdfast::quantize
#endif
