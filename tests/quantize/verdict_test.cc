// What is refused: values that are no finite numbers, and blocks that hold none, against the
// official library's ggml_validate_row_data, which the reference driver asks about all that it
// reads and writes.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "quantize/format.h"
#include "quantize/rows.h"
#include "tests/quantize/official_library.h"
#include "tests/quantize/samples.h"

using namespace holdfast;
using namespace holdfast::quantize;

namespace {

const tests::OfficialLibrary* library() {
  std::string reason;
  const tests::OfficialLibrary* found = tests::OfficialLibrary::find(reason);
  if (found == nullptr) std::cout << "SKIPPED: official quantizer not loaded: " << reason << '\n';
  return found;
}

struct Verdicts {
  std::size_t refused = 0, differing = 0;  // of blocks
};

Verdicts judge(const tests::OfficialLibrary& official, const FormatInfo& format,
               std::span<const std::byte> blocks) {
  const std::vector<bool> valid = official.valid(format.format, blocks);
  Verdicts verdicts;
  for (std::size_t i = 0; i < valid.size(); ++i) {
    const auto block = blocks.subspan(i * format.block_bytes, format.block_bytes);
    verdicts.refused += !valid[i];
    verdicts.differing += first_overflow(format.format, block).has_value() == valid[i];
  }
  return verdicts;
}

// Whether any block of the format is refused: the scales of NVFP4 are all taken.
bool has_refusals(const FormatInfo& format) { return format.format != Format::NVFP4; }

// Numbers at and beyond the ends of the finite halves and bfloats, and bytes of all ones.
constexpr std::uint16_t kWords[] = {0x0000, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7c01, 0x7e00,
                                    0xfe00, 0x7f7f, 0xff7f, 0x7f80, 0xff80, 0x7f81, 0x7fc0,
                                    0xffc0, 0xffff, 0x00ff, 0xff00, 0x00fe, 0xfeff};

}  // namespace

TEST_CASE(
    "quantize/verdict: blocks with NaN and infinity anywhere are refused as the library does") {
  const tests::OfficialLibrary* official = library();
  if (official == nullptr) return;
  for (const FormatInfo& format : formats()) {
    CAPTURE(format.name);
    std::vector<std::byte> blocks;
    for (const std::uint16_t word : kWords) {
      std::byte bytes[2];
      std::memcpy(bytes, &word, sizeof word);
      for (std::uint32_t at = 0; at + 2 <= format.block_bytes; ++at) {
        std::vector<std::byte> block(format.block_bytes);
        std::ranges::copy(bytes, block.begin() + at);
        blocks.insert(blocks.end(), block.begin(), block.end());
      }
    }
    tests::Random random(81);
    std::vector<std::byte> any(std::size_t{4096} * format.block_bytes);
    std::ranges::generate(any, [&] { return static_cast<std::byte>(random.bits()); });
    blocks.insert(blocks.end(), any.begin(), any.end());
    const Verdicts verdicts = judge(*official, format, blocks);
    CHECK(verdicts.differing == 0);
    CHECK((verdicts.refused > 0) == has_refusals(format));
    CHECK(verdicts.refused < blocks.size() / format.block_bytes);
  }
}

TEST_CASE("quantize/verdict: encoded values near overflow are refused as the library does") {
  constexpr std::uint64_t kRows = 256, kRowValues = 256;
  const tests::OfficialLibrary* official = library();
  if (official == nullptr) return;
  // Every power of two from 2^0 on, as far as float32 goes, and twice.
  tests::Random random(82);
  std::vector<float> values(kRows * kRowValues);
  for (std::size_t i = 0; i < values.size(); ++i) {
    constexpr double kLargest = std::numeric_limits<float>::max();
    const double value =
        std::ldexp(double{random.gaussian()}, static_cast<int>(i / (2 * kRowValues)));
    values[i] = static_cast<float>(std::clamp(value, -kLargest, kLargest));
  }
  const auto importance = tests::sample_importance(kRowValues, 83);
  for (const FormatInfo& format : formats()) {
    CAPTURE(format.name);
    std::vector<std::byte> blocks(kRows * row_bytes(format, kRowValues));
    encode_rows(format.format, SourceType::F32, std::as_bytes(std::span(values)), kRows, kRowValues,
                importance, blocks, nullptr);
    const Verdicts verdicts = judge(*official, format, blocks);
    CHECK(verdicts.differing == 0);
    const bool can_overflow =
        has_refusals(format) && format.format != Format::F32 && format.format != Format::MXFP4;
    CHECK((verdicts.refused > 0) == can_overflow);
  }
}

TEST_CASE("quantize/verdict: source values are refused as the library does") {
  const tests::OfficialLibrary* official = library();
  if (official == nullptr) return;
  std::vector<std::uint16_t> words(65536);
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = static_cast<std::uint16_t>(i);
  std::vector<std::uint32_t> numbers;  // the same as upper words, with three lower ones
  for (const std::uint32_t word : words) {
    for (const std::uint32_t low : {0x0000u, 0x0001u, 0xffffu}) numbers.push_back(word << 16 | low);
  }
  for (const FormatInfo& format : formats()) {
    if (!format.source_type) continue;
    CAPTURE(format.name);
    const auto elements = format.block_bytes == 4 ? std::as_bytes(std::span(numbers))
                                                  : std::as_bytes(std::span(words));
    const std::vector<bool> valid = official->valid(format.format, elements);
    std::size_t differing = 0;
    for (std::size_t i = 0; i < valid.size(); ++i) {
      const auto element = elements.subspan(i * format.block_bytes, format.block_bytes);
      float value = 0;
      bool taken = true;
      try {
        encode_rows(Format::F32, *format.source_type, element, 1, 1, {},
                    std::as_writable_bytes(std::span(&value, 1)), nullptr);
      } catch (const ValueError&) {
        taken = false;
      }
      differing += taken != valid[i];
    }
    CHECK(differing == 0);
  }
}
