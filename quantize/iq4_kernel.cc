// IQ4_NL and IQ4_XS, SIMD encoders: the searches one sub-block of 32 a lane, then codes across
// lanes.
#include <algorithm>
#include <cmath>

#include "quantize/internal/dispatch.h"
#include "quantize/internal/families.h"
#include "quantize/internal/kquants.h"
#include "quantize/internal/legacy.h"
#include "quantize/internal/numbers.h"
#include "quantize/internal/small.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/iq4_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/iq4_store-inl.h"
#include "quantize/internal/symmetric_search-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

#if HOLDFAST_SIMD

inline constexpr std::size_t kGroups = kLanes == 16 ? 1 : 2;
inline constexpr std::size_t kTileSubs = kGroups * kLanes;
inline constexpr std::size_t kTileValues = kTileSubs * kBlock;
inline constexpr std::size_t kSubs = kSuper / kBlock;

using SubTile = Tile<kBlock, kGroups>;

// One scale a lane; 0 for a sub-block of tiny values.
class SearchLanes {
 public:
  SearchLanes(const SubTile& x, const SubTile& weights) : x_(x), weights_(weights) {}

  void run(Floats (&scales)[kGroups]) {
    constexpr auto kFirst = static_cast<float>(kIq4Values[0]);
    FloatMask empty[kGroups];
    Floats extreme[kGroups], inverse[kGroups];
    for (std::size_t g = 0; g < kGroups; ++g) {
      extreme[g] = FirstExtreme(x_, g);
      empty[g] = hn::Lt(hn::Abs(extreme[g]), Splat(kGroupEpsilon));
      inverse[g] = Splat(1) / (hn::Neg(extreme[g]) / Splat(kFirst));
      inverse[g] = hn::IfThenZeroElse(empty[g], inverse[g]);
    }
    try_scale(inverse);
    for (std::size_t g = 0; g < kGroups; ++g) {
      const auto usable = hn::Gt(qq_[g], hn::Zero(kFloat));
      scale_[g] = hn::IfThenElseZero(usable, qx_[g] / qq_[g]);
      best_[g] = scale_[g] * qx_[g];
    }
    for (int step = -7; step <= 7; ++step) {
      const Floats numerator = Splat(static_cast<float>(step) + kFirst);
      for (std::size_t g = 0; g < kGroups; ++g) {
        inverse[g] = hn::IfThenZeroElse(empty[g], numerator / extreme[g]);
      }
      try_scale(inverse);
      accept();
    }
    for (std::size_t g = 0; g < kGroups; ++g) {
      scales[g] = hn::IfThenZeroElse(empty[g], scale_[g]);
    }
  }

 private:
  HWY_INLINE void try_scale(const Floats (&inverse)[kGroups]) {
    NearestValue::Factors factors[kGroups];
    Floats qx[kGroups], qq[kGroups];
    for (std::size_t g = 0; g < kGroups; ++g) {
      factors[g] = NearestValue::factors(inverse[g]);
      qx[g] = qq[g] = hn::Zero(kFloat);
    }
    for (std::size_t i = 0; i < kBlock; i += 4) {
#pragma GCC unroll 4
      for (std::size_t g = 0; g < kGroups; ++g) {
        const Floats x[4] = {x_.v[i][g], x_.v[i + 1][g], x_.v[i + 2][g], x_.v[i + 3][g]};
        Floats q[4];
        nearest_value_.of_products(factors[g], x, q);
        for (std::size_t k = 0; k < 4; ++k) {
          const Floats wq = weights_.v[i + k][g] * q[k];
          qx[g] = qx[g] + wq * x[k];
          qq[g] = qq[g] + wq * q[k];
        }
      }
    }
    for (std::size_t g = 0; g < kGroups; ++g) {
      qx_[g] = qx[g];
      qq_[g] = qq[g];
    }
  }

  HWY_INLINE void accept() {
    for (std::size_t g = 0; g < kGroups; ++g) {
      const auto better =
          hn::And(hn::Gt(qq_[g], hn::Zero(kFloat)), hn::Gt(qx_[g] * qx_[g], best_[g] * qq_[g]));
      const Floats scale = qx_[g] / qq_[g];
      scale_[g] = hn::IfThenElse(better, scale, scale_[g]);
      best_[g] = hn::IfThenElse(better, scale * qx_[g], best_[g]);
    }
  }

  const SubTile& x_;
  const SubTile& weights_;
  const NearestValue nearest_value_{};
  Floats qx_[kGroups], qq_[kGroups], scale_[kGroups], best_[kGroups];
};

// Scales of a whole strip, at most kStrip values; `variances` is per sub-block.
inline constexpr std::size_t kChunk = 2048;

void SearchChunk(const Strip& strip, const float* variances, float* scales) {
  SubTile x, weights;
  for (std::size_t at = 0; at < strip.count; at += kTileValues) {
    const std::size_t count = strip.count - at;
    LoadPadded(strip.values + at, count, x);
    if (strip.importance != nullptr) LoadPadded(strip.importance + at, count, weights);
    for (std::size_t g = 0; g < kGroups; ++g) {
      const Floats variance = hn::LoadU(kFloat, variances + at / kBlock + g * kLanes);
      for (std::size_t i = 0; i < kBlock; ++i) {
        const Floats square = x.v[i][g] * x.v[i][g];
        weights.v[i][g] =
            strip.importance == nullptr ? square : weights.v[i][g] * hn::Sqrt(variance + square);
      }
    }
    Floats result[kGroups];
    SearchLanes(x, weights).run(result);
    for (std::size_t g = 0; g < kGroups; ++g) {
      hn::StoreU(result[g], kFloat, scales + at / kBlock + g * kLanes);
    }
  }
}

