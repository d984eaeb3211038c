// The grid formats, SIMD decoders: a group of eight values is a word of eight bytes from the grid,
// turned by a word of signs.
#include <array>
#include <type_traits>

#include "quantize/internal/dispatch.h"
#include "quantize/internal/families.h"
#include "quantize/internal/iq1.h"
#include "quantize/internal/iq_formats.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/iq_decode.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/lanes-inl.h"

#ifndef HOLDFAST_IQ_DECODE_ONCE
#define HOLDFAST_IQ_DECODE_ONCE

namespace holdfast::quantize {
namespace {

// Byte i is all ones where bit i is set.
constexpr auto kSignWords = [] {
  std::array<std::uint64_t, 256> words{};
  for (std::size_t signs = 0; signs < words.size(); ++signs) {
    for (std::size_t i = 0; i < 8; ++i) {
      words[signs] |= (signs >> i & 1) != 0 ? std::uint64_t{255} << (8 * i) : 0;
    }
  }
  return words;
}();

}  // namespace
}  // namespace holdfast::quantize
#endif

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

#if HOLDFAST_SIMD

inline constexpr hn::CappedTag<float, 8> kEight{};
inline constexpr hn::Rebind<std::int32_t, decltype(kEight)> kEightInt{};
inline constexpr hn::Rebind<std::int8_t, decltype(kEight)> kEightByte{};
inline constexpr std::size_t kStep = hn::MaxLanes(hn::CappedTag<float, 8>{});

// As many bytes as fit a vector.
using Piece = std::conditional_t<kStep == 8, std::uint64_t, std::uint32_t>;
using Bytes = hn::Vec<hn::Rebind<std::int8_t, hn::CappedTag<float, 8>>>;

// Bytes [at, at + kStep) of a word.
HWY_INLINE Bytes BytesOf(std::uint64_t word, std::size_t at) {
  const hn::Repartition<Piece, decltype(kEightByte)> piece;
  return hn::BitCast(kEightByte, hn::Set(piece, static_cast<Piece>(word >> (8 * at))));
}

HWY_INLINE void StoreEight(std::uint64_t word, std::uint64_t turned, float scale, float* y) {
  for (std::size_t at = 0; at < 8; at += kStep) {
    const auto mask = BytesOf(turned, at);
    const auto bytes = hn::Sub(hn::Xor(BytesOf(word, at), mask), mask);
    const auto value = hn::ConvertTo(kEight, hn::PromoteTo(kEightInt, bytes));
    hn::StoreU(value * hn::Set(kEight, scale), kEight, y + at);
  }
}

// IQ1: the shift in eighths is added to every byte.
HWY_INLINE void StoreShifted(std::uint64_t word, bool down, float scale, float* y) {
  // Exact: the smallest scale is a subnormal half.
  const auto eighth = hn::Set(kEight, scale * 0.125f);
  const auto shift = hn::Set(kEightByte, static_cast<std::int8_t>(down ? -1 : 1));
  for (std::size_t at = 0; at < 8; at += kStep) {
    const auto bytes = hn::Add(BytesOf(word, at), shift);
    hn::StoreU(hn::ConvertTo(kEight, hn::PromoteTo(kEightInt, bytes)) * eighth, kEight, y + at);
  }
}

HWY_INLINE float HalfScale(float scale, unsigned code) {
  return scale * (0.5f + static_cast<float>(code));
}

void DecodeIQ2_XXS(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const IQ2_XXSBlock*>(blocks);
  for (const float* end = y + count; y != end; ++block) {
    const float whole = half_to_float(block->scale);
    for (const auto& sub : block->subs) {
      const auto packed = load<std::uint32_t>(sub.signs_and_scale);
      const float scale = HalfScale(whole, packed >> 28) * 0.25f;
      for (std::size_t k = 0; k < 4; ++k, y += 8) {
        const unsigned signs = eighth_sign(packed >> (7 * k));
        StoreEight(kIq2XxsWords[sub.points[k]], kSignWords[signs], scale, y);
      }
    }
  }
}

void DecodeIQ2_XS(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const IQ2_XSBlock*>(blocks);
  for (const float* end = y + count; y != end; ++block) {
    const float whole = half_to_float(block->scale);
    for (std::size_t g = 0; g < 32; g += 2) {
      const float scale = HalfScale(whole, block->scales[g / 4] >> (g / 2 % 2 * 4) & 15u) * 0.25f;
      for (std::size_t k = 0; k < 2; ++k, y += 8) {
        const unsigned group = block->groups[g + k];
        StoreEight(kIq2XsWords[group & 511u], kSignWords[eighth_sign(group >> 9)], scale, y);
      }
    }
  }
}

void DecodeIQ2_S(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const IQ2_SBlock*>(blocks);
  for (const float* end = y + count; y != end; ++block) {
    const float whole = half_to_float(block->scale);
    for (std::size_t g = 0; g < 32; ++g, y += 8) {
      const float scale = HalfScale(whole, block->scales[g / 4] >> (g / 2 % 2 * 4) & 15u) * 0.25f;
      const unsigned high = block->high[g / 4] >> (g % 4 * 2) & 3u;
      StoreEight(kIq2SWords[block->points[g] | high << 8], kSignWords[block->signs[g]], scale, y);
    }
  }
}

