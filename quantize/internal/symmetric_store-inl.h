// The codes of Q3_K and Q6_K super-blocks under scales that are known, across lanes.
#if defined(HOLDFAST_SYMMETRIC_STORE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_SYMMETRIC_STORE_INL_H
#undef HOLDFAST_SYMMETRIC_STORE_INL_H
#else
#define HOLDFAST_SYMMETRIC_STORE_INL_H
#endif

#include <cstddef>

#include <hwy/highway.h>

#include "quantize/internal/errors-inl.h"
#include "quantize/internal/kquants.h"
#include "quantize/internal/legacy_store-inl.h"
#include "quantize/internal/symmetric_super.h"
#include "quantize/internal/tile-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

// Codes of kLanes values with the scales as stored, biased by `levels`, in the low byte of lanes.
template <class Errors>
class Requantizer {
 public:
  // `errors` are those of the strip before this super-block.
  Requantizer(const float* x, int levels, const Errors& errors)
      : x_(x), levels_(static_cast<float>(levels)), errors_(errors) {}

  void set_scale(std::size_t sub, float scale) {
    scale_[sub] = scale;
    any_zero_ = any_zero_ || scale == 0;
  }

  bool any_zero() const { return any_zero_; }

  bool tame() const { return hn::AllTrue(kFloat, tame_); }

  // With this super-block's, once all codes were taken.
  const Errors& errors() const { return errors_; }

  template <std::size_t kAt>
  HWY_INLINE Uints codes() {
    const Floats x = hn::LoadU(kFloat, x_ + kAt), scale = Splat(scale_[kAt / kSymmetricSub]);
    const Floats t = x / scale;
    tame_ = hn::And(tame_, hn::Lt(hn::Abs(t), Splat(kNearestLimit)));
    const Floats code = hn::Max(Splat(-levels_), hn::Min(Splat(levels_ - 1), Nearest(t)));
    if constexpr (Errors::kOn) {
      errors_.add(kAt % kSumPlaces / kLanes, x, hn::NegMulAdd(code, scale, x));
    }
    return hn::BitCast(kUint, code + Splat(0x1p23f + levels_));
  }

 private:
  const float* x_;
  float levels_;
  float scale_[kSymmetricSubs];
  bool any_zero_ = false;
  FloatMask tame_ = hn::Eq(hn::Zero(kFloat), hn::Zero(kFloat));
  Errors errors_;
};

// a, b, c, d, two bits each, from bit 0 up.
HWY_INLINE Uints Pairs(Uints a, Uints b, Uints c, Uints d) {
  return hn::Or(hn::Or(LowBits(a, 3), hn::ShiftLeft<2>(LowBits(b, 3))),
                hn::Or(hn::ShiftLeft<4>(LowBits(c, 3)), hn::ShiftLeft<6>(LowBits(d, 3))));
}

template <class Errors>
HWY_INLINE void WriteCodes(Requantizer<Errors>& from, Q3_KBlock& to) {
  Unrolled<32 / kLanes>([&](auto i) {
    constexpr std::size_t kByte = i * kLanes;
    Uints high = hn::Zero(kUint);  // the last one in is bit 7
    Unrolled<2>([&](auto half) {
      constexpr std::size_t kFirst = 128 * half + kByte;
      Uints codes[4];
      Unrolled<4>([&](auto k) {
        codes[k] = from.template codes<kFirst + 32 * k>();
        high = hn::Or(hn::ShiftRight<1>(high), hn::ShiftLeft<5>(LowBits(codes[k], 4)));
      });
      StoreBytes(Pairs(codes[0], codes[1], codes[2], codes[3]), to.codes + 32 * half + kByte);
    });
    StoreBytes(high, to.high + kByte);
  });
}

template <class Errors>
HWY_INLINE void WriteCodes(Requantizer<Errors>& from, Q6_KBlock& to) {
  Unrolled<64 / kLanes>([&](auto i) {
    constexpr std::size_t kByte = i * kLanes, kHalf = kByte / 32;
    constexpr std::size_t kFirst = 128 * kHalf + kByte % 32;
    Uints codes[4], tops[4];
    Unrolled<4>([&](auto k) {
      codes[k] = from.template codes<kFirst + 32 * k>();
      tops[k] = hn::ShiftRight<4>(codes[k]);
    });
    std::uint8_t* low = to.low + 64 * kHalf + kByte % 32;
    StoreBytes(hn::Or(LowBits(codes[0], 15), hn::ShiftLeft<4>(codes[2])), low);
    StoreBytes(hn::Or(LowBits(codes[1], 15), hn::ShiftLeft<4>(codes[3])), low + 32);
    StoreBytes(Pairs(tops[0], tops[1], tops[2], tops[3]), to.high + kByte);
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#endif
