#include <doctest/doctest.h>

#include "tests/convert/reference_runs.h"

namespace holdfast::convert {
namespace {

TEST_CASE("convert/reference: Llama family equals the peer's files") {
  for (const std::string_view name :
       {"llama2-spm-mha", "llama31-bpe-gqa", "mistral-swa-spm", "llama2-sharded",
        "llama-hf-bpe-only", "llama-mixed-dtypes", "llama-extreme-f32", "llama-odd-rows"}) {
    test::check_reference_case(name);
  }
}

TEST_CASE("convert/reference: K- and I-quants with and without importance") {
  test::check_reference_case("llama-kquant");
}

}  // namespace
}  // namespace holdfast::convert
