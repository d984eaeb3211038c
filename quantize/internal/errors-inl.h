// What encoding lost, summed while a strip is encoded and its values and codes stand in registers.
// Every encoder that does so is written once for both uses: with Unmeasured it only encodes, with
// Measured it sums as well. Included once per Highway target, as lanes-inl.h.
#if defined(HOLDFAST_ERRORS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef HOLDFAST_ERRORS_INL_H
#undef HOLDFAST_ERRORS_INL_H
#else
#define HOLDFAST_ERRORS_INL_H
#endif

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <hwy/highway.h>

#include "quantize/internal/lanes-inl.h"
#include "quantize/internal/strips.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

inline constexpr std::size_t kPlaceVectors = kSumPlaces / kLanes;

template <class Body, std::size_t... i>
HWY_INLINE void Unrolled(const Body& body, std::index_sequence<i...>) {
  (body(std::integral_constant<std::size_t, i>{}), ...);
}

// body(i) for i below kCount; i is a constant, so that arrays of vectors stay in registers.
template <std::size_t kCount, class Body>
HWY_INLINE void Unrolled(const Body& body) {
  Unrolled(body, std::make_index_sequence<kCount>{});
}

// The same for each vector of the places.
template <class Body>
HWY_INLINE void ForPlaces(const Body& body) {
  Unrolled<kPlaceVectors>(body);
}

// A sum of float32 in each place.
class RunSum {
 public:
  explicit RunSum(float start = 0) : start_(start) {
    for (Floats& part : parts_) part = Splat(start);
  }

  HWY_INLINE void add(std::size_t p, Floats terms) { parts_[p] = parts_[p] + terms; }

  // x * x, whose product must be exact unless it is too small to count beside the start. Then one
  // instruction rounds as two do.
  HWY_INLINE void add_exact_square(std::size_t p, Floats x) {
    parts_[p] = hn::MulAdd(x, x, parts_[p]);
  }

  // False for NaN.
  bool all_below(float limit) const {
    auto below = hn::Lt(parts_[0], Splat(limit));
    for (const Floats part : parts_) below = hn::And(below, hn::Lt(part, Splat(limit)));
    return hn::AllTrue(kFloat, below);
  }

  // Without the start.
  void add_to(double* total) const {
    const hn::CappedTag<double, kSumPlaces> wide;
    const hn::Rebind<float, decltype(wide)> narrow;
    alignas(64) float places[kSumPlaces];
    for (std::size_t p = 0; p < kPlaceVectors; ++p) {
      hn::Store(parts_[p] - Splat(start_), kFloat, places + p * kLanes);
    }
    for (std::size_t k = 0; k < kSumPlaces; k += hn::MaxLanes(wide)) {
      const auto sum = hn::PromoteTo(wide, hn::Load(narrow, places + k));
      hn::Store(hn::Load(wide, total + k) + sum, wide, total + k);
    }
  }

 private:
  Floats parts_[kPlaceVectors];
  float start_;
};

// The larger of a magnitude and |value|.
HWY_INLINE Floats LargerMagnitude(Floats magnitude, Floats value) {
#if HWY_TARGET <= HWY_AVX3
  constexpr int kLargerMagnitudeWithoutSign = 11;
  return Floats{_mm512_range_ps(magnitude.raw, value.raw, kLargerMagnitudeWithoutSign)};
#else
  return hn::Max(magnitude, hn::Abs(value));
#endif
}

struct Unmeasured {
  static constexpr bool kOn = false;
};

// The sums of one strip. Value i of the strip belongs to place i mod kSumPlaces, and the terms of a
// place are added in the order of its values: any encoder that keeps to that gives the same sums
// as decoding its blocks does.
class Measured {
 public:
  static constexpr bool kOn = true;

  // User-provided, else GCC compiles it without the target's instructions.
  Measured() : largest_(hn::Zero(kFloat)) {}

  // Vector p of the places: values x, of which encoding left x - e. Where the decoded value is a
  // product that float32 holds, as a half times a small integer is, e may be had by NegMulAdd.
  HWY_INLINE void add(std::size_t p, Floats x, Floats e) {
    largest_ = LargerMagnitude(largest_, e);
    error_.add(p, e * e);
    cross_.add(p, x * e);
  }

  // `count` values, a multiple of kSumPlaces, whose blocks are written already: decodes a piece at
  // a time, which stays in the nearest cache.
  HWY_INLINE void add_decoded(const FormatInfo& format, const float* x, const std::byte* blocks,
                              std::size_t count) {
    alignas(64) float decoded[kPieceValues];
    for (std::size_t at = 0; at < count; at += kPieceValues) {
      const std::size_t piece = std::min(kPieceValues, count - at);
      format.decode(blocks + row_bytes(format, at), piece, decoded);
      for (std::size_t i = 0; i < piece; i += kSumPlaces) {
        ForPlaces([&](auto p) {
          const Floats value = hn::LoadU(kFloat, x + at + i + p * kLanes);
          add(p, value, value - hn::Load(kFloat, decoded + i + p * kLanes));
        });
      }
    }
  }

  // False, and nothing is added, where the errors leave float32.
  bool add_to(PlacedSums& sums) const {
    if (!error_.all_below(kTameMost * kTameMost)) return false;
    error_.add_to(sums.error);
    cross_.add_to(sums.cross);
    sums.largest_error =
        std::max(sums.largest_error, hn::GetLane(hn::MaxOfLanes(kFloat, largest_)));
    return true;
  }

 private:
  Floats largest_;
  RunSum error_, cross_;
};

// Where there is no kernel. Inlined: `errors` stands in registers only while no function takes its
// address.
template <class Errors>
HWY_INLINE void EncodeByReference(Format format, const Strip& strip, std::byte* out,
                                  Errors& errors) {
  const FormatInfo& row = info(format);
  row.encode_reference(strip, out);
  if constexpr (Errors::kOn) errors.add_decoded(row, strip.values, out, strip.count);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

// Both uses of an encoder Kernel(strip, blocks, errors), to be dispatched by
// HOLDFAST_DISPATCH_MEASURED. Measured: false, and nothing is added, where the errors leave
// float32.
#undef HOLDFAST_BOTH_USES
#define HOLDFAST_BOTH_USES(Kernel)                                                 \
  void Kernel##Only(const Strip& strip, std::byte* blocks) {                       \
    Unmeasured none;                                                               \
    Kernel(strip, blocks, none);                                                   \
  }                                                                                \
  bool Kernel##Measured(const Strip& strip, std::byte* blocks, PlacedSums& sums) { \
    Measured errors;                                                               \
    Kernel(strip, blocks, errors);                                                 \
    return errors.add_to(sums);                                                    \
  }                                                                                \
  static_assert(true)

HWY_AFTER_NAMESPACE();

#endif
