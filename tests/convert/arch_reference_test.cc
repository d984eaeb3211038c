#include <doctest/doctest.h>

#include "tests/convert/reference_runs.h"

namespace holdfast::convert {
namespace {

// A family each, so that ctest names the one that broke.
void check(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) test::check_reference_case(name);
}

TEST_CASE("convert/arch: Mixtral equals the peer's files") { check({"mixtral-8e", "mixtral-12e"}); }

TEST_CASE("convert/arch: Qwen equals the peer's files") {
  check({"qwen2-tied", "qwen3-dense", "qwen3-embedding", "qwen2moe-shared-expert", "qwen3moe-8e"});
}

}  // namespace
}  // namespace holdfast::convert
