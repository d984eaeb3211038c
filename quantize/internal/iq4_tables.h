// Lookup tables for the nearest of the sixteen values of IQ4, derived from the values.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

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

// For vectors with lookups of sixteen bytes: every middle is a multiple of one half, so floor(2t)
// decides. Counted from -kHalfUnits it falls into sixteen pieces of 32 half units, with at most two
// middles each: the code is that of the piece's start, and one more for each middle that the
// position within the piece has passed.
inline constexpr int kHalfUnits = 272;
inline constexpr int kPieceHalfUnits = 32;

struct HalfUnitPieces {
  alignas(16) std::uint8_t code[16];
  alignas(16) std::int8_t before[2][16];  // the last position before the middle
};

inline constexpr HalfUnitPieces kHalfUnitPieces = [] {
  HalfUnitPieces pieces{};
  for (int piece = 0; piece < 16; ++piece) {
    const int start = piece * kPieceHalfUnits - kHalfUnits;
    std::size_t code = 0;
    while (code < 15 && 2 * iq4_middle(code) < static_cast<float>(start)) ++code;
    pieces.code[piece] = static_cast<std::uint8_t>(code);
    for (std::size_t m = 0; m < 2; ++m) {
      const bool known = code + m < 15;
      const int middle = known ? static_cast<int>(2 * iq4_middle(code + m)) - start : 127;
      pieces.before[m][piece] = static_cast<std::int8_t>(std::min(middle, 127) - 1);
    }
  }
  return pieces;
}();

// The upper half of the float32 of each value; the lower half is zero.
struct ValueBytes {
  alignas(16) std::uint8_t low[16], high[16];
};

inline constexpr ValueBytes kValueBytes = [] {
  ValueBytes bytes{};
  for (std::size_t code = 0; code < 16; ++code) {
    const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(kIq4Values[code]));
    bytes.low[code] = static_cast<std::uint8_t>(bits >> 16);
    bytes.high[code] = static_cast<std::uint8_t>(bits >> 24);
  }
  return bytes;
}();

}  // namespace holdfast::quantize
