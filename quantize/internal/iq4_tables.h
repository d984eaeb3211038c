// Lookup tables for the nearest of the sixteen values of IQ4, derived from the values.
#pragma once

#include <array>
#include <cstddef>

#include "quantize/internal/small.h"

namespace holdfast::quantize {

constexpr float iq4_middle(std::size_t i) {
  return 0.5f * static_cast<float>(kIq4Values[i] + kIq4Values[i + 1]);
}

// The number line in pieces of nine around 9 * b + 3.75, b from -16 to 15, at place b mod 32. A
// piece holds at most one middle of two table values, and none lies within half a unit of a piece's
// end: below the middle the value is low, from it on high.
struct Pieces {
  alignas(64) float middle[32], low[32], high[32], low_code[32];
};

inline constexpr Pieces kPieces = [] {
  Pieces pieces{};
  for (int b = -16; b < 16; ++b) {
    const float start = 9.0f * static_cast<float>(b) - 0.75f, end = start + 9;
    std::size_t code = 0;
    while (code < 15 && iq4_middle(code) < start) ++code;
    const auto at = static_cast<std::size_t>(b & 31);
    const bool split = code < 15 && iq4_middle(code) < end;
    pieces.middle[at] = split ? iq4_middle(code) : 1e30f;
    pieces.low[at] = static_cast<float>(kIq4Values[code]);
    pieces.high[at] = static_cast<float>(kIq4Values[split ? code + 1 : code]);
    pieces.low_code[at] = static_cast<float>(code);
  }
  return pieces;
}();

// The nearest table value by floor(2t) + kHalfUnits, for vectors without a 32-entry lookup: every
// middle is a multiple of one half.
inline constexpr int kHalfUnits = 272;

inline constexpr auto kByHalfUnit = [] {
  std::array<float, 2 * kHalfUnits> values{};
  for (int k = -kHalfUnits; k < kHalfUnits; ++k) {
    std::size_t code = 0;
    while (code < 15 && iq4_middle(code) <= 0.5f * static_cast<float>(k)) ++code;
    values[static_cast<std::size_t>(k + kHalfUnits)] = static_cast<float>(kIq4Values[code]);
  }
  return values;
}();

}  // namespace holdfast::quantize
