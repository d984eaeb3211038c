// The two ends of a strip: source elements to float32, and what encoding lost. Both have one SIMD
// kernel and give the same result on every CPU.
#pragma once

#include <cstddef>
#include <cstdint>

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
  alignas(64) double source[kSumPlaces] = {};  // x²
  alignas(64) double error[kSumPlaces] = {};   // (x - y)²
  alignas(64) double cross[kSumPlaces] = {};   // x (x - y)
  float largest_error = 0;
  bool is_tame = true;  // the source of the strip at hand: its squares are placed
};

// A strip whose largest magnitude lies between these, or is zero, can be summed up in float32: no
// sum overflows, and what squares lose below the normal numbers is nothing beside the largest.
inline constexpr float kTameLeast = 1e-10f, kTameMost = 1e13f;

// The error sums of consecutive strips. Squares of the source are taken while it is widened, where
// memory is waited for. What was encoded without loss adds nothing to the other sums.
class StripSums {
 public:
  // As the function above, and starts a strip.
  bool widen(SourceType type, const std::byte* source, std::size_t count, float* out) noexcept;

  // Encodes the strip that was widened last and adds what that lost: in one go by the format's
  // measured encoder where `measured` gives one, otherwise by decoding the blocks of `plain`.
  void encode(const FormatInfo& format, EncodeStrip plain, EncodeMeasured measured,
              const Strip& strip, std::byte* blocks) noexcept;

  // The strip that was widened last was encoded without loss.
  void add_lossless(const float* source, std::size_t count) noexcept;

  ErrorSums total() const noexcept;

 private:
  void add(const FormatInfo& format, const float* source, const std::byte* blocks,
           std::size_t count) noexcept;
  void add_wide(const FormatInfo& format, const float* source, const std::byte* blocks,
                std::size_t count, bool with_squares) noexcept;
  void add_wide(const float* source, const float* decoded, std::size_t count,
                bool with_squares) noexcept;

  PlacedSums placed_;
  std::uint64_t count_ = 0;
  // What float32 cannot sum up, and what does not fill the places.
  double source_ = 0, error_ = 0, cross_ = 0;
  float largest_error_ = 0;
};

// Errors of `count` values, whole sets of places, whose blocks are written. False, and nothing is
// added, where they leave float32.
bool add_decoded_errors(const FormatInfo& format, const float* source, const std::byte* blocks,
                        std::size_t count, PlacedSums& sums) noexcept;

}  // namespace holdfast::quantize
