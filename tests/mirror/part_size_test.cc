#include "mirror/internal/part_size.h"

#include <doctest/doctest.h>

namespace holdfast::mirror {
namespace {

constexpr std::uint64_t kMiB = 1ULL << 20;
constexpr std::uint64_t kFile = 50'000 * kMiB;

TEST_CASE("mirror/part_size: a part is what a connection brings in a few seconds") {
  struct Case {
    std::uint64_t bytes_per_second, expected;
  };

  for (const Case& c : {Case{1'000, 4 * kMiB}, Case{1 * kMiB, 8 * kMiB}, Case{2 * kMiB, 16 * kMiB},
                        Case{500 * kMiB, 32 * kMiB}}) {
    CAPTURE(c.bytes_per_second);
    PartSize size({});
    CHECK(size.next(kFile) == 32 * kMiB);  // nothing is known yet
    for (int i = 0; i < 30; ++i) size.measured(c.bytes_per_second, Milliseconds(1000));
    CHECK(size.next(kFile) == c.expected);
  }
}

TEST_CASE("mirror/part_size: one odd measurement does not turn it over") {
  PartSize size({});
  for (int i = 0; i < 30; ++i) size.measured(2 * kMiB, Milliseconds(1000));
  size.measured(1, Milliseconds(10'000));
  CHECK(size.next(kFile) >= 12 * kMiB);
  size.measured(kMiB, Milliseconds(0));
  CHECK(size.next(kFile) <= 16 * kMiB);
}

TEST_CASE("mirror/part_size: parts cover a file, shrinking towards its end") {
  const PartSize size({.connections = 8, .bytes_max = 32 * kMiB});
  std::uint64_t left = 1'000 * kMiB + 1, before = 32 * kMiB;
  int parts = 0;
  for (; left > 0; ++parts) {
    const std::uint64_t part = size.next(left);
    REQUIRE(part > 0);
    REQUIRE(part <= before);
    before = part;
    left -= part;
  }
  CHECK(parts > 31);
  CHECK(before <= 4 * kMiB);
}

}  // namespace
}  // namespace holdfast::mirror
