// Every source type against its definition, in vectors and in tails, on every target; and what is
// encoded and summed up from it.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "quantize/format.h"
#include "quantize/internal/numbers.h"
#include "quantize/rows.h"
#include "tests/quantize/samples.h"
#include "tests/quantize/targets.h"

using namespace holdfast;
using namespace holdfast::quantize;

namespace {

// Sign, exponent and mantissa, from the top of `bytes` bytes. Where the largest exponent is used
// for numbers, as in E4M3, all ones alone are NaN.
struct Layout {
  const char* name;
  SourceType type;
  std::size_t bytes;
  int exponent_bits, mantissa_bits;
  bool has_infinity;
};

constexpr Layout kLayouts[] = {
    {"F32", SourceType::F32, 4, 8, 23, true},
    {"F16", SourceType::F16, 2, 5, 10, true},
    {"BF16", SourceType::BF16, 2, 8, 7, true},
    {"F64", SourceType::F64, 8, 11, 52, true},
    {"F8_E4M3", SourceType::F8_E4M3, 1, 4, 3, false},
    {"F8_E5M2", SourceType::F8_E5M2, 1, 5, 2, true},
};

constexpr std::uint64_t sign_of(const Layout& layout) {
  return std::uint64_t{1} << (8 * layout.bytes - 1);
}

constexpr std::uint64_t ones(int bits) { return (std::uint64_t{1} << bits) - 1; }

bool is_finite(const Layout& layout, std::uint64_t code) {
  const std::uint64_t largest = ones(layout.exponent_bits) << layout.mantissa_bits;
  const std::uint64_t special =
      layout.has_infinity ? largest : largest | ones(layout.mantissa_bits);
  return (code & special) != special;
}

// Of a finite code.
double value_of(const Layout& layout, std::uint64_t code) {
  const int exponent = static_cast<int>(code >> layout.mantissa_bits & ones(layout.exponent_bits));
  const std::uint64_t leading = exponent == 0 ? 0 : std::uint64_t{1} << layout.mantissa_bits;
  const auto significand = static_cast<double>(leading + (code & ones(layout.mantissa_bits)));
  const int bias = static_cast<int>(ones(layout.exponent_bits - 1));
  const double magnitude =
      std::ldexp(significand, std::max(exponent, 1) - bias - layout.mantissa_bits);
  return (code & sign_of(layout)) != 0 ? -magnitude : magnitude;
}

// Infinities where there are, and NaNs with the first and the last bit of the mantissa and with
// all, of both signs; and too large an F64.
std::vector<std::uint64_t> bad_codes(const Layout& layout) {
  const std::uint64_t largest = ones(layout.exponent_bits) << layout.mantissa_bits;
  std::vector<std::uint64_t> codes{largest | ones(layout.mantissa_bits)};
  if (layout.has_infinity) {
    for (const std::uint64_t mantissa : {ones(0), ones(1), ones(layout.mantissa_bits - 1) + 1}) {
      codes.push_back(largest | mantissa);
    }
  }
  if (layout.type == SourceType::F64) {
    for (const double value : {1e300, 0x1.ffffffp127}) {
      codes.push_back(std::bit_cast<std::uint64_t>(value));
    }
  }
  for (std::size_t i = codes.size(); i > 0; --i) codes.push_back(codes[i - 1] | sign_of(layout));
  return codes;
}

std::vector<std::byte> elements_of(const Layout& layout, std::span<const std::uint64_t> codes) {
  std::vector<std::byte> bytes(codes.size() * layout.bytes);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    std::memcpy(bytes.data() + i * layout.bytes, &codes[i], layout.bytes);
  }
  return bytes;
}

std::vector<float> widened(const Layout& layout, std::span<const std::uint64_t> codes) {
  std::vector<float> values;
  for (const std::uint64_t code : codes) {
    values.push_back(static_cast<float>(value_of(layout, code)));
  }
  return values;
}

// Codes of Gaussian values; of the types with few exponents, of values that they hold.
std::vector<std::uint64_t> gaussian_codes(const Layout& layout, std::size_t count) {
  tests::Random random(91);
  std::vector<std::uint64_t> codes;
  while (codes.size() < count) {
    const float value = random.gaussian() * 0.02f;
    std::uint64_t code = random.bits() & (ones(static_cast<int>(8 * layout.bytes) - 1) * 2 + 1);
    if (layout.type == SourceType::F32) code = bits_of(value);
    if (layout.type == SourceType::F16) code = float_to_half(value);
    if (layout.type == SourceType::BF16) code = float_to_bfloat(value);
    if (layout.type == SourceType::F64) code = std::bit_cast<std::uint64_t>(value * 1.1);
    if (is_finite(layout, code)) codes.push_back(code);
  }
  return codes;
}

std::vector<std::byte> encode(Format format, SourceType type, std::span<const std::byte> source,
                              std::uint64_t rows, std::span<const float> importance = {},
                              ErrorSums* sums = nullptr) {
  const std::uint64_t row_values = source.size() / source_bytes(type) / rows;
  std::vector<std::byte> out(rows * row_bytes(info(format), row_values));
  encode_rows(format, type, source, rows, row_values, importance, out, sums);
  return out;
}

}  // namespace

