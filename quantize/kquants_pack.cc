// The sums and bit packings that K encoders and decoders share.
#include <cstring>

#include "quantize/internal/kquants.h"

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

void pack_scales_q3(const std::uint8_t* scales, std::uint8_t* out) noexcept {
  std::memset(out, 0, 12);
  for (std::size_t j = 0; j < 16; ++j) {
    const unsigned low = scales[j] & 15u, high = (scales[j] >> 4) & 3u;
    out[j % 8] = static_cast<std::uint8_t>(out[j % 8] | low << (j < 8 ? 0 : 4));
    out[8 + j % 4] = static_cast<std::uint8_t>(out[8 + j % 4] | high << (2 * (j / 4)));
  }
}

void unpack_scales_q3(const std::uint8_t* packed, std::uint8_t* scales) noexcept {
  for (std::size_t j = 0; j < 16; ++j) {
    const unsigned low = j < 8 ? packed[j] & 15u : packed[j - 8] >> 4;
    const unsigned high = (packed[8 + j % 4] >> (2 * (j / 4))) & 3u;
    scales[j] = static_cast<std::uint8_t>(low | high << 4);
  }
}

}  // namespace holdfast::quantize
