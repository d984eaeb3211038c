#include <filesystem>

#include <doctest/doctest.h>

#include "storage/base/file.h"
#include "tests/web/fuzz_properties.h"

namespace holdfast::web {
namespace {

struct Target {
  const char* folder;
  void (*check)(std::string_view);
};

constexpr Target kTargets[] = {
    {"web_range", tests::check_range},
    {"web_target", tests::check_target},
    {"web_request", tests::check_request},
    {"web_card", tests::check_card},
    {"web_git", tests::check_git_request},
    {"web_xet", tests::check_xet},
    {"web_jwt", tests::check_jwt},
    {"web_names", tests::check_names},
    {"web_body", tests::check_body},
    {"web_header", tests::check_header},
    {"front_matter", tests::check_front_matter},
};

}  // namespace

TEST_CASE("web/fuzz_seeds: every seed, and every seed cut or bent, keeps the properties") {
  for (const Target& target : kTargets) {
    std::size_t seeds = 0;
    const std::filesystem::path root = HOLDFAST_SOURCE_DIR "/tests/fuzz/seeds";
    for (const auto& file : std::filesystem::directory_iterator(root / target.folder)) {
      CAPTURE(file.path().string());
      ++seeds;
      std::string seed = read_file(file.path());
      target.check(seed);
      for (std::size_t at = 0; at < seed.size(); ++at) {
        target.check(std::string_view(seed).substr(0, at));
        const char kept = seed[at];
        for (const char bent : {'\0', '\xff', '%', '"', '<'}) {
          seed[at] = bent;
          target.check(seed);
        }
        seed[at] = kept;
      }
    }
    CHECK(seeds >= 3);
  }
}

}  // namespace holdfast::web
