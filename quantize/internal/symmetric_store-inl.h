// The codes of Q3_K and Q6_K super-blocks under scales that are known, across lanes.
#if defined(HOLDFAST_SYMMETRIC_STORE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_SYMMETRIC_STORE_INL_H
#undef HOLDFAST_SYMMETRIC_STORE_INL_H
#else
#define HOLDFAST_SYMMETRIC_STORE_INL_H
#endif

#include <cstddef>

#include <hwy/highway.h>

#include "quantize/internal/kquants.h"
#include "quantize/internal/legacy_store-inl.h"
#include "quantize/internal/symmetric_super.h"
#include "quantize/internal/tile-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

// Codes of kLanes values with the scales as stored, biased by `levels`, in the low byte of lanes.
class Requantizer {
 public:
  Requantizer(const float* x, int levels) : x_(x), levels_(static_cast<float>(levels)) {}

  void set_scale(std::size_t sub, float scale) {
    scale_[sub] = scale;
    any_zero_ = any_zero_ || scale == 0;
  }

  bool any_zero() const { return any_zero_; }

  bool tame() const { return hn::AllTrue(kFloat, tame_); }

  HWY_INLINE Uints codes(std::size_t at) {
    const Floats t = hn::LoadU(kFloat, x_ + at) / Splat(scale_[at / kSymmetricSub]);
    tame_ = hn::And(tame_, hn::Lt(hn::Abs(t), Splat(kNearestLimit)));
    const Floats code = hn::Max(Splat(-levels_), hn::Min(Splat(levels_ - 1), Nearest(t)));
    return hn::BitCast(kUint, code + Splat(0x1p23f + levels_));
  }

 private:
  const float* x_;
  float levels_;
  float scale_[kSymmetricSubs];
  bool any_zero_ = false;
  FloatMask tame_ = hn::Eq(hn::Zero(kFloat), hn::Zero(kFloat));
};

// a, b, c, d, two bits each, from bit 0 up.
HWY_INLINE Uints Pairs(Uints a, Uints b, Uints c, Uints d) {
  return hn::Or(hn::Or(LowBits(a, 3), hn::ShiftLeft<2>(LowBits(b, 3))),
                hn::Or(hn::ShiftLeft<4>(LowBits(c, 3)), hn::ShiftLeft<6>(LowBits(d, 3))));
}

inline void WriteCodes(Requantizer& from, Q3_KBlock& to) {
  for (std::size_t l = 0; l < 32; l += kLanes) {
    Uints high = hn::Zero(kUint);
    for (std::size_t half = 2; half-- > 0;) {
      Uints codes[4];
      for (std::size_t k = 4; k-- > 0;) {  // the last one in is bit 0
        codes[k] = from.codes(128 * half + 32 * k + l);
        high = hn::Or(hn::ShiftLeft<1>(high), hn::ShiftRight<2>(LowBits(codes[k], 4)));
      }
      StoreBytes(Pairs(codes[0], codes[1], codes[2], codes[3]), to.codes + 32 * half + l);
    }
    StoreBytes(high, to.high + l);
  }
}

inline void WriteCodes(Requantizer& from, Q6_KBlock& to) {
  for (std::size_t half = 0; half < 2; ++half) {
    for (std::size_t l = 0; l < 32; l += kLanes) {
      Uints codes[4], tops[4];
      for (std::size_t k = 0; k < 4; ++k) {
        codes[k] = from.codes(128 * half + 32 * k + l);
        tops[k] = hn::ShiftRight<4>(codes[k]);
      }
      StoreBytes(hn::Or(LowBits(codes[0], 15), hn::ShiftLeft<4>(codes[2])), to.low + 64 * half + l);
      StoreBytes(hn::Or(LowBits(codes[1], 15), hn::ShiftLeft<4>(codes[3])),
                 to.low + 64 * half + 32 + l);
      StoreBytes(Pairs(tops[0], tops[1], tops[2], tops[3]), to.high + 32 * half + l);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif
