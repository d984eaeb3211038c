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

void SumUp(const float* source, const float* decoded, std::size_t count, InterleavedSums& sums) {
  constexpr std::size_t kSums = InterleavedSums::kParts;
  const hn::CappedTag<double, kSums> wide;
  const hn::Rebind<float, decltype(wide)> narrow;
  constexpr std::size_t kStep = hn::MaxLanes(wide);
  constexpr std::size_t kParts = kSums / kStep;
  hn::Vec<decltype(wide)> error[kParts], squares[kParts], product[kParts];
  for (std::size_t p = 0; p < kParts; ++p) {
    error[p] = hn::Load(wide, sums.error + p * kStep);
    squares[p] = hn::Load(wide, sums.source + p * kStep);
    product[p] = hn::Load(wide, sums.product + p * kStep);
  }
  auto largest = hn::Zero(narrow);
  for (std::size_t i = 0; i < count; i += kSums) {
    for (std::size_t p = 0; p < kParts; ++p) {
      const auto from = hn::LoadU(narrow, source + i + p * kStep);
      const auto to = hn::LoadU(narrow, decoded + i + p * kStep);
      largest = hn::Max(largest, hn::Abs(from - to));
      const auto x = hn::PromoteTo(wide, from);
      const auto y = hn::PromoteTo(wide, to);
      const auto difference = x - y;
      error[p] = error[p] + difference * difference;
      squares[p] = squares[p] + x * x;
      product[p] = product[p] + x * y;
    }
  }
  for (std::size_t p = 0; p < kParts; ++p) {
    hn::Store(error[p], wide, sums.error + p * kStep);
    hn::Store(squares[p], wide, sums.source + p * kStep);
    hn::Store(product[p], wide, sums.product + p * kStep);
  }
  sums.largest = std::max(sums.largest, hn::GetLane(hn::MaxOfLanes(narrow, largest)));
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
  return ((parts[0] + parts[1]) + (parts[2] + parts[3])) +
         ((parts[4] + parts[5]) + (parts[6] + parts[7]));
}

}  // namespace

bool widen(SourceType type, const std::byte* source, std::size_t count, float* out) noexcept {
  return HWY_DYNAMIC_DISPATCH(Widen)(type, source, count, out);
}

void measure(const float* source, const float* decoded, std::size_t count,
             ErrorSums& sums) noexcept {
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
  ErrorSums strip;
  strip.count = count;
  strip.squared_error = total(parts.error);
  strip.squared_source = total(parts.source);
  strip.product = total(parts.product);
  // |y|² = |x - y|² - |x|² + 2xy: one product a value less than summing it.
  strip.squared_decoded = strip.squared_error - strip.squared_source + 2 * strip.product;
  strip.max_abs_error = parts.largest;
  sums.add(strip);
}

}  // namespace holdfast::quantize
#endif
