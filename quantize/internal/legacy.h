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

struct Q8_0Block {
  std::uint16_t scale;  // half
  std::int8_t codes[32];
};

static_assert(sizeof(Q8_0Block) == 34);

}  // namespace holdfast::quantize
