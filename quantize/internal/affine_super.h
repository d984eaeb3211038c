// One super-block of Q2_K, Q4_K or Q5_K between the searches and its bytes; shared by the scalar
// encoder and the kernels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantize/internal/kquants.h"

namespace holdfast::quantize {

// Arrays have room for sixteen sub-blocks.
struct AffineSuper {
  float scales[16], offsets[16], weight_sums[16];  // found by the searches
  std::uint8_t scale_codes[16], offset_codes[16];  // as stored
  std::uint16_t scale, offset;                     // halves
  std::uint8_t codes[kSuper];
};

// Without importance: from the searches' scales and offsets to those that are stored.
void quantize_scales(const AffineShape& shape, AffineSuper& super) noexcept;

// With importance, after search_positive has found the codes.
void store_scales(const AffineShape& shape, float scale, float offset, AffineSuper& super) noexcept;

void write_super(const AffineSuper& super, Q2_KBlock& to) noexcept;
void write_super(const AffineSuper& super, Q4_KBlock& to) noexcept;
void write_super(const AffineSuper& super, Q5_KBlock& to) noexcept;

// All but the codes.
void write_scales(const AffineSuper& super, Q2_KBlock& to) noexcept;
void write_scales(const AffineSuper& super, Q4_KBlock& to) noexcept;
void write_scales(const AffineSuper& super, Q5_KBlock& to) noexcept;

}  // namespace holdfast::quantize
