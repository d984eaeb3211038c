#include "quantize/internal/strips.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "quantize/internal/numbers.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/strips.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "quantize/internal/errors-inl.h"
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

// Squares of these have no more than the 24 bits of float32.
template <class From>
inline constexpr bool kExactSquares = From::kBytes <= 2;

// Where squares of exact sources underflow, they are below half a unit in the last place of this.
inline constexpr float kSquareStart = 0x1p-100f;

// Widens whole sets of places; false when a value is not finite. kSquares: adds the squares to the
// sums, unless they leave float32, and says in is_tame which.
template <class From, bool kSquares>
bool WidenSets(const std::byte* source, std::size_t count, float* out, PlacedSums* sums) {
  auto largest = hn::Zero(kInt);
  RunSum squares(kExactSquares<From> ? kSquareStart : 0);
  for (std::size_t i = 0; i < count; i += kSumPlaces) {
    ForPlaces([&](auto p) {
      const std::size_t at = i + p * kLanes;
      const Floats value = From::Wide(source + at * From::kBytes);
      hn::StoreU(value, kFloat, out + at);
      largest = hn::Max(largest, hn::BitCast(kInt, hn::Abs(value)));  // NaN is above infinity
      if constexpr (kSquares && kExactSquares<From>) squares.add_exact_square(p, value);
      if constexpr (kSquares && !kExactSquares<From>) squares.add(p, value * value);
    });
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

bool AddDecodedErrors(const FormatInfo& format, const float* source, const std::byte* blocks,
                      std::size_t count, PlacedSums& sums) {
  Measured errors;
  errors.add_decoded(format, source, blocks, count);
  return errors.add_to(sums);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {
HWY_EXPORT(Widen);
HWY_EXPORT(AddDecodedErrors);

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

bool add_decoded_errors(const FormatInfo& format, const float* source, const std::byte* blocks,
                        std::size_t count, PlacedSums& sums) noexcept {
  return HWY_DYNAMIC_DISPATCH(AddDecodedErrors)(format, source, blocks, count, sums);
}

void StripSums::encode(const FormatInfo& format, EncodeStrip plain, EncodeMeasured measured,
                       const Strip& strip, std::byte* blocks) noexcept {
  if (measured == nullptr || !placed_.is_tame || strip.count % kSumPlaces != 0) {
    plain(strip, blocks);
    return add(format, strip.values, blocks, strip.count);
  }
  count_ += strip.count;
  if (measured(strip, blocks, placed_)) return;
  add_wide(format, strip.values, blocks, strip.count, false);
}

void StripSums::add(const FormatInfo& format, const float* source, const std::byte* blocks,
                    std::size_t count) noexcept {
  const std::size_t whole = count / kSumPlaces * kSumPlaces;
  count_ += count;
  if (!placed_.is_tame || !add_decoded_errors(format, source, blocks, whole, placed_)) {
    add_wide(format, source, blocks, whole, !placed_.is_tame);
  }
  add_wide(format, source + whole, blocks + row_bytes(format, whole), count - whole, true);
}

void StripSums::add_lossless(const float* source, std::size_t count) noexcept {
  const std::size_t first = placed_.is_tame ? count / kSumPlaces * kSumPlaces : 0;
  count_ += count;
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
    const double x = source[i], difference = x - decoded[i];
    source_ += with_squares ? x * x : 0;
    error_ += difference * difference;
    cross_ += x * difference;
    largest_error_ = std::max(largest_error_, std::fabs(source[i] - decoded[i]));
  }
}

ErrorSums StripSums::total() const noexcept {
  const double error = error_ + total_of(placed_.error);
  const double source = source_ + total_of(placed_.source);
  const double cross = cross_ + total_of(placed_.cross);
  const double decoded = source - 2 * cross + error;  // |x|² - 2x(x - y) + |x - y|² = |y|²
  return {.count = count_,
          .squared_error = error,
          .squared_source = source,
          .squared_decoded = decoded < 0 ? 0 : decoded,  // by roundings, where all is decoded to 0
          .product = source - cross,
          .max_abs_error = std::max(largest_error_, placed_.largest_error)};
}

}  // namespace holdfast::quantize
#endif