void DecodeIQ3_XXS(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const IQ3_XXSBlock*>(blocks);
  for (const float* end = y + count; y != end; ++block) {
    const float whole = half_to_float(block->scale);
    for (std::size_t sub = 0; sub < 8; ++sub) {
      const auto packed = load<std::uint32_t>(block->signs_and_scale[sub]);
      const float scale = HalfScale(whole, packed >> 28) * 0.5f;
      for (std::size_t k = 0; k < 4; ++k, y += 8) {
        const std::uint8_t* points = block->points + 8 * sub + 2 * k;
        const std::uint64_t word = kIq3XxsWords[points[0]] | std::uint64_t{kIq3XxsWords[points[1]]}
                                                                 << 32;
        StoreEight(word, kSignWords[eighth_sign(packed >> (7 * k))], scale, y);
      }
    }
  }
}

void DecodeIQ3_S(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const IQ3_SBlock*>(blocks);
  for (const float* end = y + count; y != end; ++block) {
    const float whole = half_to_float(block->scale);
    for (std::size_t g = 0; g < 32; ++g, y += 8) {
      const unsigned code = block->scales[g / 8] >> (g / 4 % 2 * 4) & 15u;
      const unsigned high = block->high[g / 4] >> (g % 4 * 2);
      const std::uint8_t* points = block->points + 2 * g;
      const std::uint64_t word = kIq3SWords[points[0] | (high & 1u) << 8] |
                                 std::uint64_t{kIq3SWords[points[1] | (high >> 1 & 1u) << 8]} << 32;
      StoreEight(word, kSignWords[block->signs[g]], whole * static_cast<float>(1 + 2 * code), y);
    }
  }
}

void DecodeIQ1_S(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const IQ1_SBlock*>(blocks);
  for (const float* end = y + count; y != end; ++block) {
    const float whole = half_to_float(block->scale);
    for (std::size_t g = 0; g < 32; ++g, y += 8) {
      const unsigned high = block->high[g / 4];
      const float scale = whole * static_cast<float>(2 * (high >> 12 & 7u) + 1);
      const std::size_t point = block->points[g] | (high >> (3 * (g % 4)) & 7u) << 8;
      StoreShifted(kIq1Words[point], high >> 15 != 0, scale, y);
    }
  }
}

void DecodeIQ1_M(const std::byte* blocks, std::size_t count, float* y) {
  const auto* block = reinterpret_cast<const IQ1_MBlock*>(blocks);
  for (const float* end = y + count; y != end; ++block) {
    const float whole = half_to_float(iq1_m_half(*block));
    for (std::size_t g = 0; g < 32; ++g, y += 8) {
      const unsigned high = block->high[g / 2] >> (g % 2 * 4) & 15u;
      const unsigned code = block->scales[g / 8] >> (g / 2 % 4 * 3) & 7u;
      StoreShifted(kIq1Words[block->points[g] | (high & 7u) << 8], high >> 3 != 0,
                   whole * static_cast<float>(2 * code + 1), y);
    }
  }
}

#else

void DecodeIQ2_XXS(const std::byte* blocks, std::size_t count, float* y) {
  iq2_xxs_decode_reference(blocks, count, y);
}

void DecodeIQ2_XS(const std::byte* blocks, std::size_t count, float* y) {
  iq2_xs_decode_reference(blocks, count, y);
}

void DecodeIQ2_S(const std::byte* blocks, std::size_t count, float* y) {
  iq2_s_decode_reference(blocks, count, y);
}

void DecodeIQ3_XXS(const std::byte* blocks, std::size_t count, float* y) {
  iq3_xxs_decode_reference(blocks, count, y);
}

void DecodeIQ3_S(const std::byte* blocks, std::size_t count, float* y) {
  iq3_s_decode_reference(blocks, count, y);
}

void DecodeIQ1_S(const std::byte* blocks, std::size_t count, float* y) {
  iq1_s_decode_reference(blocks, count, y);
}

void DecodeIQ1_M(const std::byte* blocks, std::size_t count, float* y) {
  iq1_m_decode_reference(blocks, count, y);
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HOLDFAST_DISPATCH_DECODE(iq2_xxs_decode, DecodeIQ2_XXS);
HOLDFAST_DISPATCH_DECODE(iq2_xs_decode, DecodeIQ2_XS);
HOLDFAST_DISPATCH_DECODE(iq2_s_decode, DecodeIQ2_S);
HOLDFAST_DISPATCH_DECODE(iq3_xxs_decode, DecodeIQ3_XXS);
HOLDFAST_DISPATCH_DECODE(iq3_s_decode, DecodeIQ3_S);
HOLDFAST_DISPATCH_DECODE(iq1_s_decode, DecodeIQ1_S);
HOLDFAST_DISPATCH_DECODE(iq1_m_decode, DecodeIQ1_M);

}  // namespace holdfast::quantize
#endif
