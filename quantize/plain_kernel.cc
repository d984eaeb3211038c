// F16 and BF16 at memory speed.
#include "quantize/internal/dispatch.h"
#include "quantize/internal/families.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/plain_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/errors-inl.h"
#include "quantize/internal/lanes-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

inline constexpr hn::Rebind<std::uint16_t, FloatTag> kHalf{};

// As StoreHalves; gives back what was stored.
HWY_INLINE Floats StoreAsHalves(Floats value, void* to) {
#if HWY_TARGET <= HWY_AVX3
  const __m256i halves = _mm512_cvtps_ph(value.raw, _MM_FROUND_TO_NEAREST_INT);
  _mm256_storeu_si256(static_cast<__m256i*>(to), halves);
  return Floats{_mm512_cvtph_ps(halves)};
#elif HWY_TARGET <= HWY_AVX2
  const __m128i halves = _mm256_cvtps_ph(value.raw, _MM_FROUND_TO_NEAREST_INT);
  _mm_storeu_si128(static_cast<__m128i*>(to), halves);
  return Floats{_mm256_cvtph_ps(halves)};
#else
  StoreHalves(value, to);
  return LoadHalves(to);
#endif
}

// Most weights come from bf16, whose eight bits a half holds between 2^-17 and its largest number:
// errors are looked for a piece at a time and found in few of them.
inline constexpr std::size_t kPiece = 128;

void EncodePiece(const float* x, std::byte* out, Measured& errors) {
  Uints changed = hn::Zero(kUint);
  for (std::size_t i = 0; i < kPiece; i += kLanes) {
    const Floats value = hn::LoadU(kFloat, x + i), stored = StoreAsHalves(value, out + 2 * i);
    changed = hn::Or(changed, hn::Xor(hn::BitCast(kUint, value), hn::BitCast(kUint, stored)));
  }
  if (hn::AllTrue(kUint, hn::Eq(changed, hn::Zero(kUint)))) return;
  errors.add_decoded(info(Format::F16), x, out, kPiece);
}

template <class Errors>
void EncodeF16(const Strip& strip, std::byte* blocks, Errors& errors) {
  std::size_t i = 0;
  if constexpr (Errors::kOn) {
    for (; i + kPiece <= strip.count; i += kPiece) {
      EncodePiece(strip.values + i, blocks + 2 * i, errors);
    }
    const std::size_t rest = strip.count - i;  // whole sets of places
    f16_encode_reference({strip.values + i, rest}, blocks + 2 * i);
    errors.add_decoded(info(Format::F16), strip.values + i, blocks + 2 * i, rest);
    return;
  }
  for (; i + kLanes <= strip.count; i += kLanes) {
    StoreHalves(hn::LoadU(kFloat, strip.values + i), blocks + 2 * i);
  }
  f16_encode_reference({strip.values + i, strip.count - i}, blocks + 2 * i);
}

HOLDFAST_BOTH_USES(EncodeF16);

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

HOLDFAST_DISPATCH_MEASURED(f16, EncodeF16);
HOLDFAST_DISPATCH_DECODE(f16_decode, DecodeF16);
HOLDFAST_DISPATCH_ENCODE(bf16_encode, EncodeBF16);
HOLDFAST_DISPATCH_DECODE(bf16_decode, DecodeBF16);

}  // namespace holdfast::quantize
#endif
