// Better Q2_K, Q4_K and Q5_K: the eight neighbours of each sub-block's stored scale and offset,
// then least squares for the super-block's two halves, then four neighbours again. Codes always
// follow by rounding. One sub-block a lane; a tile holds whole super-blocks.
#include <algorithm>
#include <span>

#include "quantize/internal/affine_super.h"
#include "quantize/internal/best.h"
#include "quantize/internal/numbers.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/best_affine_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/best_gain-inl.h"
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

// Steps from a stored scale and offset to a neighbour.
struct Move {
  float scale, offset;
};

inline constexpr Move kAround[] = {{-1, -1}, {-1, 0}, {-1, 1}, {0, -1},
                                   {0, 1},   {1, -1}, {1, 0},  {1, 1}};
inline constexpr Move kAcross[] = {{-1, 0}, {0, -1}, {0, 1}, {1, 0}};

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

  // Leaves the error of each sub-block at first and at last.
  void run(float* before, float* after) {
    for (std::size_t g = 0; g < kGroups; ++g) {
      const Floats scale = load(stored_.unit, g) * load(stored_.scale, g);
      const Floats offset = load(stored_.offset_unit, g) * load(stored_.offset, g);
      hn::Store(error(g, scale, offset), kFloat, errors_ + g * kLanes);
    }
    std::ranges::copy(errors_, before);
    for (std::size_t g = 0; g < kGroups; ++g) improve_sub_blocks(g, kAround);
    solve_super_blocks();
    for (std::size_t g = 0; g < kGroups; ++g) improve_sub_blocks(g, kAcross);
    std::ranges::copy(errors_, after);
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

  // The best of the stored scale and offset and some neighbours.
  void improve_sub_blocks(std::size_t g, std::span<const Move> moves) {
    const Floats unit = load(stored_.unit, g), offset_unit = load(stored_.offset_unit, g);
    const Floats scale = load(stored_.scale, g), offset = load(stored_.offset, g);
    Floats best_scale = scale, best_offset = offset, least = load(errors_, g);
    for (const Move& move : moves) {
      const Floats new_scale = InRange(scale + Splat(move.scale));
      const Floats new_offset = InRange(offset + Splat(move.offset));
      const Floats e = error(g, unit * new_scale, offset_unit * new_offset);
      const auto better = hn::Lt(e, least);
      best_scale = hn::IfThenElse(better, new_scale, best_scale);
      best_offset = hn::IfThenElse(better, new_offset, best_offset);
      least = hn::IfThenElse(better, e, least);
    }
    hn::Store(best_scale, kFloat, stored_.scale + g * kLanes);
    hn::Store(best_offset, kFloat, stored_.offset + g * kLanes);
    hn::Store(least, kFloat, errors_ + g * kLanes);
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
      if (!(SumUp(errors + first, kSubs) < SumUp(errors_ + first, kSubs))) continue;
      std::copy_n(units + first, kSubs, stored_.unit + first);
      std::copy_n(offset_units + first, kSubs, stored_.offset_unit + first);
      std::copy_n(errors + first, kSubs, errors_ + first);
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

template <class Block, std::size_t kSub>
void ImproveAffine(const AffineShape& shape, const Strip& strip, std::byte* out) {
  constexpr std::size_t kSubs = kSuper / kSub;
  constexpr std::size_t kGroups = std::max<std::size_t>(1, kSubs / kLanes);
  constexpr std::size_t kSubBlocks = kGroups * kLanes;
  constexpr std::size_t kTileValues = kSubBlocks * kSub;
  auto* block = reinterpret_cast<Block*>(out);
  const ClearGain is_gain(strip);
  Tile<kSub, kGroups> x, weights;
  for (std::size_t at = 0; at < strip.count; at += kTileValues) {
    const std::size_t count = std::min(kTileValues, strip.count - at);
    LoadPadded(strip.values + at, count, x);
    if (strip.importance != nullptr) LoadPadded(strip.importance + at, count, weights);
    Stored<kSubBlocks> stored{};
    for (std::size_t first = 0; first < count / kSub; first += kSubs) {
      const Block& from = block[first / kSubs];
      std::fill_n(stored.unit + first, kSubs, half_to_float(from.scale));
      std::fill_n(stored.offset_unit + first, kSubs, half_to_float(from.offset));
      ReadStored(from, stored.scale + first, stored.offset + first);
    }
    float before[kSubBlocks], after[kSubBlocks];
    Improver<kSub, kGroups>(x, strip.importance == nullptr ? nullptr : &weights, shape, stored)
        .run(before, after);
    for (std::size_t first = 0; first < count / kSub; first += kSubs, ++block) {
      if (!is_gain(before + first, after + first, kSubs)) continue;
      WriteBlock(shape, strip.values + at + first * kSub, stored, first, *block);
    }
  }
}

void ImproveQ2_K(const Strip& strip, std::byte* blocks) {
  ImproveAffine<Q2_KBlock, 16>(kQ2K, strip, blocks);
}

void ImproveQ4_K(const Strip& strip, std::byte* blocks) {
  ImproveAffine<Q4_KBlock, 32>(kQ4K, strip, blocks);
}

void ImproveQ5_K(const Strip& strip, std::byte* blocks) {
  ImproveAffine<Q5_KBlock, 32>(kQ5K, strip, blocks);
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
