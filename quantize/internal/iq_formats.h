// The five formats that search_grid serves: what each fixes, and how its blocks are written from
// the fits of their sub-blocks. Shared by the scalar encoders and the kernels.
//
// One structure per format: Block, kShape, grid(), put (codes and signs of one sub-block into a
// zeroed block; `slot` counts the sub-blocks that are not empty) and put_scales (one code of four
// bits per sub-block).
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>

#include "quantize/format.h"
#include "quantize/internal/families.h"
#include "quantize/internal/iq_blocks.h"
#include "quantize/internal/iq_search.h"
#include "quantize/internal/numbers.h"
#include "quantize/internal/search.h"

namespace holdfast::quantize {

// Four times seven bits of signs.
inline std::uint32_t seven_bit_signs(const std::uint8_t* signs) noexcept {
  return signs[0] | static_cast<std::uint32_t>(signs[1]) << 7 |
         static_cast<std::uint32_t>(signs[2]) << 14 | static_cast<std::uint32_t>(signs[3]) << 21;
}

// Seven bits of signs (the lowest) and the eighth, which makes their number even.
inline unsigned eighth_sign(std::uint32_t signs) noexcept {
  const unsigned seven = signs & 127u;
  return seven | (static_cast<unsigned>(std::popcount(seven)) & 1u) << 7;
}

// Scales of four bits in pairs.
inline void put_nibbles(const std::uint8_t* codes, std::size_t bytes, std::uint8_t* out) noexcept {
  for (std::size_t i = 0; i < bytes; ++i) {
    out[i] = static_cast<std::uint8_t>(codes[2 * i] | codes[2 * i + 1] << 4);
  }
}

// Its first guess of the scale comes from search_positive.
struct IQ2_XXS {
  using Block = IQ2_XXSBlock;
  static constexpr auto kEncodeReference = iq2_xxs_encode_reference;
  static constexpr GridSearchShape kShape = {32,   8,      3, 6, 0.1f, Refit::Always,
                                             true, 1e-15f, 1, 0, 1,    true};

  static const Grid& grid() noexcept { return iq2_xxs_grid(); }

  static void put(const Grid& grid, const SubFit& fit, std::size_t sub, std::size_t,
                  Block& block) noexcept {
    for (std::size_t k = 0; k < 4; ++k) {
      block.subs[sub].points[k] = static_cast<std::uint8_t>(grid.position(fit.codes[k]));
    }
    store(block.subs[sub].signs_and_scale, seven_bit_signs(fit.signs));
  }

  static void put_scales(const std::uint8_t* scales, Block& block) noexcept {
    for (std::size_t s = 0; s < 8; ++s) {
      block.subs[s].signs_and_scale[3] =
          static_cast<std::uint8_t>(block.subs[s].signs_and_scale[3] | scales[s] << 4);
    }
  }
};

struct IQ2_XS {
  using Block = IQ2_XSBlock;
  static constexpr auto kEncodeReference = iq2_xs_encode_reference;
  static constexpr GridSearchShape kShape = {16,   8,      3, 9, 0.1f, Refit::OffGrid,
                                             true, 1e-15f, 1, 0, 1,    true};

  static const Grid& grid() noexcept { return iq2_xs_grid(); }

  static void put(const Grid& grid, const SubFit& fit, std::size_t sub, std::size_t,
                  Block& block) noexcept {
    for (std::size_t k = 0; k < 2; ++k) {
      block.groups[2 * sub + k] = static_cast<std::uint16_t>(
          grid.position(fit.codes[k]) | static_cast<std::uint32_t>(fit.signs[k]) << 9);
    }
  }

  static void put_scales(const std::uint8_t* scales, Block& block) noexcept {
    put_nibbles(scales, sizeof block.scales, block.scales);
  }
};

struct IQ2_S {
  using Block = IQ2_SBlock;
  static constexpr auto kEncodeReference = iq2_s_encode_reference;
  static constexpr GridSearchShape kShape = {16,    8,     3, 9,     0.1f,    Refit::OffGrid,
                                             false, 1e-8f, 2, 0.25f, 0.9875f, false};

  static const Grid& grid() noexcept { return iq2_s_grid(); }

