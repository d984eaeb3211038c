// Block layouts of the 32-value formats; bit drawings in quantize/FORMAT.md. Little-endian, packed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast::quantize {

inline constexpr std::size_t kBlock = 32;

struct Q4_0Block {
  std::uint16_t scale;     // half
  std::uint8_t codes[16];  // low nibble value i, high nibble value i + 16
};

static_assert(sizeof(Q4_0Block) == 18);

struct Q4_1Block {
  std::uint16_t scale, low;  // halves
  std::uint8_t codes[16];
};

static_assert(sizeof(Q4_1Block) == 20);

struct Q5_0Block {
  std::uint16_t scale;
  std::uint8_t high[4];    // bit i: fifth bit of value i
  std::uint8_t codes[16];  // low four bits, as in Q4_0
};

static_assert(sizeof(Q5_0Block) == 22);

struct Q5_1Block {
  std::uint16_t scale, low;
  std::uint8_t high[4];
  std::uint8_t codes[16];
};

static_assert(sizeof(Q5_1Block) == 24);

struct Q8_0Block {
  std::uint16_t scale;
  std::int8_t codes[32];
};

static_assert(sizeof(Q8_0Block) == 34);

// 32 codes of four bits into 16 bytes.
inline void pack_nibbles(const std::uint8_t* codes, std::uint8_t* out) noexcept {
  for (std::size_t i = 0; i < kBlock / 2; ++i) {
    out[i] = static_cast<std::uint8_t>((codes[i] & 15) | codes[i + kBlock / 2] << 4);
  }
}

// Bit 4 of 32 codes into four bytes.
inline void pack_fifth_bits(const std::uint8_t* codes, std::uint8_t* out) noexcept {
  for (std::size_t byte = 0; byte < kBlock / 8; ++byte) {
    unsigned bits = 0;
    for (unsigned i = 0; i < 8; ++i) bits |= ((codes[8 * byte + i] >> 4) & 1u) << i;
    out[byte] = static_cast<std::uint8_t>(bits);
  }
}

}  // namespace holdfast::quantize
