// Block layouts of the grid formats: 256 values in groups of eight or four, each group a point of a
// grid (internal/iq_grids.h) with signs aside. Bit drawings in quantize/FORMAT.md. Little-endian,
// packed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast::quantize {

struct IQ2_XXSBlock {
  std::uint16_t scale;  // half

  struct {
    std::uint8_t points[4];
    std::uint8_t signs_and_scale[4];  // four times seven bits, then four bits of scale
  } subs[8];
};

static_assert(sizeof(IQ2_XXSBlock) == 66);

struct IQ2_XSBlock {
  std::uint16_t scale;
  std::uint16_t groups[32];  // nine bits of point, seven of signs
  std::uint8_t scales[8];    // two of four bits
};

static_assert(sizeof(IQ2_XSBlock) == 74);

struct IQ2_SBlock {
  std::uint16_t scale;
  std::uint8_t points[32];  // low eight bits
  std::uint8_t signs[32];
  std::uint8_t high[8];  // four times bits 8 and 9
  std::uint8_t scales[8];
};

static_assert(sizeof(IQ2_SBlock) == 82);

struct IQ3_XXSBlock {
  std::uint16_t scale;
  std::uint8_t points[64];
  std::uint8_t signs_and_scale[8][4];
};

static_assert(sizeof(IQ3_XXSBlock) == 98);

struct IQ3_SBlock {
  std::uint16_t scale;
  std::uint8_t points[64];
  std::uint8_t high[8];  // bit 8 of eight points
  std::uint8_t signs[32];
  std::uint8_t scales[4];
};

static_assert(sizeof(IQ3_SBlock) == 110);

struct IQ1_SBlock {
  std::uint16_t scale;
  std::uint8_t points[32];
  std::uint16_t high[8];  // four times bits 8 to 10, three bits of scale, the shift's sign
};

static_assert(sizeof(IQ1_SBlock) == 50);

struct IQ1_MBlock {
  std::uint8_t points[32];
  std::uint8_t high[16];    // two times bits 8 to 10 and the shift's sign
  std::uint16_t scales[4];  // four scales of three bits, then four bits of the block's half
};

static_assert(sizeof(IQ1_MBlock) == 56);

}  // namespace holdfast::quantize
