// The fuzz target's seeds, replayed in every preset.
#include <filesystem>

#include <doctest/doctest.h>

#include "storage/base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace holdfast {
namespace {

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

TEST_CASE("storage/fuzz_seeds: every seed, and every seed cut or bent, is read or refused") {
  int seeds = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(HOLDFAST_SOURCE_DIR "/tests/fuzz/seeds/storage")) {
    CAPTURE(entry.path().string());
    const std::string seed = read_file(entry.path());
    run(seed);
    for (std::size_t at = 1; at < seed.size(); ++at) {
      run(seed.substr(0, at));
      for (const char change : {'\0', '"', '\xFF', '9'}) {
        std::string bent = seed;
        bent[at] = change;
        run(bent);
      }
    }
    ++seeds;
  }
  CHECK(seeds >= 20);
}

}  // namespace
}  // namespace holdfast
