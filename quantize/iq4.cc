// IQ4_NL and IQ4_XS: codes into a fixed table of sixteen unevenly spaced values. Scalar side, which
// is the specification, after GGML's quantize_row_iq4_nl_impl; the kernels are in iq4_kernel.cc.
#include <cmath>
#include <cstring>

#include "quantize/internal/families.h"
#include "quantize/internal/kquants.h"
#include "quantize/internal/legacy.h"
#include "quantize/internal/numbers.h"
#include "quantize/internal/small.h"

namespace holdfast::quantize {
namespace {

// Index of the nearest value; of two at the same distance the upper. NaN counts as large.
std::size_t nearest_index(float x) noexcept {
  std::size_t index = 0;
  for (std::size_t i = 0; i < 15; ++i) {
    const float middle = 0.5f * static_cast<float>(kIq4Values[i] + kIq4Values[i + 1]);
    index += !(x < middle);
  }
  return index;
}

// Sums of one trial: the best scale is qx / qq.
struct Fit {
  float qx = 0, qq = 0;
};

Fit fit(const float* x, const float* weights, float inverse) noexcept {
  Fit result;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const auto q = static_cast<float>(kIq4Values[nearest_index(inverse * x[i])]);
    result.qx += weights[i] * q * x[i];
    result.qq += weights[i] * q * q;
  }
  return result;
}

// The best of sixteen scales for 32 values.
float search(const float* x, const float* weights) noexcept {
  float magnitude = 0, extreme = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    if (std::fabs(x[i]) > magnitude) {
      magnitude = std::fabs(x[i]);
      extreme = x[i];
    }
  }
  if (magnitude < kGroupEpsilon) return 0;
  constexpr auto kFirst = static_cast<float>(kIq4Values[0]);
  Fit trial = fit(x, weights, 1 / (-extreme / kFirst));
  float scale = trial.qq > 0 ? trial.qx / trial.qq : 0.0f;
  float best = scale * trial.qx;
  for (int step = -7; step <= 7; ++step) {
    trial = fit(x, weights, (static_cast<float>(step) + kFirst) / extreme);
    if (trial.qq > 0 && trial.qx * trial.qx > best * trial.qq) {
      scale = trial.qx / trial.qq;
      best = scale * trial.qx;
    }
  }
  return scale;
}

// Twice the mean square, as the reference takes it: a sum times a rounded factor.
float variance(const float* x, std::size_t n) noexcept {
  float sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += x[i] * x[i];
  return sum * (2.f / static_cast<float>(n));
}

// x² without importance.
void weigh(const float* x, const float* importance, float spread, float* weights) noexcept {
  for (std::size_t i = 0; i < kBlock; ++i) {
    const float square = x[i] * x[i];
    weights[i] = importance == nullptr ? square : importance[i] * std::sqrt(spread + square);
  }
}

void write_codes(const float* x, float inverse, std::uint8_t* out) noexcept {
  std::uint8_t codes[kBlock];
  for (std::size_t i = 0; i < kBlock; ++i) {
    codes[i] = static_cast<std::uint8_t>(nearest_index(inverse * x[i]));
  }
  pack_nibbles(codes, out);
}

void encode_xs(const float* x, const float* importance, IQ4_XSBlock& to) noexcept {
  const float spread = variance(x, kSuper);
  float scales[8], magnitude = 0, extreme = 0;
  for (std::size_t j = 0; j < 8; ++j) {
    float weights[kBlock];
    weigh(x + kBlock * j, importance == nullptr ? nullptr : importance + kBlock * j, spread,
          weights);
    scales[j] = search(x + kBlock * j, weights);
    if (std::fabs(scales[j]) > magnitude) {
      magnitude = std::fabs(scales[j]);
      extreme = scales[j];
    }
  }
  std::memset(&to, 0, sizeof to);
  // Here the codes are chosen with the unrounded scale, unlike in the K formats.
  const float scale = -extreme / 32;
  const float inverse = scale != 0 ? 1 / scale : 0.0f;
  to.scale = float_to_half(scale);
  for (std::size_t j = 0; j < 8; ++j) {
    const int code = clamp(nearest(inverse * scales[j]), -32, 31);
    const float sub_scale = scale * static_cast<float>(code);
    write_codes(x + kBlock * j, sub_scale != 0 ? 1 / sub_scale : 0.0f, to.codes + 16 * j);
    const auto biased = static_cast<unsigned>(code + 32);
    to.scales_low[j / 2] =
        static_cast<std::uint8_t>(to.scales_low[j / 2] | (biased & 15u) << (j % 2 * 4));
    to.scales_high = static_cast<std::uint16_t>(to.scales_high | (biased >> 4) << (2 * j));
  }
}

}  // namespace

void iq4_nl_encode_reference(const Strip& strip, std::byte* out) noexcept {
  auto* to = reinterpret_cast<IQ4_NLBlock*>(out);
  for (std::size_t at = 0; at < strip.count; at += kBlock, ++to) {
    const float* x = strip.values + at;
    float weights[kBlock];
    weigh(x, strip.importance == nullptr ? nullptr : strip.importance + at, variance(x, kBlock),
          weights);
    const float scale = search(x, weights);
    to->scale = float_to_half(scale);
    write_codes(x, scale != 0 ? 1 / scale : 0.0f, to->codes);
  }
}

void iq4_nl_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto* block = reinterpret_cast<const IQ4_NLBlock*>(blocks);
  for (const float* end = y + count; y != end; y += kBlock, ++block) {
    const float scale = half_to_float(block->scale);
    for (std::size_t i = 0; i < kBlock; ++i) {
      const unsigned code = block->codes[i % 16] >> (i / 16 * 4) & 15u;
      y[i] = scale * static_cast<float>(kIq4Values[code]);
    }
  }
}

void iq4_xs_encode_reference(const Strip& strip, std::byte* out) noexcept {
  auto* to = reinterpret_cast<IQ4_XSBlock*>(out);
  for (std::size_t at = 0; at < strip.count; at += kSuper, ++to) {
    encode_xs(strip.values + at, strip.importance == nullptr ? nullptr : strip.importance + at,
              *to);
  }
}

void iq4_xs_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto* block = reinterpret_cast<const IQ4_XSBlock*>(blocks);
  for (const float* end = y + count; y != end; y += kSuper, ++block) {
    for (std::size_t i = 0; i < kSuper; ++i) {
      const std::size_t sub = i / kBlock;
      const unsigned low = block->scales_low[sub / 2] >> (sub % 2 * 4) & 15u;
      const unsigned high = block->scales_high >> (2 * sub) & 3u;
      const float scale =
          half_to_float(block->scale) * static_cast<float>(static_cast<int>(low | high << 4) - 32);
      const unsigned code = block->codes[16 * sub + i % 16] >> (i % kBlock / 16 * 4) & 15u;
      y[i] = scale * static_cast<float>(kIq4Values[code]);
    }
  }
}

}  // namespace holdfast::quantize
