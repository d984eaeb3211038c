// Q3_K and Q6_K, SIMD encoders: the searches one sub-block a lane, then each super-block's codes
// across lanes. Super-blocks that leave the tame numbers go to the reference.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "quantize/internal/dispatch.h"
#include "quantize/internal/families.h"
#include "quantize/internal/numbers.h"
#include "quantize/internal/symmetric_super.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/kquants_symmetric_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/errors-inl.h"
#include "quantize/internal/symmetric_search-inl.h"
#include "quantize/internal/symmetric_store-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

#if HOLDFAST_SIMD

inline constexpr std::size_t kSub = kSymmetricSub;
inline constexpr std::size_t kSubs = kSymmetricSubs;
inline constexpr std::size_t kChunk = 2048;  // values between the two halves of the work
inline constexpr std::size_t kSupers = kChunk / kSuper;

// Search results of one chunk, by sub-block; wild is by super-block.
struct Found {
  alignas(64) float scale[kChunk / kSub], weight_sum[kChunk / kSub];
  bool wild[kSupers];
};

inline constexpr std::size_t kGroups = kLanes == 16 ? 1 : 2;

void RefineChunk(const Strip& strip, Found& found) {
  RefineRows<kSub, kChunk / kSub> rows(strip.values, 4);
  for (std::size_t first = 0; first * kSub < strip.count; first += kLanes) {
    Tile<kSub, 1> x;
    LoadPadded(strip.values + first * kSub, strip.count - first * kSub, x);
    const RefineStart start = StartRefining(x, 4);
    const auto usable = hn::Gt(start.ll, hn::Zero(kFloat));
    hn::StoreU(hn::IfThenElseZero(usable, start.xl / start.ll), kFloat, found.scale + first);
    rows.put(first, start);
  }
  rows.run([&](std::size_t row, float scale, bool wild) {
    found.scale[row] = scale;
    found.wild[row / kSubs] = found.wild[row / kSubs] || wild;
  });
}

// As quantize_q3_scales, which knows what to do with zeros and with what is not finite.
void QuantizeScalesQ3(const float* scales, Q3Scales& stored) {
  Floats top = hn::Zero(kFloat);
  auto tame = hn::Eq(top, top);
  for (std::size_t j = 0; j < kSubs; j += kLanes) {
    const Floats magnitude = hn::Abs(hn::LoadU(kFloat, scales + j));
    tame = hn::And(tame, hn::Lt(magnitude, Splat(1e30f)));
    top = hn::Max(top, magnitude);
  }
  top = hn::MaxOfLanes(kFloat, top);
  std::uint32_t at_top = 1u << (kSubs - 1);
  for (std::size_t j = 0; j < kSubs; j += kLanes) {
    at_top |= MaskBits(hn::Eq(hn::Abs(hn::LoadU(kFloat, scales + j)), top)) << j;
  }
  const float inverse = -32.f / scales[std::countr_zero(at_top)];
  if (!hn::AllTrue(kFloat, tame) || !(std::fabs(inverse) < 1e30f)) {
    return quantize_q3_scales(scales, stored);
  }
  for (std::size_t j = 0; j < kSubs; j += kLanes) {
    const Floats code = Nearest(Splat(inverse) * hn::LoadU(kFloat, scales + j));
    const Floats clamped = hn::Max(Splat(-32), hn::Min(Splat(31), code));
    StoreBytes(hn::BitCast(kUint, clamped + Splat(0x1p23f + 32)), stored.scale_codes + j);
  }
  stored.scale = FloatToHalf(1 / inverse);
}

// weigh(x, variance of the lanes' super-blocks, weights) turns importance into weights.
template <class Weigh>
void SearchChunk(const Strip& strip, int levels, const Weigh& weigh, Found& found) {
  for (std::size_t first = 0; first * kSub < strip.count; first += kGroups * kLanes) {
    const std::size_t at = first * kSub;
    Tile<kSub, kGroups> x, weights;
    LoadPadded(strip.values + at, strip.count - at, x);
    if (strip.importance != nullptr) LoadPadded(strip.importance + at, strip.count - at, weights);
    weigh(x, first, weights);
    SymmetricFound result[kGroups];
    SymmetricLanes<kSub, kGroups>(x, weights, levels).run(result);
    for (std::size_t g = 0; g < kGroups; ++g) {
      Floats sum = hn::Zero(kFloat);
      for (const Floats(&value)[kGroups] : weights.v) sum = sum + value[g];
      hn::StoreU(result[g].scale, kFloat, found.scale + first + g * kLanes);
      hn::StoreU(sum, kFloat, found.weight_sum + first + g * kLanes);
    }
  }
}

