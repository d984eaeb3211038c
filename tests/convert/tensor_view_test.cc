#include "convert/tensor_view.h"

#include <numeric>
#include <vector>

#include <doctest/doctest.h>

#include "convert/name_pattern.h"

namespace holdfast::convert {
namespace {

std::vector<std::uint16_t> gathered(const TensorView& view, std::size_t source_elements) {
  std::vector<std::uint16_t> source(source_elements);
  std::iota(source.begin(), source.end(), std::uint16_t{0});
  const ElementRun run = run_of(view);
  REQUIRE(run.first + run.count <= source_elements);
  std::vector<std::uint16_t> out(view.elements());
  gather(view, sizeof(std::uint16_t),
         std::as_bytes(std::span(source).subspan(run.first, run.count)),
         std::as_writable_bytes(std::span(out)));
  return out;
}

TEST_CASE("convert/tensor_view: picks what the strides say") {
  struct Case {
    const char* name;
    TensorView view;
    bool contiguous;
    std::vector<std::uint16_t> expected;
  };

  // All of a 4 x 3 source: element (r, c) is 3r + c.
  const std::vector<Case> cases = {
      {"whole", whole(0, 4, 3), true, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
      {"transposed",
       {.rows = {Axis{3, 1}}, .columns = {4, 3}},
       false,
       {0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11}},
      {"every second row",
       {.first = 3, .rows = {Axis{2, 6}}, .columns = {3, 1}},
       false,
       {3, 4, 5, 9, 10, 11}},
      {"halves interleaved",
       {.rows = {Axis{1, 12}, Axis{2, 3}, Axis{2, 6}}, .columns = {3, 1}},
       false,
       {0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11}},
      {"rows 1 and 2", units(whole(0, 4, 3), 1, 3), true, {3, 4, 5, 6, 7, 8}},
      {"nothing", units(whole(0, 4, 3), 2, 2), true, {}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    CHECK(c.view.is_contiguous() == c.contiguous);
    CHECK(gathered(c.view, 12) == c.expected);
  }
}

TEST_CASE("convert/name_pattern: holes are numbers, or the kind at the end") {
  struct Case {
    const char* pattern;
    const char* name;
    const char* filled;  // with "x.{}.{}"; nullptr: no match
  };

  const std::vector<Case> cases = {
      {"a.{}.b.{}", "a.12.b.weight", "x.12.weight"},
      {"a.{}.b.{}", "a.0.b.bias", "x.0.bias"},
      {"a.{}.b.{}", "a.0.b.scale", nullptr},
      {"a.{}.b.{}", "a.x.b.weight", nullptr},
      {"a.{}.b.{}", "a.01.b.weight", nullptr},
      {"a.{}.b.{}", "a.1.b.weight.more", nullptr},
      {"a.{}.b.{}", "a..b.weight", nullptr},
      {"a.{}.b.{}", "a.1234567890.b.weight", nullptr},
      {"a.{}.e.{}.weight", "a.3.e.7.weight", "x.3.7"},
      {"a.{}.e.{}.weight", "a.3.e.weight.weight", nullptr},
  };
  for (const Case& c : cases) {
    CAPTURE(c.pattern);
    CAPTURE(c.name);
    const auto match = match_name(c.pattern, c.name);
    CHECK(match.has_value() == (c.filled != nullptr));
    if (match && c.filled != nullptr) CHECK(fill_name("x.{}.{}", *match) == c.filled);
  }
}

}  // namespace
}  // namespace holdfast::convert
