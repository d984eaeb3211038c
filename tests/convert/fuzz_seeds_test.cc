// The seeds of the fuzz targets, whole, cut and bent, in every preset.
#include <filesystem>
#include <string>

#include <doctest/doctest.h>

#include "storage/base/file.h"
#include "tests/convert/fuzz_properties.h"

namespace holdfast::convert {
namespace {

namespace fs = std::filesystem;

struct Target {
  const char* name;
  void (*check)(std::string_view bytes);
};

void check_variations(const Target& target, const std::string& seed) {
  target.check(seed);
  for (std::size_t cut = 0; cut < seed.size(); cut += 1 + seed.size() / 64) {
    target.check(std::string_view(seed).substr(0, cut));
  }
  for (std::size_t i = 0; i < seed.size(); ++i) {
    std::string bent = seed;
    bent[i] = static_cast<char>(bent[i] ^ (1 << i % 8));
    target.check(bent);
  }
}

TEST_CASE("convert/fuzz_seeds: every seed, and every seed cut or bent, is read or refused") {
  constexpr Target kTargets[] = {
      {"convert_safetensors", test::check_safetensors}, {"convert_gguf", test::check_gguf},
      {"convert_config", test::check_config},           {"convert_index", test::check_index},
      {"convert_imatrix", test::check_imatrix},         {"front_matter", test::check_card}};
  for (const Target& target : kTargets) {
    CAPTURE(target.name);
    int seeds = 0;
    for (const auto& entry :
         fs::directory_iterator(fs::path(HOLDFAST_SOURCE_DIR) / "tests/fuzz/seeds" / target.name)) {
      check_variations(target, read_file(entry.path()));
      ++seeds;
    }
    CHECK(seeds >= 4);
  }
}

}  // namespace
}  // namespace holdfast::convert
