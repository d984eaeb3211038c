// Better Q2_K, Q4_K and Q5_K: the neighbours of each sub-block's stored scale and offset, then
// least squares for the super-block's two halves, then the neighbours again. Codes always follow by
// rounding. One sub-block a lane; a tile holds whole super-blocks.
#include <algorithm>
#include <cmath>

#include "quantize/internal/affine_super.h"
#include "quantize/internal/best.h"
#include "quantize/internal/numbers.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/best_affine_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/tile-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

// Stored numbers of the sub-blocks of one tile. `unit` and `offset_unit` are the super-block's.
template <std::size_t kSubBlocks>
struct Stored {
  alignas(64) float unit[kSubBlocks],
      offset_unit[kSubBlocks], scale[kSubBlocks], offset[kSubBlocks];
};

template <class Block>
void ReadStored(const Block& from, float* scales, float* offsets) {
  std::uint8_t scale_codes[8], offset_codes[8];
  unpack_scales_6(from.scales, scale_codes, offset_codes);
  std::copy_n(scale_codes, 8, scales);
  std::copy_n(offset_codes, 8, offsets);
}

void ReadStored(const Q2_KBlock& from, float* scales, float* offsets) {
  for (std::size_t j = 0; j < 16; ++j) {
    scales[j] = static_cast<float>(from.scales[j] & 15);
    offsets[j] = static_cast<float>(from.scales[j] >> 4);
  }
}

// One group of lanes: what is stored, and the error it makes.
struct Choice {
  Floats scale, offset, error;
};

template <std::size_t kSub, std::size_t kGroups>
class Improver {
 public:
  using Values = Tile<kSub, kGroups>;
  static constexpr std::size_t kSubBlocks = kGroups * kLanes;
  static constexpr std::size_t kSubs = 256 / kSub;

  Improver(const Values& x, const Values* weights, const AffineShape& shape,
           Stored<kSubBlocks>& stored)
      : x_(x),
        weights_(weights),
        levels_(Splat(static_cast<float>(shape.plain.levels))),
        scale_top_(Splat(static_cast<float>(shape.scale_levels))),
        stored_(stored) {}

  void run() {
    for (std::size_t g = 0; g < kGroups; ++g) improve_sub_blocks(g);
    solve_super_blocks();
    for (std::size_t g = 0; g < kGroups; ++g) improve_sub_blocks(g);
  }

 private:
  Floats load(const float (&from)[kSubBlocks], std::size_t g) const {
    return hn::Load(kFloat, from + g * kLanes);
  }

  Floats weighted(Floats value, std::size_t i, std::size_t g) const {
    return weights_ == nullptr ? value : weights_->v[i][g] * value;
  }

  static Floats reciprocal(Floats scale) {
    return hn::IfThenZeroElse(hn::Eq(scale, hn::Zero(kFloat)), Splat(1) / scale);
  }

  HWY_INLINE Floats code(Floats x, Floats inverse, Floats offset) const {
    return hn::Max(hn::Zero(kFloat), hn::Min(levels_, Nearest((x + offset) * inverse)));
  }

  HWY_INLINE Floats error(std::size_t g, Floats scale, Floats offset) const {
    const Floats inverse = reciprocal(scale);
    Floats sum = hn::Zero(kFloat);
    for (std::size_t i = 0; i < kSub; ++i) {
      const Floats x = x_.v[i][g];
      const Floats difference = scale * code(x, inverse, offset) - offset - x;
      sum = sum + weighted(difference * difference, i, g);
    }
    return sum;
  }

  // The best of the nine pairs around the stored scale and offset.
  void improve_sub_blocks(std::size_t g) {
    const Floats unit = load(stored_.unit, g), offset_unit = load(stored_.offset_unit, g);
    const Floats scale = load(stored_.scale, g), offset = load(stored_.offset, g);
    Choice best = {scale, offset, error(g, unit * scale, offset_unit * offset)};
    for (const float a : {-1.0f, 0.0f, 1.0f}) {
      for (const float b : {-1.0f, 0.0f, 1.0f}) {
        if (a == 0 && b == 0) continue;
        const Floats new_scale = InRange(scale + Splat(a)), new_offset = InRange(offset + Splat(b));
        const Floats e = error(g, unit * new_scale, offset_unit * new_offset);
        const auto better = hn::Lt(e, best.error);
        best.scale = hn::IfThenElse(better, new_scale, best.scale);
        best.offset = hn::IfThenElse(better, new_offset, best.offset);
        best.error = hn::IfThenElse(better, e, best.error);
      }
    }
    hn::Store(best.scale, kFloat, stored_.scale + g * kLanes);
    hn::Store(best.offset, kFloat, stored_.offset + g * kLanes);
    hn::Store(best.error, kFloat, errors_ + g * kLanes);
  }

