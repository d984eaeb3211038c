#include "quantize/rows.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

#include <doctest/doctest.h>

#include "quantize/internal/numbers.h"
#include "tests/quantize/samples.h"
#include "tests/quantize/targets.h"

using namespace holdfast;
using namespace holdfast::quantize;

namespace {

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

std::vector<std::byte> encode(Format format, SourceType type, std::span<const std::byte> source,
                              std::uint64_t rows, std::uint64_t row_values,
                              std::span<const float> importance = {}, ErrorSums* sums = nullptr) {
  std::vector<std::byte> out(rows * row_bytes(info(format), row_values));
  encode_rows(format, type, source, rows, row_values, importance, out, sums);
  return out;
}

}  // namespace

TEST_CASE("quantize/rows: every half and every bfloat widens exactly and comes back") {
  std::vector<std::uint16_t> all(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);

  struct Case {
    SourceType type;
    Format format;
    unsigned exponent_mask;
  };

  for (const Case& c :
       {Case{SourceType::F16, Format::F16, 0x7c00}, Case{SourceType::BF16, Format::BF16, 0x7f80}}) {
    std::vector<std::uint16_t> finite;
    for (const std::uint16_t bits : all) {
      if ((bits & c.exponent_mask) != c.exponent_mask) finite.push_back(bits);
    }
    const auto out = encode(c.format, c.type, bytes_of(finite), 1, finite.size());
    CHECK(std::memcmp(out.data(), finite.data(), out.size()) == 0);
    std::vector<float> wide(all.size());
    decode_rows(c.format, bytes_of(all), wide);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const int bits = static_cast<int>(i);
      const bool half = c.format == Format::F16;
      const int mantissa = half ? bits & 0x3ff : bits & 0x7f;
      const int exponent = half ? bits >> 10 & 31 : bits >> 7 & 255;
      const double step =
          std::ldexp(1.0, half ? std::max(exponent, 1) - 25 : std::max(exponent, 1) - 134);
      const double leading = exponent == 0 ? 0 : (half ? 1024 : 128);
      const double expected = (leading + mantissa) * step * (bits & 0x8000 ? -1 : 1);
      if (exponent == (half ? 31 : 255)) {
        CHECK((mantissa == 0 ? std::isinf(wide[i]) : std::isnan(wide[i])));
      } else if (wide[i] != static_cast<float>(expected)) {
        CAPTURE(i);
        CHECK(wide[i] == static_cast<float>(expected));
      }
    }
  }
}

TEST_CASE("quantize/rows: F16 and BF16 round half to even and overflow to infinity") {
  struct Case {
    Format format;
    float value;
    std::uint16_t bits;
  };

  const Case cases[] = {
      {Format::F16, 1.0f + 0x1p-11f, 0x3c00}, {Format::F16, 1.0f + 0x3p-11f, 0x3c02},
      {Format::F16, 65519.996f, 0x7bff},      {Format::F16, 65520.0f, 0x7c00},
      {Format::F16, -1e30f, 0xfc00},          {Format::F16, 0x1p-25f, 0x0000},
      {Format::F16, 0x1.000002p-25f, 0x0001}, {Format::F16, 0x3p-25f, 0x0002},
      {Format::F16, -0x1p-24f, 0x8001},       {Format::F16, 0x1.ffep-15f, 0x0400},
      {Format::F16, -0.0f, 0x8000},           {Format::BF16, 1.0f + 0x1p-8f, 0x3f80},
      {Format::BF16, 1.0f + 0x3p-8f, 0x3f82}, {Format::BF16, 3.4028235e38f, 0x7f80},
      {Format::BF16, -0.0f, 0x8000},          {Format::BF16, 1e-45f, 0x0000},
  };
  for (const Case& c : cases) {
    CAPTURE(c.value);
    const std::vector<float> values(19, c.value);  // a vector's worth and a tail
    const auto out = encode(c.format, SourceType::F32, bytes_of(values), 1, values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      CHECK(load<std::uint16_t>(out.data() + 2 * i) == c.bits);
    }
  }
}

