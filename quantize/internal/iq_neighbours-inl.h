// The nearest neighbour of a group that is off the grid, candidates side by side in lanes. The
// distance of a candidate is a sum of table entries, one table per value of the group: the error of
// that value at each level. Same sums in the same order as the scalar search, hence the same bits.
#if defined(HOLDFAST_IQ_NEIGHBOURS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_IQ_NEIGHBOURS_INL_H
#undef HOLDFAST_IQ_NEIGHBOURS_INL_H
#else
#define HOLDFAST_IQ_NEIGHBOURS_INL_H
#endif

#include <algorithm>
#include <limits>
#include <span>

#include <hwy/highway.h>

#include "quantize/internal/iq_grids.h"
#include "quantize/internal/lanes-inl.h"

#if HOLDFAST_SIMD

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {

// Tables of four (eight values a group) or eight (four values) floats, one per value of a group.
template <std::size_t kDimension>
class LevelTables {
 public:
  static constexpr std::size_t kLevels = 32 / kDimension;
  static constexpr int kBits = kDimension == 8 ? 2 : 3;

  HWY_INLINE explicit LevelTables(const float* tables)
      : memory_(tables),
        table0_(Repeat(tables)),
        table1_(Repeat(tables + kLevels)),
        table2_(Repeat(tables + 2 * kLevels)),
        table3_(Repeat(tables + 3 * kLevels)),
        table4_(Repeat(tables + 4 * kLevels % 32)),
        table5_(Repeat(tables + 5 * kLevels % 32)),
        table6_(Repeat(tables + 6 * kLevels % 32)),
        table7_(Repeat(tables + 7 * kLevels % 32)) {}

  // The sum of the entries that a code selects, left to right.
  HWY_INLINE Floats sum(Uints code) const {
    Floats result = look_up<0>(table0_, code) + look_up<1>(table1_, code);
    result = result + look_up<2>(table2_, code);
    result = result + look_up<3>(table3_, code);
    if constexpr (kDimension == 8) {
      result = result + look_up<4>(table4_, code);
      result = result + look_up<5>(table5_, code);
      result = result + look_up<6>(table6_, code);
      result = result + look_up<7>(table7_, code);
    }
    return result;
  }

 private:
  static constexpr bool kInRegister = kLevels == 4 || kLanes >= 8;
  // Wide lookups ignore the upper bits of an index and find the table repeated; where they do not,
  // or where the library checks, the index must be cut off.
  static constexpr bool kCutIndex = kLanes < 8 || HWY_IS_DEBUG_BUILD;

  template <std::size_t i>
  HWY_INLINE Floats look_up(Floats table, Uints code) const {
    auto index = hn::ShiftRight<kBits* static_cast<int>(i)>(code);
    if constexpr (kCutIndex) {
      index = hn::And(index, hn::Set(kUint, static_cast<std::uint32_t>(kLevels - 1)));
    }
    if constexpr (kInRegister) {
      return hn::TableLookupLanes(table, hn::IndicesFromVec(kFloat, index));
    } else {
      return hn::GatherIndex(kFloat, memory_ + i * kLevels, hn::BitCast(kInt, index));
    }
  }

  static HWY_INLINE Floats Repeat(const float* table) {
    if constexpr (kLevels == 4 || kLanes == 4) {
      return hn::LoadDup128(kFloat, table);
    } else if constexpr (kLanes == 8) {
      return hn::Load(kFloat, table);
    } else {
      const hn::Half<FloatTag> half;
      const auto once = hn::Load(half, table);
      return hn::Combine(kFloat, once, once);
    }
  }

  const float* memory_;
  // Not an array: these must live in registers.
  const Floats table0_, table1_, table2_, table3_, table4_, table5_, table6_, table7_;
};

struct Neighbour {
  std::uint16_t code;
  bool clear;  // no other is nearer than its distance and the margin
};

// The first of the nearest. `errors` are the tables, none of them infinite or NaN.
template <std::size_t kDimension>
HWY_INLINE Neighbour NearestNeighbour(std::span<const std::uint16_t> neighbours,
                                      const float* errors, float margin) {
  constexpr hn::Rebind<std::uint16_t, FloatTag> kCode{};
  const LevelTables<kDimension> tables(errors);
  const std::size_t count = neighbours.size();
  if (count <= kLanes) {
    const auto codes = hn::PromoteTo(kUint, hn::LoadU(kCode, neighbours.data()));
    const Floats distance = tables.sum(codes);
    const Floats least = hn::MinOfLanes(kFloat, distance);
    const auto near = hn::And(hn::FirstN(kFloat, count), hn::Le(distance, least + Splat(margin)));
    const auto first = hn::FindFirstTrue(kFloat, hn::Eq(distance, least));
    return {neighbours[static_cast<std::size_t>(first)], hn::CountTrue(kFloat, near) == 1};
  }
  alignas(64) float distances[Grid::kNeighboursMax];
  Floats least = Splat(std::numeric_limits<float>::max());
  for (std::size_t n = 0; n < count; n += kLanes) {
    const auto codes = hn::PromoteTo(kUint, hn::LoadU(kCode, neighbours.data() + n));
    const Floats distance = tables.sum(codes);
    hn::Store(distance, kFloat, distances + n);
    least = hn::Min(least, distance);
  }
  least = hn::MinOfLanes(kFloat, least);
  const Floats limit = least + Splat(margin);
  std::size_t near = 0;
  for (std::size_t n = 0; n < count; n += kLanes) {
    const auto listed = hn::FirstN(kFloat, std::min(count - n, kLanes));
    near += hn::CountTrue(kFloat, hn::And(listed, hn::Le(hn::Load(kFloat, distances + n), limit)));
  }
  for (std::size_t n = 0;; n += kLanes) {
    const auto first = hn::FindFirstTrue(kFloat, hn::Eq(hn::Load(kFloat, distances + n), least));
    if (first >= 0) return {neighbours[n + static_cast<std::size_t>(first)], near == 1};
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif  // HOLDFAST_SIMD
#endif
