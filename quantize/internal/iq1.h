// What the scalar encoders and the kernels of IQ1_S and IQ1_M share: levels -1, 0 and 1, all
// shifted up or down by an eighth, on a grid of 2048 points. After GGML's quantize_row_iq1_s_impl
// and quantize_row_iq1_m_impl.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantize/internal/iq_blocks.h"
#include "quantize/internal/iq_search.h"

namespace holdfast::quantize {

inline constexpr float kIq1Shift = 0.125f;
inline constexpr float kIq1Levels[2][3] = {
    {-1 + kIq1Shift, kIq1Shift, 1 + kIq1Shift},
    {-1 - kIq1Shift, -kIq1Shift, 1 - kIq1Shift},
};

// The best split of the sorted values of a sub-block into low, middle and high ones.
struct Iq1Split {
  float scale;
  std::uint32_t low = 0, high = 0;  // first of the middle, first of the high ones
  // IQ1_S: bit 0. IQ1_M: bit 1 for the first group of eight, bit 0 for the second. Set: down.
  std::uint32_t shifts = 0;
  bool found = false;
};

// Whether a group of an IQ1_M sub-block is shifted down.
inline std::uint32_t iq1_m_shift(std::uint32_t shifts, std::size_t group) noexcept {
  return shifts >> (1 - group) & 1;
}

// A sub-block of IQ1_S (32 values) or IQ1_M (16).
struct Iq1Sub {
  const float* x;
  const float* weights;
  const std::uint8_t* order;  // indices of the values, ascending, equal ones in place
};

struct Iq1Fit {
  float scale = 0;  // not a number: no point could be found
  std::uint32_t shifts = 0;
  std::uint16_t codes[4] = {};
  bool empty = true;
};

// Codes by the split, from the grid, and the scale that suits them.
Iq1Fit iq1_s_fit(const Grid& grid, const Iq1Sub& sub, Iq1Split split) noexcept;
Iq1Fit iq1_m_fit(const Grid& grid, const Iq1Sub& sub, Iq1Split split) noexcept;

// The scale of a block, gathered from its four words.
std::uint16_t iq1_m_half(const IQ1_MBlock& block) noexcept;

void write_iq1_s(const Grid& grid, const Iq1Fit* fits, IQ1_SBlock& block) noexcept;
// IQ1_M refits the scale of the block, with the weights of all 256 values.
void write_iq1_m(const Grid& grid, const Iq1Fit* fits, const float* x, const float* weights,
                 IQ1_MBlock& block) noexcept;

}  // namespace holdfast::quantize
