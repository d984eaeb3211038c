// Q4_0, Q4_1, Q5_0 and Q5_1 with importance weights, SIMD encoders: the searches one block a lane,
// then each block's codes across lanes.
#include <algorithm>

#include "quantize/internal/dispatch.h"
#include "quantize/internal/families.h"
#include "quantize/internal/legacy.h"
#include "quantize/internal/numbers.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/legacy_weighted_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/affine_search-inl.h"
#include "quantize/internal/legacy_store-inl.h"
#include "quantize/internal/symmetric_search-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

#if HOLDFAST_SIMD

inline constexpr std::size_t kGroups = 2;
inline constexpr std::size_t kTileBlocks = kGroups * kLanes;
inline constexpr std::size_t kTileValues = kTileBlocks * kBlock;

using BlockTile = Tile<kBlock, kGroups>;

// One tile's worth of a strip, with zeros where the strip ends.
struct PaddedTile {
  explicit PaddedTile(const Strip& strip, std::size_t at)
      : values(strip.values + at),
        importance(strip.importance + at),
        mean_square(strip.mean_square + at / kBlock),
        blocks(std::min(kTileBlocks, (strip.count - at) / kBlock)) {
    if (blocks == kTileBlocks) return;
    std::copy_n(values, blocks * kBlock, value_copy);
    std::copy_n(importance, blocks * kBlock, importance_copy);
    std::copy_n(mean_square, blocks, mean_copy);
    values = value_copy;
    importance = importance_copy;
    mean_square = mean_copy;
  }

  PaddedTile(const PaddedTile&) = delete;
  PaddedTile& operator=(const PaddedTile&) = delete;

  // importance * sqrt(mean square of the row + x²).
  void load(BlockTile& x, BlockTile& weights) const {
    LoadTile(values, x);
    LoadTile(importance, weights);
    for (std::size_t g = 0; g < kGroups; ++g) {
      const Floats mean = hn::LoadU(kFloat, mean_square + g * kLanes);
      for (std::size_t i = 0; i < kBlock; ++i) {
        const Floats square = x.v[i][g] * x.v[i][g];
        weights.v[i][g] = weights.v[i][g] * hn::Sqrt(mean + square);
      }
    }
  }

  const float* values;
  const float* importance;
  const float* mean_square;
  std::size_t blocks;
  float value_copy[kTileValues] = {}, importance_copy[kTileValues] = {},
        mean_copy[kTileBlocks] = {};
};

// The reference's bytes for one block.
template <auto kReference, class Block>
void AskReference(const Strip& strip, std::size_t first, Block& to) {
  kReference(
      {strip.values + first, kBlock, strip.importance + first, strip.mean_square + first / kBlock},
      reinterpret_cast<std::byte*>(&to));
}

template <class Block, int kLevels, auto kReference>
void EncodeSymmetric(const Strip& strip, std::byte* out) {
  auto* to = reinterpret_cast<Block*>(out);
  BlockTile x, weights;
  for (std::size_t at = 0; at < strip.count; at += kTileValues) {
    const PaddedTile tile(strip, at);
    tile.load(x, weights);
    SymmetricFound found[kGroups];
    SymmetricLanes<kBlock, kGroups>(x, weights, kLevels).run(found);
    alignas(64) float scale[kTileBlocks], inverse[kTileBlocks], ask[kTileBlocks];
    for (std::size_t g = 0; g < kGroups; ++g) {
      hn::Store(found[g].scale, kFloat, scale + g * kLanes);
      hn::Store(found[g].inverse, kFloat, inverse + g * kLanes);
      hn::Store(hn::IfThenElseZero(found[g].wild, Splat(1.0f)), kFloat, ask + g * kLanes);
    }
    for (std::size_t b = 0; b < tile.blocks; ++b, ++to) {
      if (ask[b] != 0) {
        AskReference<kReference>(strip, at + b * kBlock, *to);
        continue;
      }
      Uints codes[kParts];
      for (std::size_t p = 0; p < kParts; ++p) {
        const Floats t =
            Splat(inverse[b]) * hn::LoadU(kFloat, tile.values + b * kBlock + p * kLanes);
        const Floats code = hn::Max(Splat(-kLevels), hn::Min(Splat(kLevels - 1), Nearest(t)));
        // A block of tiny values stores zeros, not the bias.
        codes[p] =
            inverse[b] == 0 ? hn::Zero(kUint) : hn::BitCast(kUint, code + Splat(0x1p23f + kLevels));
      }
      to->scale = float_to_half(scale[b]);
      StoreNibbles(codes, to->codes);
      if constexpr (kLevels == 16) StoreFifthBits(codes, to->high);
    }
  }
}