// Twice the mean square of each sub-block, or of the super-block that it lies in.
void SubVariances(const Strip& strip, float* variances) {
  for (std::size_t at = 0; at < strip.count; at += kBlock) {
    float sum = 0;
    for (std::size_t i = 0; i < kBlock; ++i) sum += strip.values[at + i] * strip.values[at + i];
    variances[at / kBlock] = sum * (2.f / kBlock);
  }
}

void SuperVariances(const Strip& strip, float* variances) {
  float sums[kChunk / kSuper] = {};
  sums_of_squares(strip.values, strip.count / kSuper, sums);
  for (std::size_t j = 0; j < kChunk / kBlock; ++j) variances[j] = sums[j / kSubs] * (2.f / kSuper);
}

// False where a reciprocal overflows: the reference knows what its products with zero become.
bool FinishSuper(const float* x, const float* scales, IQ4_XSBlock& to) {
  float magnitude = 0, extreme = 0;
  for (std::size_t j = 0; j < kSubs; ++j) {
    if (std::fabs(scales[j]) > magnitude) {
      magnitude = std::fabs(scales[j]);
      extreme = scales[j];
    }
  }
  const float scale = -extreme / 32;
  const float inverse = scale != 0 ? 1 / scale : 0.0f;
  bool tame = std::isfinite(inverse) && std::isfinite(scale);
  to.scale = float_to_half(scale);
  std::uint32_t high = 0, low = 0;
  for (std::size_t j = 0; j < kSubs; ++j) {
    const int code = clamp(nearest(inverse * scales[j]), -32, 31);
    const float sub_scale = scale * static_cast<float>(code);
    const float sub_inverse = sub_scale != 0 ? 1 / sub_scale : 0.0f;
    tame = tame && std::isfinite(sub_inverse);
    WriteCodes(x + kBlock * j, sub_inverse, to.codes + 16 * j);
    const auto biased = static_cast<std::uint32_t>(code + 32);
    low |= (biased & 15u) << (4 * j);
    high |= (biased >> 4) << (2 * j);
  }
  store(to.scales_low, low);
  to.scales_high = static_cast<std::uint16_t>(high);
  return tame;
}

Strip Part(const Strip& strip, std::size_t at, std::size_t count) {
  return {strip.values + at, std::min(count, strip.count - at),
          strip.importance == nullptr ? nullptr : strip.importance + at};
}

void EncodeIQ4_XS(const Strip& strip, std::byte* out) {
  auto* to = reinterpret_cast<IQ4_XSBlock*>(out);
  for (std::size_t at = 0; at < strip.count; at += kChunk) {
    const Strip chunk = Part(strip, at, kChunk);
    float variances[kChunk / kBlock] = {}, scales[kChunk / kBlock];
    if (chunk.importance != nullptr) SuperVariances(chunk, variances);
    SearchChunk(chunk, variances, scales);
    for (std::size_t s = 0; s < chunk.count / kSuper; ++s, ++to) {
      if (FinishSuper(chunk.values + s * kSuper, scales + s * kSubs, *to)) continue;
      iq4_xs_encode_reference(Part(chunk, s * kSuper, kSuper), reinterpret_cast<std::byte*>(to));
    }
  }
}

void EncodeIQ4_NL(const Strip& strip, std::byte* out) {
  auto* to = reinterpret_cast<IQ4_NLBlock*>(out);
  for (std::size_t at = 0; at < strip.count; at += kChunk) {
    const Strip chunk = Part(strip, at, kChunk);
    float variances[kChunk / kBlock] = {}, scales[kChunk / kBlock];
    if (chunk.importance != nullptr) SubVariances(chunk, variances);
    SearchChunk(chunk, variances, scales);
    for (std::size_t b = 0; b < chunk.count / kBlock; ++b, ++to) {
      const float inverse = scales[b] != 0 ? 1 / scales[b] : 0.0f;
      if (std::isfinite(inverse) && std::isfinite(scales[b])) {
        to->scale = float_to_half(scales[b]);
        WriteCodes(chunk.values + b * kBlock, inverse, to->codes);
      } else {
        iq4_nl_encode_reference(Part(chunk, b * kBlock, kBlock), reinterpret_cast<std::byte*>(to));
      }
    }
  }
}

#else

void EncodeIQ4_NL(const Strip& strip, std::byte* out) { iq4_nl_encode_reference(strip, out); }

void EncodeIQ4_XS(const Strip& strip, std::byte* out) { iq4_xs_encode_reference(strip, out); }

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HOLDFAST_DISPATCH_ENCODE(iq4_nl_encode, EncodeIQ4_NL);
HOLDFAST_DISPATCH_ENCODE(iq4_xs_encode, EncodeIQ4_XS);

}  // namespace holdfast::quantize
#endif