  Floats InRange(Floats value) const {
    return hn::Max(hn::Zero(kFloat), hn::Min(scale_top_, value));
  }

  // Sums over the values of each sub-block.
  struct Sums {
    alignas(64) float w[kSubBlocks], q[kSubBlocks], qq[kSubBlocks], x[kSubBlocks], qx[kSubBlocks];
  };

  void sum_up(std::size_t g, Sums& sums) const {
    const Floats scale = load(stored_.unit, g) * load(stored_.scale, g);
    const Floats offset = load(stored_.offset_unit, g) * load(stored_.offset, g);
    const Floats inverse = reciprocal(scale), one = Splat(1), zero = hn::Zero(kFloat);
    Floats w = zero, q = zero, qq = zero, sum_x = zero, qx = zero;
    for (std::size_t i = 0; i < kSub; ++i) {
      const Floats x = x_.v[i][g], l = code(x, inverse, offset);
      const Floats weight = weighted(one, i, g), wl = weight * l;
      w = w + weight;
      q = q + wl;
      qq = qq + wl * l;
      sum_x = sum_x + weight * x;
      qx = qx + wl * x;
    }
    hn::Store(w, kFloat, sums.w + g * kLanes);
    hn::Store(q, kFloat, sums.q + g * kLanes);
    hn::Store(qq, kFloat, sums.qq + g * kLanes);
    hn::Store(sum_x, kFloat, sums.x + g * kLanes);
    hn::Store(qx, kFloat, sums.qx + g * kLanes);
  }

  // Least squares for (unit, offset unit) with everything else as it is, as halves; taken where the
  // super-block's error falls.
  void solve_super_blocks() {
    Sums sums;
    for (std::size_t g = 0; g < kGroups; ++g) sum_up(g, sums);
    alignas(64) float units[kSubBlocks], offset_units[kSubBlocks], errors[kSubBlocks];
    for (std::size_t first = 0; first < kSubBlocks; first += kSubs) {
      solve(sums, first, units, offset_units);
    }
    for (std::size_t g = 0; g < kGroups; ++g) {
      const Floats scale = load(units, g) * load(stored_.scale, g);
      const Floats offset = load(offset_units, g) * load(stored_.offset, g);
      hn::Store(error(g, scale, offset), kFloat, errors + g * kLanes);
    }
    for (std::size_t first = 0; first < kSubBlocks; first += kSubs) {
      double before = 0, after = 0;
      for (std::size_t j = first; j < first + kSubs; ++j) {
        before += errors_[j];
        after += errors[j];
      }
      if (!(after < before)) continue;
      std::copy_n(units + first, kSubs, stored_.unit + first);
      std::copy_n(offset_units + first, kSubs, stored_.offset_unit + first);
    }
  }

  void solve(const Sums& sums, std::size_t first, float* units, float* offset_units) const {
    double ss = 0, so = 0, oo = 0, sx = 0, ox = 0;
    for (std::size_t j = first; j < first + kSubs; ++j) {
      const double s = stored_.scale[j], o = stored_.offset[j];
      ss += s * s * sums.qq[j];
      so += s * o * sums.q[j];
      oo += o * o * sums.w[j];
      sx += s * sums.qx[j];
      ox += o * sums.x[j];
    }
    const double determinant = ss * oo - so * so;
    double unit = (sx * oo - so * ox) / determinant;
    double offset_unit = (so * sx - ss * ox) / determinant;
    if (!(determinant > 0) || !(offset_unit > 0)) {
      offset_unit = 0;
      unit = ss > 0 ? sx / ss : 0;
    }
    std::fill_n(units + first, kSubs, half_to_float(float_to_half(static_cast<float>(unit))));
    std::fill_n(offset_units + first, kSubs,
                half_to_float(float_to_half(static_cast<float>(offset_unit))));
  }

  const Values& x_;
  const Values* weights_;
  const Floats levels_, scale_top_;
  Stored<kSubBlocks>& stored_;
  alignas(64) float errors_[kSubBlocks];
};

