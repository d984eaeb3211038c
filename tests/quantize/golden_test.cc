// Hashes of what every encoder and decoder gives for every distribution, recorded on x86-64 where
// the official library judged the bytes. Any other CPU must give the same.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "quantize/format.h"
#include "quantize/rows.h"
#include "tests/quantize/samples.h"

using namespace holdfast;
using namespace holdfast::quantize;

namespace {

constexpr std::uint64_t kRows = 4, kRowValues = 768;

// FNV-1a: a checksum to notice differences by, no more.
class Hash {
 public:
  void add(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) {
      state_ = (state_ ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3u;
    }
  }

  std::string text() const {
    std::ostringstream out;
    out << std::hex << state_;
    return out.str();
  }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325u;
};

// Blocks whose scale overflowed are left out: a NaN's sign is the CPU's choice, and the reference
// driver refuses them.
void add_blocks(const FormatInfo& format, std::span<const std::byte> blocks, Hash& hash) {
  for (std::size_t at = 0; at < blocks.size(); at += format.block_bytes) {
    const auto block = blocks.subspan(at, format.block_bytes);
    if (first_overflow(format.format, block)) continue;
    std::vector<float> decoded(format.block_values);
    decode_rows(format.format, block, decoded);
    hash.add(block);
    hash.add(std::as_bytes(std::span(decoded)));
  }
}

// One line: format, importance, mode, hash over all distributions.
std::string line_of(const FormatInfo& format, bool weighted, Mode mode) {
  Hash hash;
  const auto importance =
      weighted ? tests::sample_importance(kRowValues, 31) : std::vector<float>();
  for (const tests::Distribution& distribution : tests::distributions()) {
    const auto values = tests::sample(distribution, kRows, kRowValues, 32);
    std::vector<std::byte> out(kRows * row_bytes(format, kRowValues));
    encode_rows(format.format, SourceType::F32, std::as_bytes(std::span(values)), kRows, kRowValues,
                importance, out, nullptr, mode);
    add_blocks(format, out, hash);
  }
  return std::string(format.name) + (weighted ? " importance" : " plain") +
         (mode == Mode::Best ? " best " : " identical ") + hash.text();
}

// One line: format, hash of the error sums over all distributions, which no CPU may change either.
std::string sums_line_of(const FormatInfo& format) {
  Hash hash;
  const auto importance = format.importance == Importance::Required
                              ? tests::sample_importance(kRowValues, 31)
                              : std::vector<float>();
  for (const tests::Distribution& distribution : tests::distributions()) {
    const auto values = tests::sample(distribution, kRows, kRowValues, 32);
    std::vector<std::byte> out(kRows * row_bytes(format, kRowValues));
    ErrorSums sums;
    encode_rows(format.format, SourceType::F32, std::as_bytes(std::span(values)), kRows, kRowValues,
                importance, out, &sums);
    if (first_overflow(format.format, out)) continue;  // NaN, whose sign is the CPU's choice
    const double all[] = {sums.squared_error, sums.squared_source, sums.squared_decoded,
                          sums.product, static_cast<double>(sums.max_abs_error)};
    hash.add(std::as_bytes(std::span(all)));
  }
  return std::string(format.name) + " error sums " + hash.text();
}

std::vector<std::string> lines() {
  std::vector<std::string> all;
  for (const FormatInfo& format : formats()) {
    for (const bool weighted : {false, true}) {
      if (weighted ? format.importance == Importance::Ignored
                   : format.importance == Importance::Required) {
        continue;
      }
      all.push_back(line_of(format, weighted, Mode::Identical));
      if (format.encode_best != nullptr) all.push_back(line_of(format, weighted, Mode::Best));
    }
    all.push_back(sums_line_of(format));
  }
  return all;
}

}  // namespace

TEST_CASE("quantize/golden: hashes of all blocks equal the recorded ones") {
  const char* given = std::getenv("HOLDFAST_GOLDEN");
  const std::string path = (given != nullptr ? given : HOLDFAST_SOURCE_DIR "/tests/golden") +
                           std::string("/quantize.txt");
  if (std::getenv("HOLDFAST_ACCEPT") != nullptr) {
    std::ofstream out(path);
    for (const std::string& line : lines()) out << line << '\n';
    std::cout << "SKIPPED: " << path << " rewritten\n";
    return;
  }
  std::ifstream in(path);
  REQUIRE(in.good());
  std::vector<std::string> expected;
  for (std::string line; std::getline(in, line);) expected.push_back(line);
  CHECK(lines() == expected);
}
