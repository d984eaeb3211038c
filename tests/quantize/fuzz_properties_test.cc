#include "tests/quantize/fuzz_properties.h"

#include <bit>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "quantize/format.h"
#include "tests/quantize/samples.h"

using namespace holdfast;

namespace {

// Floats of every exponent, which gather around one per 64 values or do not.
std::vector<std::byte> any_floats(tests::Random& random, std::size_t count) {
  std::vector<std::uint32_t> bits(count);
  std::uint32_t around = 0, spread = 1;
  for (std::size_t i = 0; i < count; ++i) {
    if (i % 64 == 0) {
      around = static_cast<std::uint32_t>(random.bits() % 255);
      spread = static_cast<std::uint32_t>(1 + random.bits() % 12);
    }
    const auto exponent = (around + static_cast<std::uint32_t>(random.bits() % spread)) % 255;
    bits[i] = exponent << 23 | (static_cast<std::uint32_t>(random.bits()) & 0x807fffffu);
  }
  const auto bytes = std::as_bytes(std::span(bits));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST_CASE("quantize/fuzz_properties: kernels equal references for floats of every exponent") {
  tests::Random random(71);
  const int rounds = std::getenv("HOLDFAST_LONG") != nullptr ? 2000 : 12;
  for (std::size_t format = 0; format < quantize::formats().size(); ++format) {
    for (int round = 0; round < rounds; ++round) {
      std::vector<std::byte> input = any_floats(random, 1024 + 256 * (random.bits() % 9));
      input.insert(input.begin(), static_cast<std::byte>(format));
      tests::check_quantize_properties(input);
    }
  }
}

TEST_CASE("quantize/fuzz_properties: seeds, whole, cut and bent, in every format") {
  int seeds = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(HOLDFAST_SOURCE_DIR "/tests/fuzz/seeds/quantize")) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto bytes = std::as_bytes(std::span(text));
    tests::check_quantize_properties(bytes);
    std::vector<std::byte> input(bytes.begin(), bytes.end());
    for (std::size_t format = 0; format < quantize::formats().size(); ++format) {
      input[0] = static_cast<std::byte>(format);
      tests::check_quantize_properties(input);
    }
    for (std::size_t i = 1; i < bytes.size(); i += 3) {
      tests::check_quantize_properties(bytes.first(i));
      std::vector<std::byte> bent(bytes.begin(), bytes.end());
      bent[i] ^= std::byte{0x11};
      tests::check_quantize_properties(bent);
    }
    ++seeds;
  }
  CHECK(seeds > 0);
}
