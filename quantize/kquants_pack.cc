// The sums and bit packings that K encoders and decoders share.
#include <cstring>

#include "quantize/internal/kquants.h"
#include "quantize/internal/numbers.h"

namespace holdfast::quantize {

void sums_of_squares(const float* x, std::size_t supers, float* sums) noexcept {
  constexpr std::size_t kTogether = 8;
  for (; supers >= kTogether; supers -= kTogether, x += kTogether * kSuper, sums += kTogether) {
    float sum[kTogether] = {};
    for (std::size_t i = 0; i < kSuper; ++i) {
      for (std::size_t s = 0; s < kTogether; ++s) sum[s] += x[s * kSuper + i] * x[s * kSuper + i];
    }
    std::memcpy(sums, sum, sizeof sum);
  }
  for (; supers > 0; --supers, x += kSuper, ++sums) {
    *sums = 0;
    for (std::size_t i = 0; i < kSuper; ++i) *sums += x[i] * x[i];
  }
}

void pack_pairs(const std::uint8_t* codes, std::uint8_t* out) noexcept {
  for (std::size_t half = 0; half < 2; ++half, codes += 128, out += 32) {
    for (std::size_t l = 0; l < 32; ++l) {
      out[l] = static_cast<std::uint8_t>(codes[l] | codes[l + 32] << 2 | codes[l + 64] << 4 |
                                         codes[l + 96] << 6);
    }
  }
}

void pack_scales_6(const std::uint8_t* scales, const std::uint8_t* offsets,
                   std::uint8_t* out) noexcept {
  for (std::size_t j = 0; j < 4; ++j) {
    out[j] = static_cast<std::uint8_t>((scales[j] & 63) | (scales[j + 4] >> 4) << 6);
    out[j + 4] = static_cast<std::uint8_t>((offsets[j] & 63) | (offsets[j + 4] >> 4) << 6);
    out[j + 8] = static_cast<std::uint8_t>((scales[j + 4] & 15) | (offsets[j + 4] & 15) << 4);
  }
}

void unpack_scales_6(const std::uint8_t* packed, std::uint8_t* scales,
                     std::uint8_t* offsets) noexcept {
  for (std::size_t j = 0; j < 4; ++j) {
    scales[j] = packed[j] & 63;
    offsets[j] = packed[j + 4] & 63;
    scales[j + 4] = static_cast<std::uint8_t>((packed[j + 8] & 15) | (packed[j] >> 6) << 4);
    offsets[j + 4] = static_cast<std::uint8_t>((packed[j + 8] >> 4) | (packed[j + 4] >> 6) << 4);
  }
}

namespace {

// Of every byte.
constexpr std::uint64_t kLowNibbles = 0x0f0f0f0f0f0f0f0fu;
constexpr std::uint64_t kTwoBits = 0x0303030303030303u;

}  // namespace

// Eight scales at a time. The low nibbles of scales 0 to 7 and 8 to 15 share eight bytes; the two
// bits above them, four scales each, share four.
void pack_scales_q3(const std::uint8_t* scales, std::uint8_t* out) noexcept {
  const auto first = load<std::uint64_t>(scales), second = load<std::uint64_t>(scales + 8);
  store(out, (first & kLowNibbles) | (second & kLowNibbles) << 4);
  const std::uint64_t first_high = first >> 4 & kTwoBits, second_high = second >> 4 & kTwoBits;
  store(out + 8, static_cast<std::uint32_t>(first_high | first_high >> 30 | second_high << 4 |
                                            second_high >> 26));
}

void unpack_scales_q3(const std::uint8_t* packed, std::uint8_t* scales) noexcept {
  const auto low = load<std::uint64_t>(packed);
  const std::uint64_t high = load<std::uint32_t>(packed + 8);
  const std::uint64_t first_high = (high | high << 30) & kTwoBits;
  const std::uint64_t second_high = (high >> 4 | high << 26) & kTwoBits;
  store(scales, (low & kLowNibbles) | first_high << 4);
  store(scales + 8, (low >> 4 & kLowNibbles) | second_high << 4);
}

}  // namespace holdfast::quantize
