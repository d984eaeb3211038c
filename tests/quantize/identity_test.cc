// Every encoder and decoder against the official library and against its own scalar reference, for
// every distribution, with importance (which some ignore) and without, on every SIMD target of this
// machine.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "quantize/format.h"
#include "quantize/rows.h"
#include "tests/quantize/official_library.h"
#include "tests/quantize/samples.h"
#include "tests/quantize/targets.h"

using namespace holdfast;
using namespace holdfast::quantize;

namespace {

// Rows that are no multiple of a strip, so that strips cross rows; and such of several strips, for
// formats that need to know the whole row.
constexpr std::uint64_t kRowValues = 768, kLongRowValues = 4096 + 256;

// HOLDFAST_LONG=1 HOLDFAST_FORMATS=Q4_K: more than a million blocks of the named formats against
// the library, over all distributions.
bool is_long() {
  return std::getenv("HOLDFAST_LONG") != nullptr && std::getenv("HOLDFAST_FORMATS") != nullptr;
}

// HOLDFAST_FORMATS=Q4_K,Q6_K narrows the run; all formats without it.
bool is_chosen(std::string_view format) {
  const char* chosen = std::getenv("HOLDFAST_FORMATS");
  if (chosen == nullptr) return true;
  return ("," + std::string(chosen) + ",").find("," + std::string(format) + ",") !=
         std::string::npos;
}

struct Case {
  const FormatInfo* format;
  const tests::Distribution* distribution;
  bool weighted;
  std::uint64_t row_values = kRowValues;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const FormatInfo& format : formats()) {
    if (!is_chosen(format.name)) continue;
    for (const tests::Distribution& distribution : tests::distributions()) {
      if (format.importance != Importance::Required) all.push_back({&format, &distribution, false});
      all.push_back({&format, &distribution, true});
      if (format.needs_mean_square) {
        all.push_back({&format, &distribution, true, kLongRowValues});
      }
    }
  }
  return all;
}

struct Input {
  std::vector<float> values;
  std::vector<float> importance;
  std::uint64_t rows;
};

Input input_of(const Case& c, std::uint64_t blocks) {
  const std::uint64_t values = blocks * c.format->block_values;
  const std::uint64_t rows = (values + c.row_values - 1) / c.row_values;
  Input input{tests::sample(*c.distribution, rows, c.row_values, rows * 31 + 7), {}, rows};
  if (c.weighted) input.importance = tests::sample_importance(c.row_values, 11);
  return input;
}

std::vector<std::byte> encode(const Case& c, const Input& input) {
  std::vector<std::byte> out(row_bytes(*c.format, input.values.size()));
  encode_rows(c.format->format, SourceType::F32, std::as_bytes(std::span(input.values)), input.rows,
              c.row_values, input.importance, out, nullptr);
  return out;
}

// The first block that differs, as text; empty when none does.
std::string difference(const FormatInfo& format, std::span<const std::byte> ours,
                       std::span<const std::byte> theirs) {
  if (ours.size() != theirs.size()) return "sizes differ";
  std::size_t bad = 0, first = 0;
  for (std::size_t at = ours.size(); at > 0; at -= format.block_bytes) {
    const std::size_t begin = at - format.block_bytes;
    if (std::memcmp(ours.data() + begin, theirs.data() + begin, format.block_bytes) != 0) {
      ++bad;
      first = begin / format.block_bytes;
    }
  }
  if (bad == 0) return {};
  return std::to_string(bad) + " blocks differ, the first is " + std::to_string(first);
}

// Where the library stops, our block must have a scale that is not finite, which is an error to
// convert. Such blocks are then taken over, so that the others can be compared.
std::string refuse_alike(const FormatInfo& format, std::span<const std::byte> ours,
                         tests::OfficialLibrary::Verdict& theirs) {
  for (std::size_t i = 0; i < theirs.refused.size(); ++i) {
    if (!theirs.refused[i]) continue;
    const auto block = ours.subspan(i * format.block_bytes, format.block_bytes);
    if (!first_overflow(format.format, block))
      return "block " + std::to_string(i) + " is not refused";
    std::ranges::copy(block,
                      theirs.blocks.begin() + static_cast<std::ptrdiff_t>(i * format.block_bytes));
  }
  return {};
}

}  // namespace

TEST_CASE("quantize/identity: bytes equal the official library's") {
  std::string reason;
  const tests::OfficialLibrary* library = tests::OfficialLibrary::find(reason);
  if (library == nullptr) {
    std::cout << "SKIPPED: official quantizer not loaded: " << reason << '\n';
    return;
  }
  for (const Case& c : cases()) {
    CAPTURE(c.format->name);
    CAPTURE(c.distribution->name);
    CAPTURE(c.weighted);
    CAPTURE(c.row_values);
    const Input input = input_of(c, is_long() ? 35000 : 48);
    const auto ours = encode(c, input);
    if (c.format->needs_mean_square) {
      const auto theirs =
          library->encode(c.format->format, input.values, c.row_values, input.importance);
      CHECK(difference(*c.format, ours, theirs) == "");
      continue;
    }
    auto theirs = library->judge(c.format->format, input.values, c.row_values, input.importance);
    CHECK(refuse_alike(*c.format, ours, theirs) == "");
    CHECK(difference(*c.format, ours, theirs.blocks) == "");
  }
}

TEST_CASE("quantize/identity: every target, the scalar reference last, gives the same bytes") {
  for (const Case& c : cases()) {
    const Input input = input_of(c, is_long() ? 3000 : 48);
    std::vector<std::byte> expected;
    tests::on_every_target([&](const std::string& target) {
      const auto blocks = encode(c, input);
      if (expected.empty()) expected = blocks;
      CAPTURE(target);
      CAPTURE(c.format->name);
      CAPTURE(c.distribution->name);
      CAPTURE(c.weighted);
      CAPTURE(c.row_values);
      CHECK(difference(*c.format, blocks, expected) == "");
    });
  }
}

TEST_CASE("quantize/identity: decoded values equal the official library's") {
  std::string reason;
  const tests::OfficialLibrary* library = tests::OfficialLibrary::find(reason);
  if (library == nullptr) {
    std::cout << "SKIPPED: official quantizer not loaded: " << reason << '\n';
    return;
  }
  for (const FormatInfo& format : formats()) {
    if (format.format == Format::F32) continue;  // the library has no function for the identity
    CAPTURE(format.name);
    // Random bytes are all valid codes and scales, NaN scales included.
    std::vector<std::byte> blocks(std::size_t{format.block_bytes} * 256);
    tests::Random random(5);
    for (std::byte& byte : blocks) byte = static_cast<std::byte>(random.bits());
    const std::vector<float> theirs = library->decode(format.format, blocks);
    tests::on_every_target([&](const std::string& target) {
      CAPTURE(target);
      std::vector<float> ours(theirs.size());
      decode_rows(format.format, blocks, ours);
      std::size_t bad = 0;
      for (std::size_t i = 0; i < ours.size(); ++i) {
        const bool same = std::memcmp(&ours[i], &theirs[i], sizeof(float)) == 0;
        bad += !same && !(ours[i] != ours[i] && theirs[i] != theirs[i]);  // any NaN equals any NaN
      }
      CHECK(bad == 0);
    });
  }
}