TEST_CASE("quantize/source_types: every code of at most 16 bits widens to its definition") {
  for (const Layout& layout : kLayouts) {
    if (layout.bytes > 2) continue;
    std::vector<std::uint64_t> codes;
    for (std::uint64_t code = 0; code < std::uint64_t{1} << (8 * layout.bytes); ++code) {
      if (is_finite(layout, code)) codes.push_back(code);
    }
    tests::on_every_target([&](const std::string& target) {
      CAPTURE(layout.name);
      CAPTURE(target);
      // Each code in another lane, and in the tail.
      for (const std::size_t turn : {0, 7, 13}) {
        std::vector<std::uint64_t> turned = codes;
        std::ranges::rotate(turned, turned.begin() + static_cast<std::ptrdiff_t>(turn));
        const auto expected = widened(layout, turned);
        const auto out = encode(Format::F32, layout.type, elements_of(layout, turned), 1);
        CHECK(std::memcmp(out.data(), expected.data(), out.size()) == 0);
      }
    });
  }
}

TEST_CASE("quantize/source_types: NaN and infinity are refused with their index and value") {
  constexpr std::size_t kCount = 2048 + 75;  // a strip, two sets of places, and a tail
  for (const Layout& layout : kLayouts) {
    const auto format = std::ranges::find(formats(), layout.type, &FormatInfo::source_type);
    const Format same = format == formats().end() ? Format::F16 : format->format;
    for (const std::uint64_t bad : bad_codes(layout)) {
      tests::on_every_target([&](const std::string& target) {
        for (const std::size_t at : {0, 31, 100, 2047, 2048, 2111, 2112, 2122}) {
          CAPTURE(layout.name);
          CAPTURE(target);
          CAPTURE(bad);
          CAPTURE(at);
          std::vector<std::uint64_t> codes(kCount, gaussian_codes(layout, 1).front());
          codes[at] = bad;
          if (at + 1 < kCount) codes[at + 1] = bad;  // the first one is reported
          const auto source = elements_of(layout, codes);
          for (const Format to : {Format::F32, same}) {
            for (const bool measured : {false, true}) {
              ErrorSums sums;
              try {
                encode(to, layout.type, source, 1, {}, measured ? &sums : nullptr);
                FAIL_CHECK("not refused");
              } catch (const ValueError& error) {
                CHECK(error.index() == at);
                CHECK(!std::isfinite(error.value()));
                const bool is_number = layout.type == SourceType::F64 && is_finite(layout, bad);
                const bool is_infinity =
                    layout.has_infinity && (bad & ones(layout.mantissa_bits)) == 0;
                CHECK(std::isinf(error.value()) == (is_number || is_infinity));
              }
            }
          }
        }
      });
    }
  }
}

TEST_CASE("quantize/source_types: blocks are those of the same values in F32") {
  constexpr std::uint64_t kRows = 3, kRowValues = 2304;
  const auto importance = tests::sample_importance(kRowValues, 92);
  for (const Layout& layout : kLayouts) {
    const auto codes = gaussian_codes(layout, kRows * kRowValues);
    const auto source = elements_of(layout, codes);
    const auto wide = widened(layout, codes);
    for (const FormatInfo& format : formats()) {
      CAPTURE(layout.name);
      CAPTURE(format.name);
      CHECK(encode(format.format, layout.type, source, kRows, importance) ==
            encode(format.format, SourceType::F32, std::as_bytes(std::span(wide)), kRows,
                   importance));
    }
  }
}

TEST_CASE("quantize/source_types: error sums equal their definition, on every target") {
  constexpr std::uint64_t kRows = 2, kRowValues = 2304;
  for (const Layout& layout : kLayouts) {
    const auto codes = gaussian_codes(layout, kRows * kRowValues);
    const auto source = elements_of(layout, codes);
    const auto wide = widened(layout, codes);
    for (const Format format : {Format::F32, Format::F16, Format::BF16, Format::Q8_0, Format::Q4_K,
                                Format::TQ1_0, Format::IQ4_NL}) {
      tests::on_every_target([&](const std::string& target) {
        CAPTURE(layout.name);
        CAPTURE(info(format).name);
        CAPTURE(target);
        ErrorSums sums;
        const auto blocks = encode(format, layout.type, source, kRows, {}, &sums);
        std::vector<float> decoded(wide.size());
        decode_rows(format, blocks, decoded);
        double error = 0, squares = 0, product = 0;
        float largest = 0;
        for (std::size_t i = 0; i < wide.size(); ++i) {
          const double x = wide[i], difference = x - decoded[i];
          error += difference * difference;
          squares += x * x;
          product += x * decoded[i];
          largest = std::max(largest, std::fabs(wide[i] - decoded[i]));
        }
        CHECK(sums.count == wide.size());
        CHECK(std::fabs(sums.squared_error - error) <= 2e-6 * error);
        CHECK(std::fabs(sums.squared_source - squares) <= 2e-6 * squares);
        CHECK(std::fabs(sums.product - product) <= 2e-6 * squares);
        CHECK(sums.max_abs_error == largest);
      });
    }
  }
}