void Squares(const Tile<kSub, kGroups>& x, Tile<kSub, kGroups>& weights) {
  for (std::size_t i = 0; i < kSub; ++i) {
    for (std::size_t g = 0; g < kGroups; ++g) weights.v[i][g] = x.v[i][g] * x.v[i][g];
  }
}

// importance * sqrt(variance of the super-block + x²), for Q3_K.
void SearchWeightedQ3(const Strip& strip, Found& found) {
  float sums[kSupers] = {};
  sums_of_squares(strip.values, strip.count / kSuper, sums);
  float variances[kChunk / kSub];
  for (std::size_t j = 0; j < kChunk / kSub; ++j) variances[j] = 2 * sums[j / kSubs] / kSuper;
  SearchChunk(
      strip, 4,
      [&](const Tile<kSub, kGroups>& x, std::size_t first, Tile<kSub, kGroups>& weights) {
        for (std::size_t g = 0; g < kGroups; ++g) {
          const Floats variance = hn::LoadU(kFloat, variances + first + g * kLanes);
          for (std::size_t i = 0; i < kSub; ++i) {
            const Floats square = x.v[i][g] * x.v[i][g];
            weights.v[i][g] = weights.v[i][g] * hn::Sqrt(variance + square);
          }
        }
      },
      found);
}

void SearchQ6(const Strip& strip, Found& found) {
  const bool weighted = strip.importance != nullptr;
  SearchChunk(
      strip, 32,
      [&](const Tile<kSub, kGroups>& x, std::size_t, Tile<kSub, kGroups>& weights) {
        if (!weighted) Squares(x, weights);
      },
      found);
}

// search_symmetric over the scales of a chunk's super-blocks, one super-block a lane.
void SearchScalesQ3(Found& found, Q3Scales (&stored)[kSupers]) {
  constexpr std::size_t kColumns = std::max(kSupers, kLanes);
  alignas(64) float columns[2][kSubs][kColumns] = {};
  for (std::size_t s = 0; s < kSupers; ++s) {
    for (std::size_t j = 0; j < kSubs; ++j) {
      columns[0][j][s] = found.scale[s * kSubs + j];
      columns[1][j][s] = found.weight_sum[s * kSubs + j];
      found.wild[s] = found.wild[s] || !std::isfinite(columns[0][j][s]);
    }
  }
  for (std::size_t lane = 0; lane < kSupers; lane += kLanes) {
    Tile<kSubs, 1> x, weights;
    for (std::size_t j = 0; j < kSubs; ++j) {
      x.v[j][0] = hn::Load(kFloat, &columns[0][j][lane]);
      weights.v[j][0] = hn::Load(kFloat, &columns[1][j][lane]);
    }
    SymmetricFound result[1];
    SymmetricLanes<kSubs, 1>(x, weights, 32).run(result);
    alignas(64) float scale[kLanes], codes[kLanes];
    hn::Store(result[0].scale, kFloat, scale);
    // A super-block without a scale stores zeros, not the bias.
    const auto empty = hn::Eq(result[0].inverse, hn::Zero(kFloat));
    const std::size_t last = std::min(kSupers - lane, kLanes);
    for (std::size_t s = 0; s < last; ++s) stored[lane + s].scale = float_to_half(scale[s]);
    for (std::size_t j = 0; j < kSubs; ++j) {
      const Floats code =
          hn::Max(Splat(-32), hn::Min(Splat(31), Nearest(result[0].inverse * x.v[j][0])));
      hn::Store(hn::IfThenZeroElse(empty, code + Splat(32)), kFloat, codes);
      for (std::size_t s = 0; s < last; ++s) {
        stored[lane + s].scale_codes[j] = static_cast<std::uint8_t>(static_cast<int>(codes[s]));
      }
    }
  }
}

// False, and errors are as they were, where the super-block needs the reference.
template <class Errors>
bool FinishQ3(const float* x, const Q3Scales& scales, Q3_KBlock& to, Errors& errors) {
  Requantizer requantizer(x, 4, errors);
  for (std::size_t j = 0; j < kSubs; ++j) {
    requantizer.set_scale(
        j, half_to_float(scales.scale) * static_cast<float>(scales.scale_codes[j] - 32));
  }
  if (requantizer.any_zero()) return false;  // there the search's own codes stay
  to.scale = scales.scale;
  pack_scales_q3(scales.scale_codes, to.scales);
  WriteCodes(requantizer, to);
  if (!requantizer.tame()) return false;
  errors = requantizer.errors();
  return true;
}

template <class Errors>
bool FinishQ6(const float* x, const float* found, Q6_KBlock& to, Errors& errors) {
  if (!quantize_q6_scales(found, to)) {
    std::memset(&to, 0, sizeof to);
    if constexpr (Errors::kOn) {
      errors.add_decoded(info(Format::Q6_K), x, reinterpret_cast<const std::byte*>(&to), kSuper);
    }
    return true;
  }
  Requantizer requantizer(x, 32, errors);
  for (std::size_t j = 0; j < kSubs; ++j) {
    requantizer.set_scale(j, half_to_float(to.scale) * static_cast<float>(to.scales[j]));
  }
  if (requantizer.any_zero()) return false;
  WriteCodes(requantizer, to);
  if (!requantizer.tame()) return false;
  errors = requantizer.errors();
  return true;
}

// Super-block s of a strip, by the reference.
template <class Errors>
void EncodeSuper(Format format, const Strip& strip, std::size_t s, void* to, Errors& errors) {
  const std::size_t at = s * kSuper;
  const float* importance = strip.importance == nullptr ? nullptr : strip.importance + at;
  EncodeByReference(format, {strip.values + at, kSuper, importance}, static_cast<std::byte*>(to),
                    errors);
}

// At most kChunk values.
template <class Errors>
void EncodeChunk(const Strip& strip, Q3_KBlock* to, Errors& errors) {
  Found found{};
  Q3Scales stored[kSupers];
  if (strip.importance == nullptr) {
    RefineChunk(strip, found);
    for (std::size_t s = 0; s < strip.count / kSuper; ++s) {
      QuantizeScalesQ3(found.scale + s * kSubs, stored[s]);
    }
  } else {
    SearchWeightedQ3(strip, found);
    SearchScalesQ3(found, stored);
  }
  for (std::size_t s = 0; s < strip.count / kSuper; ++s) {
    const float* x = strip.values + s * kSuper;
    if (!found.wild[s] && FinishQ3(x, stored[s], to[s], errors)) continue;
    EncodeSuper(Format::Q3_K, strip, s, to + s, errors);
  }
}

template <class Errors>
void EncodeChunk(const Strip& strip, Q6_KBlock* to, Errors& errors) {
  Found found{};
  SearchQ6(strip, found);
  for (std::size_t s = 0; s < strip.count / kSuper; ++s) {
    if (FinishQ6(strip.values + s * kSuper, found.scale + s * kSubs, to[s], errors)) continue;
    EncodeSuper(Format::Q6_K, strip, s, to + s, errors);
  }
}

template <class Block, class Errors>
void EncodeChunks(const Strip& strip, std::byte* out, Errors& errors) {
  auto* to = reinterpret_cast<Block*>(out);
  for (std::size_t at = 0; at < strip.count; at += kChunk, to += kSupers) {
    const float* importance = strip.importance == nullptr ? nullptr : strip.importance + at;
    EncodeChunk({strip.values + at, std::min(kChunk, strip.count - at), importance}, to, errors);
  }
}

template <class Errors>
void EncodeQ3_K(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeChunks<Q3_KBlock>(strip, out, errors);
}

template <class Errors>
void EncodeQ6_K(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeChunks<Q6_KBlock>(strip, out, errors);
}

#else

template <class Errors>
void EncodeQ3_K(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeByReference(Format::Q3_K, strip, out, errors);
}

template <class Errors>
void EncodeQ6_K(const Strip& strip, std::byte* out, Errors& errors) {
  EncodeByReference(Format::Q6_K, strip, out, errors);
}

#endif

HOLDFAST_BOTH_USES(EncodeQ3_K);
HOLDFAST_BOTH_USES(EncodeQ6_K);

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HOLDFAST_DISPATCH_MEASURED(q3_k, EncodeQ3_K);
HOLDFAST_DISPATCH_MEASURED(q6_k, EncodeQ6_K);

}  // namespace holdfast::quantize
#endif
