// TQ1_0, TQ2_0, Q1_0 and Q2_0: one scale and a handful of levels. Scalar side, which is the
// specification, after GGML's quantize_row_*_ref; the kernels are in ternary_kernel.cc.
#include <algorithm>
#include <cmath>

#include "quantize/internal/families.h"
#include "quantize/internal/kquants.h"
#include "quantize/internal/numbers.h"
#include "quantize/internal/small.h"

namespace holdfast::quantize {
namespace {

float largest_magnitude(const float* x, std::size_t n) noexcept {
  float largest = 0;
  for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
  return largest;
}

// round(x / scale), half away from zero, for every value; `overflow` where the reciprocal of the
// scale is infinite.
void round_all(const float* x, std::size_t n, float scale, int overflow, int* rounded) noexcept {
  const float inverse = scale != 0 ? 1.0f / scale : 0.0f;
  for (std::size_t i = 0; i < n; ++i) {
    rounded[i] = std::isinf(inverse) ? overflow : static_cast<int>(std::round(x[i] * inverse));
  }
}

// Trits 0, 1, 2, first one most significant, as a fraction of 256 rounded up, so that multiplying
// by 3 brings them out one by one. `count` of five.
template <class Trit>
std::uint8_t pack_trits(std::size_t count, const Trit& trit) noexcept {
  unsigned value = 0;
  for (std::size_t n = 0; n < 5; ++n) value = value * 3 + (n < count ? trit(n) : 0);
  return static_cast<std::uint8_t>((value * 256 + 242) / 243);
}

unsigned unpack_trit(std::uint8_t byte, std::size_t n) noexcept {
  constexpr unsigned kPowers[5] = {1, 3, 9, 27, 81};
  return ((byte * kPowers[n] & 255u) * 3) >> 8;
}

// Where value i of a TQ1_0 block stands: byte and trit. The last four bytes hold four trits.
struct TritPlace {
  std::size_t byte, trit;
};

TritPlace trit_place(std::size_t i) noexcept {
  if (i < 160) return {i % 32, i / 32};
  if (i < 240) return {32 + (i - 160) % 16, (i - 160) / 16};
  return {48 + (i - 240) % 4, (i - 240) / 4};
}

}  // namespace

void tq1_0_encode_reference(const Strip& strip, std::byte* out) noexcept {
  auto* to = reinterpret_cast<TQ1_0Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kSuper, ++to) {
    const float scale = largest_magnitude(strip.values + at, kSuper);
    int q[kSuper];
    round_all(strip.values + at, kSuper, scale, 0, q);
    const auto pack = [&](std::size_t first, std::size_t stride, std::size_t trits) {
      return pack_trits(
          trits, [&](std::size_t n) { return static_cast<unsigned>(q[first + n * stride] + 1); });
    };
    for (std::size_t m = 0; m < 32; ++m) to->codes[m] = pack(m, 32, 5);
    for (std::size_t m = 0; m < 16; ++m) to->codes[32 + m] = pack(160 + m, 16, 5);
    for (std::size_t m = 0; m < 4; ++m) to->last[m] = pack(240 + m, 4, 4);
    to->scale = float_to_half(scale);
  }
}

void tq1_0_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto* block = reinterpret_cast<const TQ1_0Block*>(blocks);
  for (const float* end = y + count; y != end; y += kSuper, ++block) {
    const float scale = half_to_float(block->scale);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(block);  // codes, then last
    for (std::size_t i = 0; i < kSuper; ++i) {
      const TritPlace place = trit_place(i);
      y[i] = (static_cast<float>(unpack_trit(bytes[place.byte], place.trit)) - 1) * scale;
    }
  }
}

void tq2_0_encode_reference(const Strip& strip, std::byte* out) noexcept {
  auto* to = reinterpret_cast<TQ2_0Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kSuper, ++to) {
    const float scale = largest_magnitude(strip.values + at, kSuper);
    int q[kSuper];
    std::uint8_t codes[kSuper];
    round_all(strip.values + at, kSuper, scale, 0, q);
    for (std::size_t i = 0; i < kSuper; ++i) codes[i] = static_cast<std::uint8_t>((q[i] + 1) & 3);
    pack_pairs(codes, to->codes);
    to->scale = float_to_half(scale);
  }
}

void tq2_0_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto* block = reinterpret_cast<const TQ2_0Block*>(blocks);
  for (const float* end = y + count; y != end; y += kSuper, ++block) {
    const float scale = half_to_float(block->scale);
    for (std::size_t i = 0; i < kSuper; ++i) {
      const unsigned code = block->codes[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3u;
      y[i] = (static_cast<float>(code) - 1) * scale;
    }
  }
}

void q1_0_encode_reference(const Strip& strip, std::byte* out) noexcept {
  constexpr std::size_t kValues = 128;
  auto* to = reinterpret_cast<Q1_0Block*>(out);
  for (const float* x = strip.values; x != strip.values + strip.count; x += kValues, ++to) {
    float sum = 0;
    for (std::size_t i = 0; i < kValues; ++i) sum += std::fabs(x[i]);
    to->scale = float_to_half(sum / kValues);
    for (std::size_t byte = 0; byte < kValues / 8; ++byte) {
      unsigned bits = 0;
      for (unsigned i = 0; i < 8; ++i) bits |= (x[8 * byte + i] >= 0 ? 1u : 0u) << i;
      to->signs[byte] = static_cast<std::uint8_t>(bits);
    }
  }
}

void q1_0_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  constexpr std::size_t kValues = 128;
  const auto* block = reinterpret_cast<const Q1_0Block*>(blocks);
  for (const float* end = y + count; y != end; y += kValues, ++block) {
    const float scale = half_to_float(block->scale);
    for (std::size_t i = 0; i < kValues; ++i) {
      y[i] = (block->signs[i / 8] >> (i % 8) & 1u) != 0 ? scale : -scale;
    }
  }
}

void q2_0_encode_reference(const Strip& strip, std::byte* out) noexcept {
  constexpr std::size_t kValues = 64;
  auto* to = reinterpret_cast<Q2_0Block*>(out);
  for (const float* x = strip.values; x != strip.values + strip.count; x += kValues, ++to) {
    const float scale = largest_magnitude(x, kValues);
    int q[kValues];
    round_all(x, kValues, scale, -1, q);
    to->scale = float_to_half(scale);
    for (std::size_t byte = 0; byte < kValues / 4; ++byte) {
      unsigned bits = 0;
      for (std::size_t i = 0; i < 4; ++i) {
        bits |= static_cast<unsigned>(clamp(q[4 * byte + i] + 1, 0, 3)) << (2 * i);
      }
      to->codes[byte] = static_cast<std::uint8_t>(bits);
    }
  }
}

void q2_0_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  constexpr std::size_t kValues = 64;
  const auto* block = reinterpret_cast<const Q2_0Block*>(blocks);
  for (const float* end = y + count; y != end; y += kValues, ++block) {
    const float scale = half_to_float(block->scale);
    for (std::size_t i = 0; i < kValues; ++i) {
      y[i] = (static_cast<float>(block->codes[i / 4] >> (i % 4 * 2) & 3u) - 1) * scale;
    }
  }
}

}  // namespace holdfast::quantize
