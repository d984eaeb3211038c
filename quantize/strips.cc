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

  static Floats Wide(const std::byte* from) {
    const hn::Rebind<std::uint16_t, FloatTag> narrow;
    const auto bits = hn::LoadU(narrow, reinterpret_cast<const std::uint16_t*>(from));
    return HalfBitsToFloat(hn::PromoteTo(kUint, bits));
  }

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

template <class From>
bool WidenAs(const std::byte* source, std::size_t count, float* out) {
  std::size_t i = 0;
  auto largest = hn::Zero(kInt);
  for (; i + kLanes <= count; i += kLanes) {
    const Floats value = From::Wide(source + i * From::kBytes);
    hn::StoreU(value, kFloat, out + i);
    largest = hn::Max(largest, hn::BitCast(kInt, hn::Abs(value)));
  }
  bool finite = hn::AllTrue(kInt, hn::Lt(largest, hn::Set(kInt, 0x7f800000)));
  for (; i < count; ++i) {
    out[i] = From::One(source + i * From::kBytes);
    finite = finite && std::isfinite(out[i]);
  }
  return finite;
}

bool WidenF64(const std::byte* source, std::size_t count, float* out) {
  bool finite = true;
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(load<double>(source + i * sizeof(double)));
    finite = finite && std::isfinite(out[i]);
  }
  return finite;
}

bool Widen(SourceType type, const std::byte* source, std::size_t count, float* out) {
  using Function = bool (*)(const std::byte*, std::size_t, float*);
  static constexpr Function kByType[] = {WidenAs<FromF32>, WidenAs<FromF16>,  WidenAs<FromBF16>,
                                         WidenF64,         WidenAs<FromE4M3>, WidenAs<FromE5M2>};
  return kByType[static_cast<std::size_t>(type)](source, count, out);
}

// Adds the sums of at most kFloatRun values, a multiple of kParts.
void AddRun(const float* source, const float* decoded, std::size_t count, InterleavedSums& sums) {
  constexpr std::size_t kSums = InterleavedSums::kParts;
  const hn::CappedTag<float, kSums> d;
  using Vector = hn::Vec<decltype(d)>;
  constexpr std::size_t kStep = hn::MaxLanes(d);
  constexpr std::size_t kVectors = kSums / kStep;
  Vector error[kVectors], squares[kVectors], product[kVectors], largest = hn::Zero(d);
  for (std::size_t p = 0; p < kVectors; ++p) error[p] = squares[p] = product[p] = hn::Zero(d);
  for (std::size_t i = 0; i < count; i += kSums) {
    for (std::size_t p = 0; p < kVectors; ++p) {
      const auto x = hn::LoadU(d, source + i + p * kStep);
      const auto y = hn::LoadU(d, decoded + i + p * kStep);
      const auto difference = x - y;
      largest = hn::Max(largest, hn::Abs(difference));
      error[p] = error[p] + difference * difference;
      squares[p] = squares[p] + x * x;
      product[p] = product[p] + x * y;
    }
  }
  const auto widen = [d](const Vector(&from)[kVectors], double* to) {
    const hn::CappedTag<double, kSums> wide;
    const hn::Rebind<float, decltype(wide)> narrow;
    alignas(64) float lanes[kSums];
    for (std::size_t p = 0; p < kVectors; ++p) hn::Store(from[p], d, lanes + p * kStep);
    for (std::size_t k = 0; k < kSums; k += hn::MaxLanes(wide)) {
      const auto sum = hn::PromoteTo(wide, hn::Load(narrow, lanes + k));
      hn::Store(hn::Load(wide, to + k) + sum, wide, to + k);
    }
  };
  widen(error, sums.error);
  widen(squares, sums.source);
  widen(product, sums.product);
  sums.largest = std::max(sums.largest, hn::GetLane(hn::MaxOfLanes(d, largest)));
}

void SumUp(const float* source, const float* decoded, std::size_t count, InterleavedSums& sums) {
  for (std::size_t at = 0; at < count; at += InterleavedSums::kFloatRun) {
    AddRun(source + at, decoded + at, std::min(InterleavedSums::kFloatRun, count - at), sums);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace holdfast::quantize

HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace holdfast::quantize {
HWY_EXPORT(Widen);
HWY_EXPORT(SumUp);

namespace {

double total(const double (&parts)[InterleavedSums::kParts]) {
  double sums[InterleavedSums::kParts];
  std::ranges::copy(parts, sums);
  for (std::size_t width = InterleavedSums::kParts / 2; width > 0; width /= 2) {
    for (std::size_t i = 0; i < width; ++i) sums[i] += sums[i + width];
  }
  return sums[0];
}

ErrorSums measure_wide(const float* source, const float* decoded, std::size_t count) noexcept {
  ErrorSums sums;
  for (std::size_t i = 0; i < count; ++i) {
    const double x = source[i], y = decoded[i], difference = x - y;
    sums.squared_error += difference * difference;
    sums.squared_source += x * x;
    sums.product += x * y;
    sums.max_abs_error = std::max(sums.max_abs_error, std::fabs(source[i] - decoded[i]));
  }
  return sums;
}

ErrorSums measure_narrow(const float* source, const float* decoded, std::size_t count) noexcept {
  constexpr std::size_t kParts = InterleavedSums::kParts;
  InterleavedSums parts;
  const std::size_t whole = count / kParts * kParts;
  HWY_DYNAMIC_DISPATCH(SumUp)(source, decoded, whole, parts);
  if (whole < count) {  // zeros add nothing
    float last_source[kParts] = {}, last_decoded[kParts] = {};
    std::copy(source + whole, source + count, last_source);
    std::copy(decoded + whole, decoded + count, last_decoded);
    HWY_DYNAMIC_DISPATCH(SumUp)(last_source, last_decoded, kParts, parts);
  }
  ErrorSums sums;
  sums.squared_error = total(parts.error);
  sums.squared_source = total(parts.source);
  sums.product = total(parts.product);
  sums.max_abs_error = parts.largest;
  return sums;
}

}  // namespace

bool widen(SourceType type, const std::byte* source, std::size_t count, float* out) noexcept {
  return HWY_DYNAMIC_DISPATCH(Widen)(type, source, count, out);
}

void measure(const float* source, const float* decoded, std::size_t count,
             ErrorSums& sums) noexcept {
  ErrorSums strip = measure_narrow(source, decoded, count);
  // Beyond, squares may overflow float32, or lose their last bits below its normal numbers.
  const bool tame =
      strip.squared_source > 1e-20 && strip.squared_source < 1e30 && strip.squared_error < 1e30;
  if (!tame) strip = measure_wide(source, decoded, count);
  strip.count = count;
  // |y|² = |x - y|² - |x|² + 2xy: one product a value less than summing it.
  strip.squared_decoded = strip.squared_error - strip.squared_source + 2 * strip.product;
  sums.add(strip);
}

}  // namespace holdfast::quantize
#endif