  static void put(const Grid& grid, const SubFit& fit, std::size_t sub, std::size_t,
                  Block& block) noexcept {
    for (std::size_t k = 0; k < 2; ++k) {
      const std::uint32_t position = grid.position(fit.codes[k]);
      const std::size_t group = 2 * sub + k;
      block.points[group] = static_cast<std::uint8_t>(position);
      block.signs[group] = fit.signs[k];
      block.high[group / 4] =
          static_cast<std::uint8_t>(block.high[group / 4] | position >> 8 << (group % 4 * 2));
    }
  }

  static void put_scales(const std::uint8_t* scales, Block& block) noexcept {
    put_nibbles(scales, sizeof block.scales, block.scales);
  }
};

struct IQ3_XXS {
  using Block = IQ3_XXSBlock;
  static constexpr auto kEncodeReference = iq3_xxs_encode_reference;
  static constexpr GridSearchShape kShape = {32,   4,     8, 15, 0.2f,    Refit::OffGrid,
                                             true, 1e-8f, 2, 0,  1.0125f, true};

  static const Grid& grid() noexcept { return iq3_xxs_grid(); }

  static void put(const Grid& grid, const SubFit& fit, std::size_t sub, std::size_t,
                  Block& block) noexcept {
    for (std::size_t k = 0; k < 8; ++k) {
      block.points[8 * sub + k] = static_cast<std::uint8_t>(grid.position(fit.codes[k]));
    }
    store(block.signs_and_scale[sub], seven_bit_signs(fit.signs));
  }

  static void put_scales(const std::uint8_t* scales, Block& block) noexcept {
    for (std::size_t s = 0; s < 8; ++s) {
      block.signs_and_scale[s][3] =
          static_cast<std::uint8_t>(block.signs_and_scale[s][3] | scales[s] << 4);
    }
  }
};

struct IQ3_S {
  using Block = IQ3_SBlock;
  static constexpr auto kEncodeReference = iq3_s_encode_reference;
  // Empty are only zeros: the smallest float is the bound.
  static constexpr GridSearchShape kShape = {32,    4,         8, 9, 0.2f,   Refit::AllIfAny,
                                             false, 0x1p-149f, 2, 0, 1.033f, false};

  static const Grid& grid() noexcept { return iq3_s_grid(); }

  static void put(const Grid& grid, const SubFit& fit, std::size_t sub, std::size_t slot,
                  Block& block) noexcept {
    // The reference does not step over empty sub-blocks: points and signs close the gap while their
    // high bits stay. Such a block decodes to nonsense, there and here: the bytes are the format.
    unsigned high = 0;
    for (std::size_t k = 0; k < 8; ++k) {
      const std::uint32_t position = grid.position(fit.codes[k]);
      block.points[8 * slot + k] = static_cast<std::uint8_t>(position);
      high |= position >> 8 << k;
    }
    block.high[sub] = static_cast<std::uint8_t>(high);
    std::memcpy(block.signs + 4 * slot, fit.signs, 4);
  }

  static void put_scales(const std::uint8_t* scales, Block& block) noexcept {
    put_nibbles(scales, sizeof block.scales, block.scales);
  }
};

// Writes one block. A sub-block without fit makes the whole block one whose scale is no number.
template <class F>
void write_grid_block(const Grid& grid, const SubFit* fits, typename F::Block& block) noexcept {
  constexpr std::size_t kSubs = kGridSuper / F::kShape.values;
  std::memset(&block, 0, sizeof block);
  float largest = 0;
  for (std::size_t s = 0; s < kSubs; ++s) {
    if (!(fits[s].scale >= 0)) {
      std::memset(&block, 0, sizeof block);
      block.scale = float_to_half(kNoFit);
      return;
    }
    largest = std::max(largest, fits[s].scale);
  }
  if (largest == 0 && F::kShape.clears_empty) return;
  for (std::size_t s = 0, slot = 0; s < kSubs; ++s) {
    if (!fits[s].empty) F::put(grid, fits[s], s, slot++, block);
  }
  if (largest == 0) return;
  const float scale = largest / 31;
  block.scale = float_to_half(scale * F::kShape.fudge);
  const float inverse = 1 / scale;
  std::uint8_t codes[kSubs];
  for (std::size_t s = 0; s < kSubs; ++s) {
    codes[s] =
        static_cast<std::uint8_t>(clamp(nearest(0.5f * (inverse * fits[s].scale - 1)), 0, 15));
  }
  F::put_scales(codes, block);
}

}  // namespace holdfast::quantize
