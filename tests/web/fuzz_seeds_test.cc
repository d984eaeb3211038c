#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include "storage/base/file.h"
#include "tests/web/fuzz_properties.h"

namespace holdfast::web {
namespace {

// Checks every seed in the folder, and each of them cut and bent at every `step`th place.
void check_seeds(const char* folder, void (*check)(std::string_view), std::size_t step = 1) {
  std::size_t seeds = 0;
  const std::filesystem::path root = HOLDFAST_SOURCE_DIR "/tests/fuzz/seeds";
  for (const auto& file : std::filesystem::directory_iterator(root / folder)) {
    CAPTURE(file.path().string());
    ++seeds;
    std::string seed = read_file(file.path());
    check(seed);
    for (std::size_t at = 0; at < seed.size(); at += step) {
      check(std::string_view(seed).substr(0, at));
      const char kept = seed[at];
      for (const char bent : {'\0', '\xff', '%', '"', '<'}) {
        seed[at] = bent;
        check(seed);
      }
      seed[at] = kept;
    }
  }
  CHECK(seeds >= 3);
}

}  // namespace

TEST_CASE("web/fuzz_seeds: web_range, as they are and cut and bent, keep the properties") {
  check_seeds("web_range", tests::check_range);
}

TEST_CASE("web/fuzz_seeds: web_target, as they are and cut and bent, keep the properties") {
  check_seeds("web_target", tests::check_target);
}

TEST_CASE("web/fuzz_seeds: web_request, as they are and cut and bent, keep the properties") {
  check_seeds("web_request", tests::check_request);
}

TEST_CASE("web/fuzz_seeds: web_card, as they are and cut and bent, keep the properties") {
  check_seeds("web_card", tests::check_card);
}

TEST_CASE("web/fuzz_seeds: web_git, as they are and cut and bent, keep the properties") {
  check_seeds("web_git", tests::check_git_request);
}

TEST_CASE("web/fuzz_seeds: web_xet, as they are and cut and bent, keep the properties") {
  check_seeds("web_xet", tests::check_xet);
}

TEST_CASE("web/fuzz_seeds: web_jwt, as they are and cut and bent, keep the properties") {
  check_seeds("web_jwt", tests::check_jwt);
}

TEST_CASE("web/fuzz_seeds: web_names, as they are and cut and bent, keep the properties") {
  check_seeds("web_names", tests::check_names);
}

// Each input is a write, with its commit: every fifth place does but for long runs.
TEST_CASE("web/fuzz_seeds: web_body, as they are and cut and bent, keep the properties") {
  check_seeds("web_body", tests::check_body, std::getenv("HOLDFAST_LONG") != nullptr ? 1 : 5);
}

TEST_CASE("web/fuzz_seeds: web_header, as they are and cut and bent, keep the properties") {
  check_seeds("web_header", tests::check_header);
}

TEST_CASE("web/fuzz_seeds: front_matter, as they are and cut and bent, keep the properties") {
  check_seeds("front_matter", tests::check_front_matter);
}

}  // namespace holdfast::web
