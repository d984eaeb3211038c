// Block layouts of the ternary, one-bit, two-bit and 4-bit float formats and of IQ4; bit drawings
// in quantize/FORMAT.md. Little-endian, packed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast::quantize {

struct IQ4_NLBlock {
  std::uint16_t scale;  // half
  std::uint8_t codes[16];
};

static_assert(sizeof(IQ4_NLBlock) == 18);

struct IQ4_XSBlock {
  std::uint16_t scale;
  std::uint16_t scales_high;   // two top bits of eight six-bit scales
  std::uint8_t scales_low[4];  // their low nibbles
  std::uint8_t codes[128];
};

static_assert(sizeof(IQ4_XSBlock) == 136);

struct TQ1_0Block {
  std::uint8_t codes[48];  // five trits a byte
  std::uint8_t last[4];    // four trits a byte
  std::uint16_t scale;
};

static_assert(sizeof(TQ1_0Block) == 54);

struct TQ2_0Block {
  std::uint8_t codes[64];
  std::uint16_t scale;
};

static_assert(sizeof(TQ2_0Block) == 66);

struct MXFP4Block {
  std::uint8_t exponent;  // E8M0
  std::uint8_t codes[16];
};

static_assert(sizeof(MXFP4Block) == 17);

struct NVFP4Block {
  std::uint8_t scales[4];  // UE4M3
  std::uint8_t codes[32];
};

static_assert(sizeof(NVFP4Block) == 36);

struct Q1_0Block {
  std::uint16_t scale;
  std::uint8_t signs[16];
};

static_assert(sizeof(Q1_0Block) == 18);

struct Q2_0Block {
  std::uint16_t scale;
  std::uint8_t codes[16];
};

static_assert(sizeof(Q2_0Block) == 18);

// The sixteen values of IQ4_NL and IQ4_XS, after GGML's kvalues_iq4nl.
inline constexpr std::int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};

// E2M1 magnitudes, doubled (OCP Microscaling Formats, 5.3.3); bit 3 of a code is the sign.
inline constexpr std::int8_t kE2M1Doubled[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                                 0, -1, -2, -3, -4, -6, -8, -12};

}  // namespace holdfast::quantize
