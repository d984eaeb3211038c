// The nearest of the sixteen values of IQ4, lane by lane.
#if defined(HOLDFAST_IQ4_NEAREST_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_IQ4_NEAREST_INL_H
#undef HOLDFAST_IQ4_NEAREST_INL_H
#else
#define HOLDFAST_IQ4_NEAREST_INL_H
#endif

#include <hwy/highway.h>

#include "quantize/internal/iq4_tables.h"
#include "quantize/internal/lanes-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {

// Nearest table values of products that lie within ±134, as all trials' do.
#if HWY_TARGET <= HWY_AVX3

class NearestValue {
 public:
  NearestValue() {  // user-provided, else GCC compiles it without the target's instructions
    for (std::size_t half = 0; half < 2; ++half) {
      middle_[half] = hn::Load(kFloat, kPieces.middle + 16 * half);
      low_[half] = hn::Load(kFloat, kPieces.low + 16 * half);
      high_[half] = hn::Load(kFloat, kPieces.high + 16 * half);
    }
  }

  struct Factors {
    Floats exact, ninth;
  };

  static Factors factors(Floats inverse) { return {inverse, inverse * Splat(1.0f / 9)}; }

  // The piece comes from an approximate product, the decision within it from the exact one.
  HWY_INLINE Floats operator()(const Factors& factors, Floats x) const {
    return look_up(factors.exact * x, hn::MulAdd(factors.ninth, x, Splat(-3.75f / 9)));
  }

  // For any t.
  HWY_INLINE Floats of(Floats t) const {
    const Floats near = hn::Max(Splat(-128), hn::Min(Splat(128), t));
    return look_up(near, hn::MulAdd(near, Splat(1.0f / 9), Splat(-3.75f / 9)));
  }

 private:
  HWY_INLINE Floats look_up(Floats t, Floats position) const {
    const Floats piece = position + Splat(0x1.8p23f);
    const __m512i index = hn::BitCast(kInt, piece).raw;
    const Floats split{_mm512_permutex2var_ps(middle_[0].raw, index, middle_[1].raw)};
    const Floats low{_mm512_permutex2var_ps(low_[0].raw, index, low_[1].raw)};
    const Floats high{_mm512_permutex2var_ps(high_[0].raw, index, high_[1].raw)};
    return hn::IfThenElse(hn::Ge(t, split), high, low);
  }

  Floats middle_[2], low_[2], high_[2];
};

#else

class NearestValue {
 public:
  struct Factors {
    Floats twice;
  };

  static Factors factors(Floats inverse) { return {inverse + inverse}; }

  HWY_INLINE Floats operator()(const Factors& factors, Floats x) const {
    // Doubling is exact: this is floor(2 * (inverse * x)).
    return look_up(factors.twice * x);
  }

  // For any t; NaN must not become an address.
  HWY_INLINE Floats of(Floats t) const {
    const Floats known = hn::IfThenElseZero(hn::Eq(t, t), t);
    const Floats near = hn::Max(Splat(-128), hn::Min(Splat(128), known));
    return look_up(near + near);
  }

 private:
  HWY_INLINE Floats look_up(Floats twice) const {
    const Floats half_units = hn::Floor(twice) + Splat(0x1.8p23f + kHalfUnits);
    const Ints index = hn::BitCast(kInt, half_units) - hn::Set(kInt, 0x4b400000);
    return hn::GatherIndex(kFloat, kByHalfUnit.data(), index);
  }
};

#endif

// Codes, as floats, for any t.
HWY_INLINE Floats NearestCode(Floats t) {
#if HWY_TARGET <= HWY_AVX3
  const Floats near = hn::Max(Splat(-128), hn::Min(Splat(128), t));
  const Floats piece = hn::MulAdd(near, Splat(1.0f / 9), Splat(-3.75f / 9)) + Splat(0x1.8p23f);
  const __m512i index = hn::BitCast(kInt, piece).raw;
  const Floats split{_mm512_permutex2var_ps(hn::Load(kFloat, kPieces.middle).raw, index,
                                            hn::Load(kFloat, kPieces.middle + 16).raw)};
  const Floats code{_mm512_permutex2var_ps(hn::Load(kFloat, kPieces.low_code).raw, index,
                                           hn::Load(kFloat, kPieces.low_code + 16).raw)};
  return code + hn::IfThenElseZero(hn::Ge(t, split), Splat(1));
#else
  Floats code = hn::Zero(kFloat);
  for (std::size_t i = 0; i < 15; ++i) {
    code = code + hn::IfThenElseZero(hn::Ge(t, Splat(iq4_middle(i))), Splat(1));
  }
  return code;
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif
