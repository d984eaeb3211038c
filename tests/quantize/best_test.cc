#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "quantize/rows.h"
#include "tests/quantize/samples.h"
#include "tests/quantize/targets.h"

using namespace holdfast;
using namespace holdfast::quantize;

namespace {

constexpr std::uint64_t kRowValues = 1280;
// 25 super-blocks, or 1000.
const std::uint64_t kRows = std::getenv("HOLDFAST_LONG") != nullptr ? 200 : 5;

constexpr std::string_view kAll = "IQ4_NL IQ4_XS Q2_K Q3_K Q4_K Q5_K Q6_K";

// Where these formats' identical encoders leave nothing to be gained.
struct NoRoom {
  std::string_view distribution, formats;
};

constexpr NoRoom kNoRoom[] = {
    // Few values: their codes are the best already, and what is lost is the scale's own rounding.
    {"equal", kAll},
    {"equal negative", kAll},
    {"few levels", "Q3_K"},
    {"ternary", "IQ4_NL Q2_K Q3_K Q4_K Q5_K"},
    {"alternating", kAll},
    {"far from zero", "IQ4_NL Q3_K Q5_K Q6_K"},
    // Below the smallest scale.
    {"denormal", kAll},
    {"reciprocal overflows", kAll},
    {"squares underflow", kAll},
    {"below epsilon", kAll},
    {"half zero scales", kAll},
    {"half subnormal scales", "IQ4_XS Q3_K Q4_K Q5_K Q6_K"},
    {"single outlier", "Q2_K Q3_K Q4_K Q5_K Q6_K"},
    // Beyond the squares that float32 holds: the encoder stays with what it has.
    {"squares overflow", "IQ4_XS Q2_K Q3_K Q4_K Q5_K Q6_K"},
    {"huge", "IQ4_XS Q2_K Q3_K Q4_K Q5_K Q6_K"},
};

bool has_room(const FormatInfo& format, const tests::Distribution& distribution) {
  return std::ranges::none_of(kNoRoom, [&](const NoRoom& row) {
    return row.distribution == distribution.name &&
           row.formats.find(format.name) != row.formats.npos;
  });
}

std::vector<std::byte> encode(const FormatInfo& format, std::span<const float> values,
                              std::span<const float> importance, Mode mode) {
  std::vector<std::byte> out(kRows * row_bytes(format, kRowValues));
  encode_rows(format.format, SourceType::F32, std::as_bytes(values), kRows, kRowValues, importance,
              out, nullptr, mode);
  return out;
}

// Weighted squared error of each block.
std::vector<double> errors(const FormatInfo& format, std::span<const std::byte> blocks,
                           std::span<const float> values, std::span<const float> importance) {
  std::vector<float> decoded(values.size());
  decode_rows(format.format, blocks, decoded);
  std::vector<double> sums(values.size() / format.block_values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double difference = double{values[i]} - decoded[i];
    const double weight = importance.empty() ? 1 : importance[i % importance.size()];
    sums[i / format.block_values] += weight * difference * difference;
  }
  return sums;
}

// Blocks that the better encoder made worse.
std::size_t worse_blocks(const FormatInfo& format, std::span<const float> values,
                         std::span<const float> importance) {
  const auto blocks = encode(format, values, importance, Mode::Identical);
  const auto identical = errors(format, blocks, values, importance);
  const auto best =
      errors(format, encode(format, values, importance, Mode::Best), values, importance);
  std::size_t worse = 0;
  for (std::size_t i = 0; i < best.size(); ++i) {
    if (std::isfinite(identical[i])) {
      worse += !(best[i] <= identical[i] * (1 + 1e-12));  // the order of summation
    } else {
      const auto block = std::span(blocks).subspan(i * format.block_bytes, format.block_bytes);
      CHECK(first_overflow(format.format, block));  // refused
    }
  }
  return worse;
}

double total(const std::vector<double>& sums) {
  double sum = 0;
  for (const double value : sums) sum += value;
  return sum;
}

}  // namespace

