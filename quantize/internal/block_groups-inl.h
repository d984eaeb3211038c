// As many blocks as a vector has lanes, taken together: what is worked out once a block, its
// extreme and the scale that follows from it, is then a few operations for all of them, and the
// chains of different blocks overlap. Included once per Highway target, as lanes-inl.h.
#if defined(HOLDFAST_BLOCK_GROUPS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_BLOCK_GROUPS_INL_H
#undef HOLDFAST_BLOCK_GROUPS_INL_H
#else
#define HOLDFAST_BLOCK_GROUPS_INL_H
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include <hwy/highway.h>

#include "quantize/format.h"
#include "quantize/internal/errors-inl.h"
#include "quantize/internal/lanes-inl.h"
#include "quantize/internal/numbers.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

#if HOLDFAST_SIMD

struct Largest {
  HWY_INLINE Floats operator()(Floats a, Floats b) const { return hn::Max(a, b); }
};

struct Smallest {
  HWY_INLINE Floats operator()(Floats a, Floats b) const { return hn::Min(a, b); }
};

// Lane b of the result: all lanes of parts[b] under `op`, in any order. A step halves the vectors,
// each of which then has the partial results of two.
template <class Op>
HWY_INLINE Floats ReduceEach(Floats (&parts)[kLanes], Op op) {
  const hn::Repartition<double, FloatTag> pair;
  Unrolled<kLanes / 2>([&](auto i) {
    const Floats a = parts[2 * i], b = parts[2 * i + 1];
    parts[i] = op(hn::InterleaveLower(kFloat, a, b), hn::InterleaveUpper(kFloat, a, b));
  });
  Unrolled<kLanes / 4>([&](auto i) {
    const auto a = hn::BitCast(pair, parts[2 * i]), b = hn::BitCast(pair, parts[2 * i + 1]);
    parts[i] = op(hn::BitCast(kFloat, hn::InterleaveLower(pair, a, b)),
                  hn::BitCast(kFloat, hn::InterleaveUpper(pair, a, b)));
  });
  if constexpr (kLanes == 16) {
    Unrolled<2>([&](auto i) {
      const Floats a = parts[2 * i], b = parts[2 * i + 1];
      parts[i] = op(hn::OddEvenBlocks(b, a), hn::SwapAdjacentBlocks(hn::OddEvenBlocks(a, b)));
    });
  }
  if constexpr (kLanes >= 8) {
    return op(hn::ConcatLowerLower(kFloat, parts[1], parts[0]),
              hn::ConcatUpperUpper(kFloat, parts[1], parts[0]));
  }
  return parts[0];
}

// Of each of kLanes blocks of kValues values `op` over all read(value).
template <std::size_t kValues, class Read, class Op>
HWY_INLINE Floats ReduceBlocks(const float* x, Read read, Op op) {
  Floats parts[kLanes];
  Unrolled<kLanes>([&](auto b) {
    const float* block = x + b * kValues;
    parts[b] = read(hn::LoadU(kFloat, block));
    Unrolled<kValues / kLanes - 1>([&](auto i) {
      parts[b] = op(parts[b], read(hn::LoadU(kFloat, block + (i + 1) * kLanes)));
    });
  });
  return ReduceEach(parts, op);
}

template <std::size_t kValues, class Op>
HWY_INLINE Floats ExtremeOfEach(const float* x, Op op) {
  return ReduceBlocks<kValues>(x, [](Floats value) { return value; }, op);
}

template <std::size_t kValues>
HWY_INLINE Floats LargestMagnitudeOfEach(const float* x) {
  return ReduceBlocks<kValues>(x, [](Floats value) { return hn::Abs(value); }, Largest{});
}

// A number of each block of a group as a half, and what that decodes to.
struct StoredHalves {
  HWY_INLINE explicit StoredHalves(Floats numbers) {
    StoreHalves(numbers, bits);
    hn::Store(LoadHalves(bits), kFloat, values);
  }

  alignas(32) std::uint16_t bits[kLanes];
  alignas(64) float values[kLanes];
};

// 1 / scale of each block of a group, 0 where the scale is.
struct Inverses {
  HWY_INLINE explicit Inverses(Floats scales) {
    const Floats infinity = Splat(float_of(0x7f800000u)), inverses = Splat(1) / scales;
    const auto finite =
        hn::And(hn::Lt(hn::Abs(inverses), infinity), hn::Lt(hn::Abs(scales), infinity));
    hn::Store(hn::IfThenElseZero(finite, inverses), kFloat, values);
    overflow = !hn::AllTrue(kFloat, hn::Or(finite, hn::Eq(scales, hn::Zero(kFloat))));
  }

  alignas(64) float values[kLanes];
  bool overflow;  // of any scale or its reciprocal
};

// use(x, blocks of the group) for the groups of a strip; x has the values of a whole group, zeros
// where the strip has ended.
template <std::size_t kValues, class Use>
HWY_INLINE void ForGroups(const Strip& strip, Use use) {
  constexpr std::size_t kGroupValues = kLanes * kValues;
  alignas(64) float padded[kGroupValues];
  for (std::size_t at = 0; at < strip.count; at += kGroupValues) {
    const std::size_t count = std::min(kGroupValues, strip.count - at);
    const float* x = strip.values + at;
    if (count < kGroupValues) {
      std::fill(std::copy_n(x, count, padded), std::end(padded), 0.0f);
      x = padded;
    }
    use(x, count / kValues);  // the only call, so that it is inlined and its sums stay in registers
  }
}

#endif  // HOLDFAST_SIMD

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif
