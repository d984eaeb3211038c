#include "quantize/internal/strips.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "quantize/format.h"
#include "quantize/internal/numbers.h"
#include "tests/quantize/samples.h"
#include "tests/quantize/targets.h"

using namespace holdfast;
using namespace holdfast::quantize;

namespace {

// A whole strip, and one that ends within a vector of blocks.
constexpr std::size_t kLengths[] = {kStripValues, 768};

struct Outcome {
  std::vector<std::byte> blocks;
  PlacedSums sums;
  bool tame = false;
};

Outcome measured(const FormatInfo& format, const Strip& strip) {
  Outcome outcome{std::vector<std::byte>(row_bytes(format, strip.count)), {}, false};
  outcome.tame = format.encode_measured(strip, outcome.blocks.data(), outcome.sums);
  return outcome;
}

Outcome decoded(const FormatInfo& format, const Strip& strip) {
  Outcome outcome{std::vector<std::byte>(row_bytes(format, strip.count)), {}, false};
  format.encode(strip, outcome.blocks.data());
  outcome.tame =
      add_decoded_errors(format, strip.values, outcome.blocks.data(), strip.count, outcome.sums);
  return outcome;
}

bool same(const Outcome& a, const Outcome& b) {
  return a.blocks == b.blocks && a.tame == b.tame &&
         std::ranges::equal(a.sums.error, b.sums.error) &&
         std::ranges::equal(a.sums.cross, b.sums.cross) &&
         a.sums.largest_error == b.sums.largest_error;
}

}  // namespace

TEST_CASE("quantize/strips: what an encoder measures is what its blocks decode to") {
  std::size_t formats_seen = 0;
  for (const FormatInfo& format : formats()) {
    if (format.encode_measured == nullptr) continue;
    ++formats_seen;
    for (const tests::Distribution& distribution : tests::distributions()) {
      const auto values = tests::sample(distribution, 1, kStripValues, 41);
      const auto importance = tests::sample_importance(kStripValues, 42);
      const float mean_square[kStripValues / 32] = {};
      for (const std::size_t count : kLengths) {
        for (const bool weighted : {false, true}) {
          if (weighted && format.importance == Importance::Ignored) continue;
          const Strip strip{values.data(), count, weighted ? importance.data() : nullptr,
                            weighted ? mean_square : nullptr};
          std::optional<Outcome> first;
          tests::on_every_target([&](const std::string& target) {
            CAPTURE(format.name);
            CAPTURE(distribution.name);
            CAPTURE(target);
            const Outcome ours = measured(format, strip);
            CHECK(same(ours, decoded(format, strip)));
            if (!first) first = ours;
            CHECK(same(ours, *first));
          });
        }
      }
    }
  }
  CHECK(formats_seen >= 17);
}

TEST_CASE("quantize/strips: errors that leave float32 are not added") {
  const std::vector<float> values(kStripValues, 1e6f);  // a half holds 65504
  const FormatInfo& format = info(Format::Q4_1);
  const Outcome outcome = measured(format, {values.data(), values.size()});
  CHECK(!outcome.tame);
  CHECK(std::ranges::all_of(outcome.sums.error, [](double sum) { return sum == 0; }));
  CHECK(outcome.sums.largest_error == 0);
}

TEST_CASE("quantize/strips: squares of the source are its squares, whatever their size") {
  struct Case {
    const char* name;
    float large, small;  // even values, odd values
  };

  const Case cases[] = {
      {"alike", 0.02f, 0.03f},
      {"squares that underflow beside others", 1.5f, 0x1.5p-80f},
      {"squares whose last bits underflow", 0x1p-30f, 0x1.5ap-62f},
      {"nothing", 0, 0},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    std::vector<std::uint16_t> narrow(kStripValues);
    double expected = 0;
    for (std::size_t i = 0; i < narrow.size(); ++i) {
      narrow[i] = float_to_bfloat(i % 2 == 0 ? c.large : -c.small);
      const double value = bfloat_to_float(narrow[i]);
      expected += value * value;
    }
    std::optional<double> first;
    tests::on_every_target([&](const std::string& target) {
      CAPTURE(target);
      StripSums sums;
      float wide[kStripValues];
      REQUIRE(sums.widen(SourceType::BF16, std::as_bytes(std::span(narrow)).data(), kStripValues,
                         wide));
      sums.add_lossless(wide, kStripValues);
      const double squares = sums.total().squared_source;
      CHECK(std::fabs(squares - expected) <= 1e-6 * expected);
      if (!first) first = squares;
      CHECK(squares == *first);
    });
  }
}