TEST_CASE("quantize/best: no block is worse than identical, on any distribution") {
  for (const FormatInfo& format : formats()) {
    if (format.encode_best == nullptr) continue;
    for (const tests::Distribution& distribution : tests::distributions()) {
      for (const bool weighted : {false, true}) {
        CAPTURE(format.name);
        CAPTURE(distribution.name);
        CAPTURE(weighted);
        const auto values = tests::sample(distribution, kRows, kRowValues, 21);
        const auto importance =
            weighted ? tests::sample_importance(kRowValues, 22) : std::vector<float>();
        CHECK(worse_blocks(format, values, importance) == 0);
      }
    }
  }
}

TEST_CASE("quantize/best: no block is worse where float32 loses the squares") {
  struct Case {
    float values, weights;
  };

  for (const Case& c : {Case{1e-4f, 1e-33f}, Case{1e-6f, 1e-30f}, Case{1e3f, 1e-38f},
                        Case{1e-6f, 1e30f}, Case{1e4f, 1e28f}}) {
    for (const FormatInfo& format : formats()) {
      if (format.encode_best == nullptr) continue;
      CAPTURE(format.name);
      CAPTURE(c.values);
      CAPTURE(c.weights);
      auto values = tests::sample(tests::distributions()[0], kRows, kRowValues, 27);
      for (float& value : values) value *= c.values;
      auto importance = tests::sample_importance(kRowValues, 28);
      for (float& weight : importance) weight *= c.weights;
      CHECK(worse_blocks(format, values, importance) == 0);
    }
  }
}

TEST_CASE("quantize/best: error falls wherever values are spread, with and without importance") {
  for (const NoRoom& row : kNoRoom) {
    CAPTURE(row.distribution);
    CHECK(std::ranges::count(tests::distributions(), row.distribution,
                             &tests::Distribution::name) == 1);
  }
  for (const FormatInfo& format : formats()) {
    if (format.encode_best == nullptr) continue;
    for (const tests::Distribution& distribution : tests::distributions()) {
      for (const bool weighted : {false, true}) {
        CAPTURE(format.name);
        CAPTURE(distribution.name);
        CAPTURE(weighted);
        const auto values = tests::sample(distribution, kRows, kRowValues, 23);
        const auto importance =
            weighted ? tests::sample_importance(kRowValues, 24) : std::vector<float>();
        const auto blocks = encode(format, values, importance, Mode::Identical);
        const double identical = total(errors(format, blocks, values, importance));
        const double best = total(
            errors(format, encode(format, values, importance, Mode::Best), values, importance));
        if (!std::isfinite(identical)) CHECK(first_overflow(format.format, blocks));
        if (!std::isfinite(identical) || identical == 0) continue;  // refused, or exact
        if (distribution.name == "gaussian") {
          CHECK(best < 0.995 * identical);
        } else if (has_room(format, distribution)) {
          CHECK(best < identical);
        } else {
          CHECK(best <= identical * (1 + 1e-12));
        }
      }
    }
  }
}

TEST_CASE("quantize/best: the same bytes on every target") {
  for (const FormatInfo& format : formats()) {
    if (format.encode_best == nullptr) continue;
    for (const tests::Distribution& distribution : tests::distributions()) {
      const auto values = tests::sample(distribution, kRows, kRowValues, 25);
      const auto importance = tests::sample_importance(kRowValues, 26);
      std::vector<std::byte> expected[2];
      tests::on_every_target([&](const std::string& target) {
        CAPTURE(target);
        CAPTURE(format.name);
        CAPTURE(distribution.name);
        for (const bool weighted : {false, true}) {
          const auto out = encode(
              format, values,
              weighted ? std::span<const float>(importance) : std::span<const float>(), Mode::Best);
          if (expected[weighted].empty()) expected[weighted] = out;
          CHECK(out == expected[weighted]);
        }
      });
    }
  }
}