TEST_CASE("quantize/rows: F64 is rounded to float32 first, and too large an F64 is refused") {
  const std::vector<double> values = {0.1, -1e-46, 1e300};
  CHECK_THROWS_AS(encode(Format::F32, SourceType::F64, bytes_of(values), 1, 3), ValueError);
  const std::vector<double> fine = {0.1, -1e-46};
  const auto out = encode(Format::F32, SourceType::F64, bytes_of(fine), 1, 2);
  CHECK(load<float>(out.data()) == 0.1f);
  CHECK(load<std::uint32_t>(out.data() + 4) == 0x80000000u);
}

TEST_CASE("quantize/rows: NaN and infinity are refused with their index, by every format") {
  for (const FormatInfo& format : formats()) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
          -std::numeric_limits<float>::infinity()}) {
      for (const std::uint64_t at : {std::uint64_t{0}, std::uint64_t{255}, std::uint64_t{5003}}) {
        std::vector<float> values(5120, 0.5f);
        values[at] = bad;
        values[at + 1] = bad;  // the first one is reported
        const std::vector<float> importance(512, 1.0f);
        CAPTURE(format.name);
        try {
          encode(format.format, SourceType::F32, bytes_of(values), 10, 512, importance);
          FAIL("not refused");
        } catch (const ValueError& error) {
          CHECK(error.index() == at);
          CHECK(std::string(error.what()).find(std::to_string(at)) != std::string::npos);
        }
      }
    }
  }
}

TEST_CASE("quantize/rows: shapes that do not fit are refused") {
  const std::vector<float> values(64, 1.0f);
  std::vector<std::byte> out(68);
  const auto call = [&](std::uint64_t rows, std::uint64_t row_values, std::size_t out_bytes,
                        std::vector<float> importance) {
    encode_rows(Format::Q8_0, SourceType::F32, bytes_of(values), rows, row_values, importance,
                std::span(out).first(out_bytes), nullptr);
  };
  CHECK_NOTHROW(call(1, 64, 68, {}));
  CHECK_NOTHROW(call(2, 32, 68, {}));
  CHECK_THROWS_AS(call(4, 16, 68, {}), std::invalid_argument);
  CHECK_THROWS_AS(call(1, 32, 34, {}), std::invalid_argument);
  CHECK_THROWS_AS(call(1, 64, 67, {}), std::invalid_argument);
  CHECK_THROWS_AS(call(1, 64, 68, {1.0f}), std::invalid_argument);
  std::vector<float> decoded(65);
  CHECK_THROWS_AS(decode_rows(Format::Q8_0, out, decoded), std::invalid_argument);
  CHECK_NOTHROW(encode_rows(Format::Q8_0, SourceType::F32, {}, 0, 64, {}, {}, nullptr));
}

TEST_CASE("quantize/rows: any slicing into rows gives the same bytes") {
  constexpr std::uint64_t kRows = 7, kRowValues = 1280;
  const auto values = tests::sample(tests::distributions()[2], kRows, kRowValues, 4);
  const auto importance = tests::sample_importance(kRowValues, 5);
  for (const FormatInfo& format : formats()) {
    CAPTURE(format.name);
    const auto whole =
        encode(format.format, SourceType::F32, bytes_of(values), kRows, kRowValues, importance);
    std::vector<std::byte> sliced;
    for (std::uint64_t row = 0; row < kRows; ++row) {
      const auto part = encode(format.format, SourceType::F32,
                               bytes_of(values).subspan(row * kRowValues * 4, kRowValues * 4), 1,
                               kRowValues, importance);
      sliced.insert(sliced.end(), part.begin(), part.end());
    }
    CHECK(whole == sliced);
  }
}