template <class Block, std::size_t kSubBlocks>
void WriteBlock(const AffineShape& shape, const float* x, const Stored<kSubBlocks>& stored,
                std::size_t first, Block& to) {
  AffineSuper super;
  super.scale = float_to_half(stored.unit[first]);
  super.offset = float_to_half(stored.offset_unit[first]);
  for (std::size_t j = 0; j < kSuper / shape.sub_values; ++j) {
    super.scale_codes[j] = static_cast<std::uint8_t>(static_cast<int>(stored.scale[first + j]));
    super.offset_codes[j] = static_cast<std::uint8_t>(static_cast<int>(stored.offset[first + j]));
    const float scale = stored.unit[first] * stored.scale[first + j];
    const float offset = stored.offset_unit[first] * stored.offset[first + j];
    const Floats inverse = Splat(scale == 0 ? 0 : 1 / scale);
    const Floats top = Splat(static_cast<float>(shape.plain.levels));
    for (std::size_t i = j * shape.sub_values; i < (j + 1) * shape.sub_values; i += kLanes) {
      const Floats t = Nearest((hn::LoadU(kFloat, x + i) + Splat(offset)) * inverse);
      alignas(64) float codes[kLanes];
      hn::Store(hn::Max(hn::Zero(kFloat), hn::Min(top, t)), kFloat, codes);
      for (std::size_t k = 0; k < kLanes; ++k) {
        super.codes[i + k] = static_cast<std::uint8_t>(static_cast<int>(codes[k]));
      }
    }
  }
  write_super(super, to);
}

// `strip` holds at most 2048 values.
template <class Block, std::size_t kSub>
void ImproveAffine(const AffineShape& shape, const Strip& strip, const std::byte* identical,
                   std::byte* candidates) {
  constexpr std::size_t kSubs = kSuper / kSub;
  constexpr std::size_t kGroups = std::max<std::size_t>(1, kSubs / kLanes);
  constexpr std::size_t kSubBlocks = kGroups * kLanes;
  constexpr std::size_t kTileValues = kSubBlocks * kSub;
  const auto* from = reinterpret_cast<const Block*>(identical);
  auto* to = reinterpret_cast<Block*>(candidates);
  Tile<kSub, kGroups> x, weights;
  for (std::size_t at = 0; at < strip.count; at += kTileValues) {
    const std::size_t count = std::min(kTileValues, strip.count - at);
    alignas(64) float padded[2][kTileValues] = {};
    std::copy_n(strip.values + at, count, padded[0]);
    LoadTile(padded[0], x);
    if (strip.importance != nullptr) {
      std::copy_n(strip.importance + at, count, padded[1]);
      LoadTile(padded[1], weights);
    }
    Stored<kSubBlocks> stored{};
    const std::size_t first_super = at / kSuper;
    for (std::size_t s = 0; s < count / kSuper; ++s) {
      const Block& block = from[first_super + s];
      std::fill_n(stored.unit + s * kSubs, kSubs, half_to_float(block.scale));
      std::fill_n(stored.offset_unit + s * kSubs, kSubs, half_to_float(block.offset));
      ReadStored(block, stored.scale + s * kSubs, stored.offset + s * kSubs);
    }
    Improver<kSub, kGroups>(x, strip.importance == nullptr ? nullptr : &weights, shape, stored)
        .run();
    for (std::size_t s = 0; s < count / kSuper; ++s) {
      if (!std::isfinite(stored.unit[s * kSubs]) || !std::isfinite(stored.offset_unit[s * kSubs])) {
        continue;
      }
      WriteBlock(shape, padded[0] + s * kSuper, stored, s * kSubs, to[first_super + s]);
    }
  }
}

void ImproveQ2_K(const Strip& strip, const std::byte* identical, std::byte* candidates) {
  ImproveAffine<Q2_KBlock, 16>(kQ2_K, strip, identical, candidates);
}

void ImproveQ4_K(const Strip& strip, const std::byte* identical, std::byte* candidates) {
  ImproveAffine<Q4_KBlock, 32>(kQ4_K, strip, identical, candidates);
}

void ImproveQ5_K(const Strip& strip, const std::byte* identical, std::byte* candidates) {
  ImproveAffine<Q5_KBlock, 32>(kQ5_K, strip, identical, candidates);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {

HWY_EXPORT(ImproveQ2_K);
HWY_EXPORT(ImproveQ4_K);
HWY_EXPORT(ImproveQ5_K);

void q2_k_encode_best(const Strip& strip, std::byte* blocks) noexcept {
  encode_best(Format::Q2_K, HWY_DYNAMIC_DISPATCH(ImproveQ2_K), strip, blocks);
}

void q4_k_encode_best(const Strip& strip, std::byte* blocks) noexcept {
  encode_best(Format::Q4_K, HWY_DYNAMIC_DISPATCH(ImproveQ4_K), strip, blocks);
}

void q5_k_encode_best(const Strip& strip, std::byte* blocks) noexcept {
  encode_best(Format::Q5_K, HWY_DYNAMIC_DISPATCH(ImproveQ5_K), strip, blocks);
}

}  // namespace holdfast::quantize
#endif