// kReference encodes the blocks that leave nearest()'s domain.
template <class Block, int kLevels, auto kReference>
void EncodeAffine(const Strip& strip, std::byte* out) {
  static constexpr AffineSchedule kSchedule = {kLevels, -0.9f, 0.05f, 36, false};
  auto* to = reinterpret_cast<Block*>(out);
  BlockTile x, weights;
  for (std::size_t at = 0; at < strip.count; at += kTileValues) {
    const PaddedTile tile(strip, at);
    tile.load(x, weights);
    AffineFound found[kGroups];
    AffineLanes<kBlock, kGroups, false>(kSchedule, x, weights).run(found);
    alignas(64) float scale[kTileBlocks], low[kTileBlocks], inverse[kTileBlocks], from[kTileBlocks],
        ask[kTileBlocks];
    for (std::size_t g = 0; g < kGroups; ++g) {
      hn::Store(found[g].scale, kFloat, scale + g * kLanes);
      hn::Store(found[g].low, kFloat, low + g * kLanes);
      hn::Store(found[g].inverse, kFloat, inverse + g * kLanes);
      hn::Store(found[g].from, kFloat, from + g * kLanes);
      hn::Store(hn::IfThenElseZero(found[g].wild, Splat(1.0f)), kFloat, ask + g * kLanes);
    }
    for (std::size_t b = 0; b < tile.blocks; ++b, ++to) {
      if (ask[b] != 0) {
        AskReference<kReference>(strip, at + b * kBlock, *to);
        continue;
      }
      Uints codes[kParts];
      for (std::size_t p = 0; p < kParts; ++p) {
        const Floats value = hn::LoadU(kFloat, tile.values + b * kBlock + p * kLanes);
        const Floats t = Nearest(Splat(inverse[b]) * (value - Splat(from[b])));
        const Floats code = hn::Max(hn::Zero(kFloat), hn::Min(Splat(kLevels), t));
        codes[p] = hn::BitCast(kUint, code + Splat(0x1p23f));
      }
      to->scale = float_to_half(scale[b]);
      to->low = float_to_half(low[b]);
      StoreNibbles(codes, to->codes);
      if constexpr (kLevels == 31) StoreFifthBits(codes, to->high);
    }
  }
}

void EncodeQ4_0Weighted(const Strip& strip, std::byte* out) {
  EncodeSymmetric<Q4_0Block, 8, q4_0_encode_reference>(strip, out);
}

void EncodeQ4_1Weighted(const Strip& strip, std::byte* out) {
  EncodeAffine<Q4_1Block, 15, q4_1_encode_reference>(strip, out);
}

void EncodeQ5_0Weighted(const Strip& strip, std::byte* out) {
  EncodeSymmetric<Q5_0Block, 16, q5_0_encode_reference>(strip, out);
}

void EncodeQ5_1Weighted(const Strip& strip, std::byte* out) {
  EncodeAffine<Q5_1Block, 31, q5_1_encode_reference>(strip, out);
}

#else

void EncodeQ4_0Weighted(const Strip& strip, std::byte* out) { q4_0_encode_reference(strip, out); }

void EncodeQ4_1Weighted(const Strip& strip, std::byte* out) { q4_1_encode_reference(strip, out); }

void EncodeQ5_0Weighted(const Strip& strip, std::byte* out) { q5_0_encode_reference(strip, out); }

void EncodeQ5_1Weighted(const Strip& strip, std::byte* out) { q5_1_encode_reference(strip, out); }

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HOLDFAST_DISPATCH_ENCODE(q4_0_encode_weighted, EncodeQ4_0Weighted);
HOLDFAST_DISPATCH_ENCODE(q4_1_encode_weighted, EncodeQ4_1Weighted);
HOLDFAST_DISPATCH_ENCODE(q5_0_encode_weighted, EncodeQ5_0Weighted);
HOLDFAST_DISPATCH_ENCODE(q5_1_encode_weighted, EncodeQ5_1Weighted);

}  // namespace holdfast::quantize
#endif
