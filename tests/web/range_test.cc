#include "web/range.h"

#include <doctest/doctest.h>

namespace holdfast::web {
namespace {

struct Case {
  const char* header;
  std::uint64_t size_bytes;
  RangeKind kind;
  std::uint64_t offset;
  std::uint64_t length;
};

constexpr Case kCases[] = {
    {"", 10, RangeKind::Whole, 0, 10},
    {"bytes=0-0", 10, RangeKind::Part, 0, 1},
    {"bytes=0-9", 10, RangeKind::Part, 0, 10},
    {"bytes=3-", 10, RangeKind::Part, 3, 7},
    {"bytes=3-4", 10, RangeKind::Part, 3, 2},
    {"bytes=9-9", 10, RangeKind::Part, 9, 1},
    {"bytes=5-1000", 10, RangeKind::Part, 5, 5},
    {"bytes=-1", 10, RangeKind::Part, 9, 1},
    {"bytes=-10", 10, RangeKind::Part, 0, 10},
    {"bytes=-11", 10, RangeKind::Part, 0, 10},
    {"bytes=-0", 10, RangeKind::Unsatisfiable, 0, 0},
    {"bytes=10-", 10, RangeKind::Unsatisfiable, 0, 0},
    {"bytes=10-12", 10, RangeKind::Unsatisfiable, 0, 0},
    {"bytes=0-0", 0, RangeKind::Unsatisfiable, 0, 0},
    {"bytes=-5", 0, RangeKind::Unsatisfiable, 0, 0},
    // RFC 9110: an end before the start, or a broken grammar, is no Range header at all.
    {"bytes=5-4", 10, RangeKind::Whole, 0, 10},
    {"bytes=", 10, RangeKind::Whole, 0, 10},
    {"bytes=-", 10, RangeKind::Whole, 0, 10},
    {"bytes=a-b", 10, RangeKind::Whole, 0, 10},
    {"bytes=+1-2", 10, RangeKind::Whole, 0, 10},
    {"bytes=--2", 10, RangeKind::Whole, 0, 10},
    {"bytes", 10, RangeKind::Whole, 0, 10},
    {"items=0-1", 10, RangeKind::Whole, 0, 10},
    // Several ranges: the whole, which every client understands.
    {"bytes=0-1,4-5", 10, RangeKind::Whole, 0, 10},
    // Units compare without case, and blanks do not matter.
    {"Bytes=1-2", 10, RangeKind::Part, 1, 2},
    {" bytes = 1 - 2 ", 10, RangeKind::Part, 1, 2},
    // Numbers beyond 64 bits saturate instead of wrapping.
    {"bytes=0-99999999999999999999999", 10, RangeKind::Part, 0, 10},
    {"bytes=99999999999999999999999-", 10, RangeKind::Unsatisfiable, 0, 0},
    {"bytes=-99999999999999999999999", 10, RangeKind::Part, 0, 10},
    {"bytes=18446744073709551615-", 18446744073709551615U, RangeKind::Unsatisfiable, 0, 0},
    {"bytes=18446744073709551614-", 18446744073709551615U, RangeKind::Part, 18446744073709551614U,
     1},
};

}  // namespace

TEST_CASE("web/range: one range, a suffix, the whole, or nothing") {
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.header));
    CAPTURE(c.size_bytes);
    const RangeResult result = parse_range(c.header, c.size_bytes);
    CHECK(result.kind == c.kind);
    CHECK(result.range.offset == c.offset);
    CHECK(result.range.length == c.length);
  }
}

TEST_CASE("web/range: every short range of every small object agrees with plain counting") {
  for (std::uint64_t size = 0; size < 6; ++size) {
    for (std::uint64_t first = 0; first < 8; ++first) {
      for (std::uint64_t last = first; last < 8; ++last) {
        const auto header = "bytes=" + std::to_string(first) + "-" + std::to_string(last);
        CAPTURE(header);
        CAPTURE(size);
        const RangeResult result = parse_range(header, size);
        std::uint64_t inside = 0;
        for (std::uint64_t at = first; at <= last; ++at) inside += at < size ? 1 : 0;
        CHECK(result.kind == (inside == 0 ? RangeKind::Unsatisfiable : RangeKind::Part));
        CHECK(result.range.length == inside);
      }
    }
  }
}

TEST_CASE("web/range: Content-Range names first, last and size") {
  CHECK(content_range({.offset = 0, .length = 100}, 1000) == "bytes 0-99/1000");
  CHECK(content_range({.offset = 999, .length = 1}, 1000) == "bytes 999-999/1000");
  CHECK(content_range_unsatisfied(1000) == "bytes */1000");
}

TEST_CASE("web/range: If-None-Match names a version weakly, in a list, or any by a star") {
  struct Case {
    const char* header;
    bool named;
  };

  constexpr Case kCases[] = {
      {"\"a1\"", true},
      {"W/\"a1\"", true},
      {" \"b\" , \"a1\"", true},
      {"\"b\",W/\"a1\",\"c\"", true},
      {"*", true},
      {" * ", true},
      {"\"b,\", \"a1\"", true},
      {",, \"a1\"", true},
      {"", false},
      {"a1", false},
      {"\"a1", false},
      {"\"a\"", false},
      {"\"a12\"", false},
      {"\"b\"", false},
      {"\"b\" \"a1\"", false},
      {"w/\"a1\"", false},
      {"*, \"b\"", false},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.header));
    CHECK(names_etag(c.header, "\"a1\"") == c.named);
  }
}

}  // namespace holdfast::web
