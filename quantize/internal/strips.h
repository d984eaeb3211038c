// The two ends of a strip: source elements to float32, and what encoding lost. Both have one SIMD
// kernel and give the same result on every CPU.
#pragma once

#include <cstddef>

#include "quantize/rows.h"

namespace holdfast::quantize {

// Values handled at a time: 8 KiB of floats, so that strip and weights stay in L1.
inline constexpr std::size_t kStripValues = 2048;

// Widens `count` elements, at most a strip. False when one of the results is not finite.
bool widen(SourceType type, const std::byte* source, std::size_t count, float* out) noexcept;

// Sums stand in 32 places whatever the vector width, value i in place i mod 32, so that every CPU
// adds in the same order: a strip in float32, hence 64 additions a place, and strips in double.
inline constexpr std::size_t kSumPlaces = 32;

// Values decoded at a time: a whole number of blocks of every format and of sets of places.
inline constexpr std::size_t kPieceValues = 512;

struct PlacedSums {
  alignas(64) double source[kSumPlaces] = {};
  alignas(64) double error[kSumPlaces] = {};
  alignas(64) double product[kSumPlaces] = {};
  float largest_error = 0;
  bool is_tame = true;  // the source of the strip at hand: its squares are placed
};

// A strip whose largest magnitude lies between these, or is zero, can be summed up in float32: no
// sum overflows, and what squares lose below the normal numbers is nothing beside the largest.
inline constexpr float kTameLeast = 1e-10f, kTameMost = 1e13f;

// The error sums of consecutive strips. Squares of the source are taken while it is widened, where
// memory is waited for.
class StripSums {
 public:
  // As the function above, and starts a strip.
  bool widen(SourceType type, const std::byte* source, std::size_t count, float* out) noexcept;

  // What encoding made of the strip that was widened last: `blocks` are decoded again, a piece at a
  // time, which stays in the nearest cache.
  void add(const FormatInfo& format, const float* source, const std::byte* blocks,
           std::size_t count) noexcept;

  // The same where it changed nothing; holds for all strips of an object or for none.
  void add_copy(const float* source, std::size_t count) noexcept;

  ErrorSums total() const noexcept;

 private:
  void add_wide(const FormatInfo& format, const float* source, const std::byte* blocks,
                std::size_t count, bool with_squares) noexcept;
  void add_wide(const float* source, const float* decoded, std::size_t count,
                bool with_squares) noexcept;

  PlacedSums placed_;
  ErrorSums wide_;  // what float32 cannot sum up, and what does not fill the places
  bool is_copy_ = false;
};

}  // namespace holdfast::quantize
