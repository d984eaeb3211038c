// Q3_K and Q6_K: sub-blocks of 16 with a signed scale and no offset. Scalar side, which is the
// specification, after GGML's quantize_row_q3_K and _q6_K; the kernels are in
// kquants_symmetric_kernel.cc.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "quantize/internal/families.h"
#include "quantize/internal/kquants.h"
#include "quantize/internal/numbers.h"
#include "quantize/internal/symmetric_super.h"

namespace holdfast::quantize {
namespace {

constexpr std::size_t kSub = kSymmetricSub;
constexpr std::size_t kSubs = kSymmetricSubs;

float first_extreme(const float* values, std::size_t n) {
  float magnitude = 0, extreme = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (std::fabs(values[i]) > magnitude) {
      magnitude = std::fabs(values[i]);
      extreme = values[i];
    }
  }
  return extreme;
}

// Codes again, with the sub-block's scale as stored; a zero scale leaves them.
void requantize(const float* x, float scale, int levels, std::uint8_t* codes) {
  if (scale == 0) return;
  for (std::size_t i = 0; i < kSub; ++i) {
    codes[i] =
        static_cast<std::uint8_t>(clamp(nearest(x[i] / scale), -levels, levels - 1) + levels);
  }
}

struct Q3Super {
  Q3Scales scales;
  std::uint8_t codes[kSuper];  // biased by 4
};

void search_q3_plain(const float* x, Q3Super& super) {
  float scales[kSubs];
  for (std::size_t j = 0; j < kSubs; ++j) {
    scales[j] = refine_symmetric(x + kSub * j, super.codes + kSub * j, kSub, 4);
  }
  quantize_q3_scales(scales, super.scales);
}

void search_q3_weighted(const float* x, const float* importance, Q3Super& super) {
  float sum = 0;
  for (std::size_t i = 0; i < kSuper; ++i) sum += x[i] * x[i];
  const float variance = 2 * sum / kSuper;
  float scales[kSubs], weight_sums[kSubs];
  for (std::size_t j = 0; j < kSubs; ++j) {
    float weights[kSub];
    weight_sums[j] = 0;
    for (std::size_t i = 0; i < kSub; ++i) {
      const float value = x[kSub * j + i];
      weights[i] = importance[kSub * j + i] * std::sqrt(variance + value * value);
      weight_sums[j] += weights[i];
    }
    scales[j] = search_symmetric({x + kSub * j, weights, super.codes + kSub * j, kSub}, 4);
  }
  Q3Scales& stored = super.scales;
  stored.scale =
      float_to_half(search_symmetric({scales, weight_sums, stored.scale_codes, kSubs}, 32));
}

void encode_q6(const float* x, const float* importance, Q6_KBlock& to) {
  std::uint8_t codes[kSuper];
  float scales[kSubs];
  for (std::size_t j = 0; j < kSubs; ++j) {
    float squares[kSub];
    for (std::size_t i = 0; i < kSub; ++i) squares[i] = x[kSub * j + i] * x[kSub * j + i];
    const float* weights = importance == nullptr ? squares : importance + kSub * j;
    scales[j] = search_symmetric({x + kSub * j, weights, codes + kSub * j, kSub}, 32);
  }
  if (!quantize_q6_scales(scales, to)) {
    std::memset(&to, 0, sizeof to);
    return;
  }
  for (std::size_t j = 0; j < kSubs; ++j) {
    const float scale = half_to_float(to.scale) * static_cast<float>(to.scales[j]);
    requantize(x + kSub * j, scale, 32, codes + kSub * j);
  }
  write_q6(codes, to);
}

}  // namespace

void quantize_q3_scales(const float* scales, Q3Scales& stored) noexcept {
  const float extreme = first_extreme(scales, kSubs);
  if (extreme == 0) {
    // Stored zeros, which read as -32 with a zero super-block scale.
    std::memset(stored.scale_codes, 0, kSubs);
    stored.scale = 0;
    return;
  }
  const float inverse = -32.f / extreme;
  for (std::size_t j = 0; j < kSubs; ++j) {
    // The reference narrows to eight bits before it clamps.
    const auto code = static_cast<std::int8_t>(nearest(inverse * scales[j]));
    stored.scale_codes[j] = static_cast<std::uint8_t>(clamp(code, -32, 31) + 32);
  }
  stored.scale = float_to_half(1 / inverse);
}