TEST_CASE("quantize/rows: error sums equal their definition and stay under the format's bound") {
  constexpr std::uint64_t kRows = 8, kRowValues = 2560;
  const auto values = tests::sample(tests::distributions()[0], kRows, kRowValues, 9);
  const std::vector<float> ones(kRowValues, 1.0f);
  for (const FormatInfo& format : formats()) {
    for (const bool weighted : {false, true}) {
      if (weighted ? format.importance == Importance::Ignored
                   : format.importance == Importance::Required) {
        continue;
      }
      CAPTURE(format.name);
      CAPTURE(weighted);
      ErrorSums sums;
      const auto blocks =
          encode(format.format, SourceType::F32, bytes_of(values), kRows, kRowValues,
                 weighted ? std::span<const float>(ones) : std::span<const float>(), &sums);
      std::vector<float> decoded(values.size());
      decode_rows(format.format, blocks, decoded);
      double error = 0, source = 0, product = 0, back = 0, largest = 0;
      for (std::size_t i = 0; i < values.size(); ++i) {
        const double x = values[i], y = decoded[i];
        error += (x - y) * (x - y);
        source += x * x;
        back += y * y;
        product += x * y;
        largest = std::max(largest, std::fabs(x - y));
      }
      CHECK(sums.count == values.size());
      CHECK(sums.squared_error == doctest::Approx(error).epsilon(1e-6));
      CHECK(sums.squared_source == doctest::Approx(source).epsilon(1e-6));
      CHECK(sums.squared_decoded == doctest::Approx(back).epsilon(1e-6));
      CHECK(sums.product == doctest::Approx(product).epsilon(1e-6));
      CHECK(sums.max_abs_error == doctest::Approx(largest));
      const double relative = sums.rmse() / std::sqrt(source / static_cast<double>(values.size()));
      CHECK(relative <= format.relative_error_max);
      CHECK(relative >= format.relative_error_max * 0.5);  // a bound that could never fail is none
      CHECK(sums.cosine() > 0.7);
    }
  }
}

TEST_CASE("quantize/rows: error sums are the same on every target, whatever the source's type") {
  constexpr std::uint64_t kRows = 3, kRowValues = 2304;
  const std::vector<float> importance(kRowValues, 1.0f);

  struct Case {
    SourceType type;
    std::vector<std::byte> source;
  };

  for (const tests::Distribution& distribution : tests::distributions()) {
    const auto wide = tests::sample(distribution, kRows, kRowValues, 10);
    std::vector<std::uint16_t> narrow;
    for (const float value : wide) {  // cut off: the largest would round to infinity
      narrow.push_back(static_cast<std::uint16_t>(bits_of(value) >> 16));
    }
    const Case cases[] = {
        {SourceType::F32, {bytes_of(wide).begin(), bytes_of(wide).end()}},
        {SourceType::BF16, {bytes_of(narrow).begin(), bytes_of(narrow).end()}},
    };
    for (const Case& c : cases) {
      for (const Format format : {Format::F32, Format::F16, Format::BF16, Format::Q8_0,
                                  Format::Q4_K, Format::TQ1_0, Format::IQ4_NL}) {
        std::optional<ErrorSums> expected;
        tests::on_every_target([&](const std::string& target) {
          CAPTURE(target);
          CAPTURE(info(format).name);
          CAPTURE(distribution.name);
          ErrorSums sums;
          encode(format, c.type, c.source, kRows, kRowValues, importance, &sums);
          if (!expected) expected = sums;
          // A block whose scale overflowed decodes to NaN, which equals nothing.
          if (!std::isnan(expected->product)) CHECK((sums == *expected));
        });
      }
    }
  }
}

TEST_CASE("quantize/rows: what is already in its format is copied, without an error") {
  for (const float unit : {1.0f, 1e-18f, 1e18f}) {  // the squares of the last two leave float32
    const std::vector<float> values = {unit, -3 * unit, 0.0f, 7 * unit};
    ErrorSums sums;
    const auto out = encode(Format::F32, SourceType::F32, bytes_of(values), 1, 4, {}, &sums);
    CHECK(std::memcmp(out.data(), values.data(), out.size()) == 0);
    const double squares = 59.0 * double{unit} * double{unit};
    CHECK(sums.count == 4);
    CHECK(sums.squared_error == 0);
    CHECK(sums.squared_source == doctest::Approx(squares));
    CHECK(sums.squared_decoded == doctest::Approx(squares));
    CHECK(sums.cosine() == doctest::Approx(1));
    CHECK(sums.max_abs_error == 0);
  }
  const std::vector<std::uint16_t> infinite = {0x3f80, 0x7f80};
  CHECK_THROWS_AS(encode(Format::BF16, SourceType::BF16, bytes_of(infinite), 1, 2), ValueError);
}

