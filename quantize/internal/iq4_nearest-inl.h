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

// Nearest table values, four vectors at a time: of products, which lie within ±134 as all trials'
// do, or of any numbers. Nothing is said of NaN.
#if HWY_TARGET <= HWY_AVX3

// Beyond ±128 all is alike.
HWY_INLINE Floats Near(Floats t) {
  constexpr int kSmallerMagnitudeSignOfFirst = 2;
  return Floats{_mm512_range_ps(t.raw, Splat(128).raw, kSmallerMagnitudeSignOfFirst)};
}

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
  HWY_INLINE void of_products(const Factors& factors, const Floats (&x)[4], Floats (&q)[4]) const {
    for (std::size_t k = 0; k < 4; ++k) {
      q[k] = look_up(factors.exact * x[k], hn::MulAdd(factors.ninth, x[k], Splat(-3.75f / 9)));
    }
  }

  HWY_INLINE void of(const Floats (&t)[4], Floats (&q)[4]) const {
    for (std::size_t k = 0; k < 4; ++k) {
      const Floats near = Near(t[k]);
      q[k] = look_up(near, hn::MulAdd(near, Splat(1.0f / 9), Splat(-3.75f / 9)));
    }
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

#elif HOLDFAST_SIMD

class NearestValue {
 public:
  struct Factors {
    Floats twice;
  };

  static Factors factors(Floats inverse) { return {inverse + inverse}; }

  HWY_INLINE void of_products(const Factors& factors, const Floats (&x)[4], Floats (&q)[4]) const {
    Uints places[4];
    // Doubling is exact: this is floor(2 * (inverse * x)).
    for (std::size_t k = 0; k < 4; ++k) places[k] = place(factors.twice * x[k]);
    look_up(places, q);
  }

  HWY_INLINE void of(const Floats (&t)[4], Floats (&q)[4]) const {
    Uints places[4];
    for (std::size_t k = 0; k < 4; ++k) {
      const Floats near = hn::Max(Splat(-128), hn::Min(Splat(128), t[k]));
      places[k] = place(near + near);
    }
    look_up(places, q);
  }

 private:
  using ShortTag = hn::Repartition<std::int16_t, FloatTag>;
  using ByteTag = hn::Repartition<std::uint8_t, FloatTag>;
  using SignedTag = hn::Repartition<std::int8_t, FloatTag>;
  using UnsignedTag = hn::RebindToUnsigned<ShortTag>;
  using Shorts = hn::Vec<ShortTag>;
  using Bytes = hn::Vec<ByteTag>;

  // Half units above -kHalfUnits in the lower half of each lane; the upper half is not zero.
  static HWY_INLINE Uints place(Floats twice) {
    return hn::BitCast(kUint, hn::Floor(twice) + Splat(0x1.8p23f + kHalfUnits));
  }

  // Two vectors of places as shorts, in the lower and the upper halves of lanes.
  static HWY_INLINE Shorts pair(Uints low, Uints high) {
    const ShortTag d;
    const auto both = hn::Or(hn::And(low, hn::Set(kUint, 0xffffu)), hn::ShiftLeft<16>(high));
    return hn::Min(hn::BitCast(d, both), hn::Set(d, 16 * kPieceHalfUnits - 1));
  }

  static HWY_INLINE Bytes table(const std::uint8_t* from) {
    return hn::LoadDup128(ByteTag(), from);
  }

  // Vector k of places is byte k of every lane between here and the values.
  static HWY_INLINE void look_up(const Uints (&places)[4], Floats (&q)[4]) {
    const ShortTag d;
    const ByteTag b;
    const SignedTag s;
    const Shorts even = pair(places[0], places[2]), odd = pair(places[1], places[3]);
    const Shorts upper = hn::Set(d, static_cast<std::int16_t>(0xff00));
    const Shorts lower = hn::Set(d, 0x00ff);
    const auto piece =
        hn::BitCast(b, hn::Or(hn::ShiftRight<5>(even), hn::And(hn::ShiftLeft<3>(odd), upper)));
    const auto position = hn::BitCast(
        s, hn::Or(hn::And(even, hn::Set(d, 31)), hn::ShiftLeft<8>(hn::And(odd, hn::Set(d, 31)))));
    auto code = hn::BitCast(s, hn::TableLookupBytes(table(kHalfUnitPieces.code), piece));
    for (const auto& before : kHalfUnitPieces.before) {
      const auto last = hn::TableLookupBytes(hn::LoadDup128(s, before), piece);
      code = code - hn::VecFromMask(s, hn::Gt(position, hn::BitCast(s, last)));
    }
    const auto index = hn::BitCast(b, code);
    const Shorts low = hn::BitCast(d, hn::TableLookupBytes(table(kValueBytes.low), index));
    const Shorts high = hn::BitCast(d, hn::TableLookupBytes(table(kValueBytes.high), index));
    const auto even_values =
        hn::BitCast(kUint, hn::Or(hn::And(low, lower), hn::ShiftLeft<8>(high)));
    const auto odd_values = hn::BitCast(
        kUint, hn::Or(hn::BitCast(d, hn::ShiftRight<8>(hn::BitCast(UnsignedTag(), low))),
                      hn::And(high, upper)));
    const auto upper_half = hn::Set(kUint, 0xffff0000u);
    q[0] = hn::BitCast(kFloat, hn::ShiftLeft<16>(even_values));
    q[1] = hn::BitCast(kFloat, hn::ShiftLeft<16>(odd_values));
    q[2] = hn::BitCast(kFloat, hn::And(even_values, upper_half));
    q[3] = hn::BitCast(kFloat, hn::And(odd_values, upper_half));
  }
};

#else

class NearestValue {
 public:
  HWY_INLINE void of(const Floats (&t)[4], Floats (&q)[4]) const {
    for (std::size_t k = 0; k < 4; ++k) {
      std::size_t code = 0;
      while (code < 15 && hn::GetLane(t[k]) >= iq4_middle(code)) ++code;
      q[k] = Splat(static_cast<float>(kIq4Values[code]));
    }
  }
};

#endif

// Codes, as floats, for any t.
HWY_INLINE Floats NearestCode(Floats t) {
#if HWY_TARGET <= HWY_AVX3
  const Floats near = Near(t);
  const Floats piece = hn::MulAdd(near, Splat(1.0f / 9), Splat(-3.75f / 9)) + Splat(0x1.8p23f);
  const __m512i index = hn::BitCast(kInt, piece).raw;
  const Floats split{_mm512_permutex2var_ps(hn::Load(kFloat, kPieces.middle).raw, index,
                                            hn::Load(kFloat, kPieces.middle + 16).raw)};
  const Floats code{_mm512_permutex2var_ps(hn::Load(kFloat, kPieces.low_code).raw, index,
                                           hn::Load(kFloat, kPieces.low_code + 16).raw)};
  return code + hn::IfThenElseZero(hn::Ge(near, split), Splat(1));
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
