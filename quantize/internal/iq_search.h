// The search that the IQ2 and IQ3 formats share, scalar, and what their sub-blocks come to. It
// defines the bytes: every sum is float32, taken left to right, without fused operations. After
// GGML's quantize_row_iq2_xxs_impl, _iq2_xs_, _iq2_s_, _iq3_xxs_ and _iq3_s_impl.
//
// Pure functions, thread-safe.
//
// Where weights or squares overflow, no point of the grid has a finite distance. GGML stops the
// process there; here the block gets a scale that is not a number, so that first_overflow names it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "quantize/internal/iq_grids.h"

namespace holdfast::quantize {

inline constexpr std::size_t kGridSuper = 256;
inline constexpr std::size_t kGridSubMax = 32;    // values of a sub-block
inline constexpr std::size_t kGridGroupsMax = 8;  // of a sub-block
inline constexpr std::size_t kGridTrialsMax = 31;

// Which groups are looked up again with the scale of the best trial.
enum class Refit : std::uint8_t {
  OffGrid,   // those that were off the grid
  AllIfAny,  // all, if one was off the grid, or no trial was accepted
  Always,
};

// What one format fixes about the search.
struct GridSearchShape {
  std::size_t values;     // per sub-block
  std::size_t dimension;  // values per group
  int levels;
  int trials;  // on either side of the first guess
  float step;  // between them, in units of the largest level
  Refit refit;
  bool even_signs;        // the eighth sign is the parity of the others
  float epsilon;          // a sub-block whose largest value is below is empty
  float variance_factor;  // of the mean square, in the weights
  float weight_floor;     // without importance: of the mean square times its factor
  float fudge;            // on the stored scale
  bool clears_empty;      // a block without scale has no codes and signs either
};

// The values of a sub-block, made ready.
struct GridSub {
  float x[kGridSubMax];  // magnitudes; with even_signs one of eight may be negative
  float weights[kGridSubMax];
  float roots[kGridSubMax];  // of the weights
  std::uint8_t signs[4];     // bit i: value i of eight is negative
};

// What a sub-block becomes.
struct SubFit {
  float scale = 0;  // not a number: no point could be found
  bool empty = true;
  std::uint8_t signs[4] = {};
  std::uint16_t codes[kGridGroupsMax] = {};  // points of the grid
};

inline constexpr float kNoFit = std::numeric_limits<float>::quiet_NaN();

inline std::uint32_t level_of(std::uint32_t code, std::size_t i, std::size_t dimension) noexcept {
  const std::size_t bits = dimension == 8 ? 2 : 3;
  return code >> (bits * i) & ((1u << bits) - 1);
}

// Signs and magnitudes; `sub.weights` is already filled.
void split_signs(const GridSearchShape& shape, const float* x, GridSub& sub) noexcept;

// Weights of a super-block, from `importance` and the mean square, or without. For formats whose
// plain weights are the squares.
void grid_weights(const float* x, const float* importance, float variance, std::size_t count,
                  float* weights) noexcept;

// Mean square of a super-block times the format's factor.
float grid_variance(const float* x, float factor) noexcept;

// One sub-block. `reach` is the value that the first guess maps to the largest level, `scale` what
// is kept when no trial is better.
SubFit search_grid(const Grid& grid, const GridSearchShape& shape, const GridSub& sub, float reach,
                   float scale) noexcept;

}  // namespace holdfast::quantize