TEST_CASE("quantize/rows: what F16 cannot hold of a bf16 is found among all that it can") {
  constexpr std::size_t kValues = 3 * 2048 + 96;
  const std::uint16_t lost = 0x3501;  // 2^-21 and one bit below a half's last place
  for (const std::size_t at : {std::size_t{0}, std::size_t{2047}, kValues - 1}) {
    CAPTURE(at);
    std::vector<std::uint16_t> values(kValues, 0xbf80);
    values[at] = lost;
    ErrorSums sums;
    const auto out = encode(Format::F16, SourceType::BF16, bytes_of(values), 1, kValues, {}, &sums);
    const float decoded = half_to_float(load<std::uint16_t>(out.data() + 2 * at));
    const float difference = std::fabs(bfloat_to_float(lost) - decoded);
    REQUIRE(difference > 0);
    CHECK(sums.max_abs_error == difference);
    CHECK(sums.squared_error == doctest::Approx(double{difference} * difference));
    CHECK(sums.count == kValues);
  }
}

TEST_CASE("quantize/rows: error sums equal their definition for every distribution") {
  constexpr std::uint64_t kRows = 2, kRowValues = 2304;
  for (const tests::Distribution& distribution : tests::distributions()) {
    const auto wide = tests::sample(distribution, kRows, kRowValues, 12);
    std::vector<std::uint16_t> narrow;
    for (const float value : wide)
      narrow.push_back(static_cast<std::uint16_t>(bits_of(value) >> 16));
    for (const FormatInfo& format : formats()) {
      if (format.importance == Importance::Required) continue;
      CAPTURE(distribution.name);
      CAPTURE(format.name);
      ErrorSums sums;
      const auto blocks =
          encode(format.format, SourceType::BF16, bytes_of(narrow), kRows, kRowValues, {}, &sums);
      std::vector<float> decoded(wide.size());
      decode_rows(format.format, blocks, decoded);
      double error = 0, source = 0, product = 0, back = 0;
      float largest = 0;
      for (std::size_t i = 0; i < wide.size(); ++i) {
        const double x = bfloat_to_float(narrow[i]), y = decoded[i];
        error += (x - y) * (x - y);
        source += x * x;
        back += y * y;
        product += x * y;
        largest = std::max(largest, std::fabs(bfloat_to_float(narrow[i]) - decoded[i]));
      }
      if (!std::isfinite(error)) continue;  // a scale overflowed
      CHECK(std::fabs(sums.squared_error - error) <= 2e-6 * error);
      CHECK(std::fabs(sums.squared_source - source) <= 2e-6 * source);
      CHECK(std::fabs(sums.product - product) <= 2e-6 * source);
      CHECK(std::fabs(sums.squared_decoded - back) <= 6e-6 * source);
      CHECK(sums.max_abs_error == largest);
    }
  }
}

TEST_CASE("quantize/rows: a tail that is no multiple of anything is measured too") {
  const std::vector<float> values = {1.0f, 3.0f, 1.0f + 0x1p-12f};
  ErrorSums sums;
  encode(Format::F16, SourceType::F32, bytes_of(values), 1, 3, {}, &sums);
  CHECK(sums.count == 3);
  CHECK(sums.squared_error == doctest::Approx(0x1p-24));
  CHECK(sums.max_abs_error == 0x1p-12f);
}

TEST_CASE("quantize/rows: an overflowed scale is found, and only that") {
  for (const FormatInfo& format : formats()) {
    CAPTURE(format.name);
    std::vector<float> values(std::size_t{3} * 256, 0.25f);
    const std::vector<float> importance(256, 1.0f);
    auto blocks = encode(format.format, SourceType::F32, bytes_of(values), 3, 256, importance);
    CHECK(!first_overflow(format.format, blocks));
    const bool has_halves = format.scales.special == 0x7c00 || format.overflows != nullptr;
    for (std::size_t i = 256; i < values.size(); ++i) values[i] = i % 2 == 0 ? 1e9f : -1e9f;
    blocks = encode(format.format, SourceType::F32, bytes_of(values), 3, 256, importance);
    const auto found = first_overflow(format.format, blocks);
    CHECK(found.has_value() == has_halves);
    if (found) CHECK(*found == 256 / format.block_values);
  }
}

TEST_CASE("quantize/rows: a number that BF16 rounds to infinity is found") {
  std::vector<float> values(100, 3.3895314e38f);  // the largest that it holds
  auto blocks = encode(Format::BF16, SourceType::F32, bytes_of(values), 1, 100);
  CHECK(!first_overflow(Format::BF16, blocks));
  values[77] = -3.4028235e38f;
  blocks = encode(Format::BF16, SourceType::F32, bytes_of(values), 1, 100);
  CHECK(first_overflow(Format::BF16, blocks) == 77);
}
