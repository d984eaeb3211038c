#include <filesystem>

#include <doctest/doctest.h>

#include "storage/base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace holdfast::mirror {
namespace {

TEST_CASE("mirror/fuzz_seeds: every seed, and every seed cut or bent, is read or refused") {
  int seeds = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(HOLDFAST_SOURCE_DIR "/tests/fuzz/seeds/mirror")) {
    CAPTURE(entry.path().string());
    std::string text = read_file(entry.path());
    const auto run = [](const std::string& input) {
      return LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()),
                                    input.size());
    };
    CHECK(run(text) == 0);
    for (std::size_t i = 0; i < text.size(); ++i) {
      CHECK(run(text.substr(0, i)) == 0);
      std::string bent = text;
      bent[i] = static_cast<char>(bent[i] ^ 0x11);
      CHECK(run(bent) == 0);
    }
    ++seeds;
  }
  CHECK(seeds >= 12);
}

}  // namespace
}  // namespace holdfast::mirror
