#include "quantize/internal/strips.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "quantize/internal/numbers.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/strips.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/lanes-inl.h"

HWY_BEFORE_NAMESPACE();

namespace holdfast::quantize {
namespace HWY_NAMESPACE {
namespace {

// One structure per element type: Wide turns a vector of elements, One a single element, to float.
struct FromF32 {
  static constexpr std::size_t kBytes = 4;

  static Floats Wide(const std::byte* from) {
    return hn::LoadU(kFloat, reinterpret_cast<const float*>(from));
  }

  static float One(const std::byte* from) { return load<float>(from); }
};

struct FromBF16 {
  static constexpr std::size_t kBytes = 2;

  static Floats Wide(const std::byte* from) {
    const hn::Rebind<std::uint16_t, FloatTag> narrow;
    const auto bits = hn::LoadU(narrow, reinterpret_cast<const std::uint16_t*>(from));
    return hn::BitCast(kFloat, hn::ShiftLeft<16>(hn::PromoteTo(kUint, bits)));
  }

  static float One(const std::byte* from) { return bfloat_to_float(load<std::uint16_t>(from)); }
};

struct FromF16 {
  static constexpr std::size_t kBytes = 2;

  static Floats Wide(const std::byte* from) { return LoadHalves(from); }

  static float One(const std::byte* from) { return half_to_float(load<std::uint16_t>(from)); }
};

struct FromE5M2 {
  static constexpr std::size_t kBytes = 1;

  static Floats Wide(const std::byte* from) {
    const hn::Rebind<std::uint8_t, FloatTag> narrow;
    const auto bits = hn::LoadU(narrow, reinterpret_cast<const std::uint8_t*>(from));
    return HalfBitsToFloat(hn::ShiftLeft<8>(hn::PromoteTo(kUint, bits)));
  }

  static float One(const std::byte* from) { return e5m2_to_float(load<std::uint8_t>(from)); }
};

struct FromE4M3 {
  static constexpr std::size_t kBytes = 1;

  static Floats Wide(const std::byte* from) {
    const hn::Rebind<std::uint8_t, FloatTag> narrow;
    const auto bytes = hn::LoadU(narrow, reinterpret_cast<const std::uint8_t*>(from));
    const auto bits = hn::PromoteTo(kUint, bytes);
    const auto code = hn::And(bits, hn::Set(kUint, 0x7fu));
    const auto sign = hn::ShiftLeft<24>(hn::And(bits, hn::Set(kUint, 0x80u)));
    const auto scaled = hn::Mul(hn::BitCast(kFloat, hn::ShiftLeft<20>(code)), Splat(0x1p120f));
    const auto magnitude = hn::IfThenElse(hn::Eq(code, hn::Set(kUint, 0x7fu)),
                                          hn::Set(kUint, 0x7fc00000u), hn::BitCast(kUint, scaled));
    return hn::BitCast(kFloat, hn::Or(magnitude, sign));
  }

  static float One(const std::byte* from) { return e4m3_to_float(load<std::uint8_t>(from)); }
};

inline constexpr std::size_t kVectors = kSumPlaces / kLanes;

class RunSum {
 public:
  RunSum() {
    for (Floats& part : parts_) part = hn::Zero(kFloat);
  }

  // p is the vector's number within the places.
  HWY_INLINE void add(std::size_t p, Floats terms) { parts_[p] = parts_[p] + terms; }

  // False for NaN.
  bool all_below(float limit) const {
    auto below = hn::Lt(parts_[0], Splat(limit));
    for (const Floats part : parts_) below = hn::And(below, hn::Lt(part, Splat(limit)));
    return hn::AllTrue(kFloat, below);
  }

  void add_to(double* total) const {
    const hn::CappedTag<double, kSumPlaces> wide;
    const hn::Rebind<float, decltype(wide)> narrow;
    alignas(64) float places[kSumPlaces];
    for (std::size_t p = 0; p < kVectors; ++p) hn::Store(parts_[p], kFloat, places + p * kLanes);
    for (std::size_t k = 0; k < kSumPlaces; k += hn::MaxLanes(wide)) {
      const auto sum = hn::PromoteTo(wide, hn::Load(narrow, places + k));
      hn::Store(hn::Load(wide, total + k) + sum, wide, total + k);
    }
  }