bool quantize_q6_scales(const float* scales, Q6_KBlock& to) noexcept {
  const float extreme = first_extreme(scales, kSubs);
  if (std::fabs(extreme) < kGroupEpsilon) return false;
  const float inverse = -128.f / extreme;
  to.scale = float_to_half(1 / inverse);
  for (std::size_t j = 0; j < kSubs; ++j) {
    to.scales[j] = static_cast<std::int8_t>(std::min(127, nearest(inverse * scales[j])));
  }
  return true;
}

void write_q3(const Q3Scales& stored, const std::uint8_t* codes, Q3_KBlock& to) noexcept {
  to.scale = stored.scale;
  pack_scales_q3(stored.scale_codes, to.scales);
  std::uint8_t low[kSuper];
  std::memset(to.high, 0, sizeof to.high);
  for (std::size_t i = 0; i < kSuper; ++i) {
    const bool high = codes[i] > 3;
    low[i] = static_cast<std::uint8_t>(codes[i] - (high ? 4 : 0));
    to.high[i % 32] = static_cast<std::uint8_t>(to.high[i % 32] | (high ? 1u << (i / 32) : 0u));
  }
  pack_pairs(low, to.codes);
}

void write_q6(const std::uint8_t* codes, Q6_KBlock& to) noexcept {
  for (std::size_t half = 0; half < 2; ++half, codes += 128) {
    for (std::size_t l = 0; l < 32; ++l) {
      const unsigned q[4] = {codes[l], codes[l + 32], codes[l + 64], codes[l + 96]};
      to.low[64 * half + l] = static_cast<std::uint8_t>((q[0] & 15u) | (q[2] & 15u) << 4);
      to.low[64 * half + 32 + l] = static_cast<std::uint8_t>((q[1] & 15u) | (q[3] & 15u) << 4);
      to.high[32 * half + l] = static_cast<std::uint8_t>(q[0] >> 4 | (q[1] >> 4) << 2 |
                                                         (q[2] >> 4) << 4 | (q[3] >> 4) << 6);
    }
  }
}

void q3_k_encode_reference(const Strip& strip, std::byte* out) noexcept {
  auto* to = reinterpret_cast<Q3_KBlock*>(out);
  for (std::size_t at = 0; at < strip.count; at += kSuper, ++to) {
    const float* x = strip.values + at;
    Q3Super super;
    if (strip.importance == nullptr) {
      search_q3_plain(x, super);
    } else {
      search_q3_weighted(x, strip.importance + at, super);
    }
    for (std::size_t j = 0; j < kSubs; ++j) {
      const auto code = static_cast<float>((super.scales.scale_codes[j] & 63) - 32);
      requantize(x + kSub * j, half_to_float(super.scales.scale) * code, 4, super.codes + kSub * j);
    }
    write_q3(super.scales, super.codes, *to);
  }
}

void q3_k_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto* block = reinterpret_cast<const Q3_KBlock*>(blocks);
  for (const float* end = y + count; y != end; y += kSuper, ++block) {
    std::uint8_t scales[kSubs];
    unpack_scales_q3(block->scales, scales);
    for (std::size_t i = 0; i < kSuper; ++i) {
      const float scale = half_to_float(block->scale) * static_cast<float>(scales[i / kSub] - 32);
      const unsigned low = block->codes[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3u;
      const unsigned high = block->high[i % 32] >> (i / 32) & 1u;
      y[i] = scale * static_cast<float>(static_cast<int>(low | high << 2) - 4);
    }
  }
}

void q6_k_encode_reference(const Strip& strip, std::byte* out) noexcept {
  auto* to = reinterpret_cast<Q6_KBlock*>(out);
  for (std::size_t at = 0; at < strip.count; at += kSuper, ++to) {
    encode_q6(strip.values + at, strip.importance == nullptr ? nullptr : strip.importance + at,
              *to);
  }
}

void q6_k_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto* block = reinterpret_cast<const Q6_KBlock*>(blocks);
  for (const float* end = y + count; y != end; y += kSuper, ++block) {
    for (std::size_t i = 0; i < kSuper; ++i) {
      const std::size_t half = i / 128, quarter = i / 32 % 4, l = i % 32;
      const unsigned low =
          block->low[64 * half + 32 * (quarter % 2) + l] >> (quarter / 2 * 4) & 15u;
      const unsigned high = block->high[32 * half + l] >> (2 * quarter) & 3u;
      const float scale = half_to_float(block->scale) * static_cast<float>(block->scales[i / kSub]);
      y[i] = scale * static_cast<float>(static_cast<int>(low | high << 4) - 32);
    }
  }
}

}  // namespace holdfast::quantize