 private:
  Floats parts_[kVectors];
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

// Widens whole sets of places; false when a value is not finite. kSquares: adds the squares to the
// sums, unless they leave float32, and says in is_tame which.
template <class From, bool kSquares>
bool WidenSets(const std::byte* source, std::size_t count, float* out, PlacedSums* sums) {
  auto largest = hn::Zero(kInt);
  RunSum squares;
  for (std::size_t i = 0; i < count; i += kSumPlaces) {
    for (std::size_t p = 0; p < kVectors; ++p) {
      const std::size_t at = i + p * kLanes;
      const Floats value = From::Wide(source + at * From::kBytes);
      hn::StoreU(value, kFloat, out + at);
      largest = hn::Max(largest, hn::BitCast(kInt, hn::Abs(value)));  // NaN is above infinity
      if constexpr (kSquares) squares.add(p, value * value);
    }
  }
  if (!hn::AllTrue(kInt, hn::Lt(largest, hn::Set(kInt, 0x7f800000)))) return false;
  if constexpr (kSquares) {
    const float top = hn::GetLane(hn::MaxOfLanes(kFloat, hn::BitCast(kFloat, largest)));
    sums->is_tame = top == 0 || (top > kTameLeast && top < kTameMost);
    if (sums->is_tame) squares.add_to(sums->source);
  }
  return true;
}

// `sums` may be null. The squares of what does not fill the places are left to the caller.
template <class From>
bool WidenAs(const std::byte* source, std::size_t count, float* out, PlacedSums* sums) {
  const std::size_t whole = count / kSumPlaces * kSumPlaces;
  bool finite = sums == nullptr ? WidenSets<From, false>(source, whole, out, nullptr)
                                : WidenSets<From, true>(source, whole, out, sums);
  for (std::size_t i = whole; i < count; ++i) {
    out[i] = From::One(source + i * From::kBytes);
    finite = finite && std::isfinite(out[i]);
  }
  return finite;
}

bool WidenF64(const std::byte* source, std::size_t count, float* out, PlacedSums* sums) {
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(load<double>(source + i * sizeof(double)));
  }
  return WidenAs<FromF32>(reinterpret_cast<const std::byte*>(out), count, out, sums);
}

bool Widen(SourceType type, const std::byte* source, std::size_t count, float* out,
           PlacedSums* sums) {
  using Function = bool (*)(const std::byte*, std::size_t, float*, PlacedSums*);
  static constexpr Function kByType[] = {WidenAs<FromF32>, WidenAs<FromF16>,  WidenAs<FromBF16>,
                                         WidenF64,         WidenAs<FromE4M3>, WidenAs<FromE5M2>};
  return kByType[static_cast<std::size_t>(type)](source, count, out, sums);
}

// Of whole sets of places. False, and nothing is added, where the errors leave float32.
bool AddErrors(const FormatInfo& format, const float* source, const std::byte* blocks,
               std::size_t count, PlacedSums& sums) {
  alignas(64) float decoded[kPieceValues];
  Floats largest = hn::Zero(kFloat);
  RunSum error, product;
  for (std::size_t at = 0; at < count; at += kPieceValues) {
    const std::size_t piece = std::min(kPieceValues, count - at);
    format.decode(blocks + row_bytes(format, at), piece, decoded);
    for (std::size_t i = 0; i < piece; i += kSumPlaces) {
      for (std::size_t p = 0; p < kVectors; ++p) {
        const Floats x = hn::LoadU(kFloat, source + at + i + p * kLanes);
        const Floats y = hn::Load(kFloat, decoded + i + p * kLanes);
        const Floats difference = x - y;
        largest = LargerMagnitude(largest, difference);
        error.add(p, difference * difference);
        product.add(p, x * y);
      }
    }
  }
  if (!error.all_below(kTameMost * kTameMost)) return false;
  error.add_to(sums.error);
  product.add_to(sums.product);
  sums.largest_error = std::max(sums.largest_error, hn::GetLane(hn::MaxOfLanes(kFloat, largest)));
  return true;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {
HWY_EXPORT(Widen);
HWY_EXPORT(AddErrors);

namespace {

double total_of(const double (&places)[kSumPlaces]) {
  double sums[kSumPlaces];
  std::ranges::copy(places, sums);
  for (std::size_t width = kSumPlaces / 2; width > 0; width /= 2) {
    for (std::size_t i = 0; i < width; ++i) sums[i] += sums[i + width];
  }
  return sums[0];
}

}  // namespace

bool widen(SourceType type, const std::byte* source, std::size_t count, float* out) noexcept {
  return HWY_DYNAMIC_DISPATCH(Widen)(type, source, count, out, nullptr);
}

bool StripSums::widen(SourceType type, const std::byte* source, std::size_t count,
                      float* out) noexcept {
  return HWY_DYNAMIC_DISPATCH(Widen)(type, source, count, out, &placed_);
}

void StripSums::add(const FormatInfo& format, const float* source, const std::byte* blocks,
                    std::size_t count) noexcept {
  const std::size_t whole = count / kSumPlaces * kSumPlaces;
  wide_.count += count;
  if (!placed_.is_tame ||
      !HWY_DYNAMIC_DISPATCH(AddErrors)(format, source, blocks, whole, placed_)) {
    add_wide(format, source, blocks, whole, !placed_.is_tame);
  }
  add_wide(format, source + whole, blocks + row_bytes(format, whole), count - whole, true);
}

void StripSums::add_copy(const float* source, std::size_t count) noexcept {
  const std::size_t first = placed_.is_tame ? count / kSumPlaces * kSumPlaces : 0;
  is_copy_ = true;
  wide_.count += count;
  add_wide(source + first, source + first, count - first, true);
}

void StripSums::add_wide(const FormatInfo& format, const float* source, const std::byte* blocks,
                         std::size_t count, bool with_squares) noexcept {
  float decoded[kPieceValues];
  for (std::size_t at = 0; at < count; at += kPieceValues) {
    const std::size_t piece = std::min(kPieceValues, count - at);
    format.decode(blocks + row_bytes(format, at), piece, decoded);
    add_wide(source + at, decoded, piece, with_squares);
  }
}

void StripSums::add_wide(const float* source, const float* decoded, std::size_t count,
                         bool with_squares) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    const double x = source[i], y = decoded[i], difference = x - y;
    wide_.squared_error += difference * difference;
    wide_.squared_source += with_squares ? x * x : 0;
    wide_.product += x * y;
    wide_.max_abs_error = std::max(wide_.max_abs_error, std::fabs(source[i] - decoded[i]));
  }
}

ErrorSums StripSums::total() const noexcept {
  const double squares = total_of(placed_.source);
  ErrorSums sums = wide_;
  sums.squared_source += squares;
  sums.squared_error += total_of(placed_.error);
  sums.product += is_copy_ ? squares : total_of(placed_.product);
  sums.max_abs_error = std::max(sums.max_abs_error, placed_.largest_error);
  // |y|² = |x - y|² - |x|² + 2xy: one product a value less than summing it.
  sums.squared_decoded = sums.squared_error - sums.squared_source + 2 * sums.product;
  return sums;
}

}  // namespace holdfast::quantize
#endif
