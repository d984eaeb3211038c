#include "storage/internal/range_set.h"

#include <random>

#include <doctest/doctest.h>

namespace holdfast::storage {
namespace {

TEST_CASE("storage/range_set: agrees with a set of single bytes") {
  constexpr std::uint64_t kSize = 64;
  std::mt19937 random(1);
  for (int run = 0; run < 200; ++run) {
    RangeSet set;
    std::vector<bool> bytes(kSize, false);
    for (int step = 0; step < 20; ++step) {
      const std::uint64_t offset = random() % kSize, length = random() % (kSize - offset + 1);
      const ByteRange range{.offset = offset, .length = length};
      bool any = false;
      for (std::uint64_t i = offset; i < offset + length; ++i) any |= bytes[i];
      CHECK(set.intersects(range) == any);
      const bool add = random() % 3 != 0;
      add ? set.add(range) : set.remove(range);
      for (std::uint64_t i = offset; i < offset + length; ++i) bytes[i] = add;
      std::vector<bool> seen(kSize, false);
      for (const ByteRange& part : set.ranges())
        for (std::uint64_t i = part.offset; i < part.offset + part.length; ++i) seen[i] = true;
      REQUIRE(seen == bytes);
      for (const ByteRange& gap : set.missing(kSize))
        for (std::uint64_t i = gap.offset; i < gap.offset + gap.length; ++i) seen[i] = true;
      REQUIRE(seen == std::vector<bool>(kSize, true));
      const std::uint64_t at = random() % kSize;
      std::uint64_t end = at;
      while (end < kSize && bytes[end]) ++end;
      REQUIRE(set.run_end(at) == end);
    }
  }
}

TEST_CASE("storage/range_set: touching ranges are one") {
  RangeSet set;
  set.add({0, 10});
  set.add({20, 10});
  CHECK(set.count() == 2);
  set.add({10, 10});
  CHECK(set.ranges() == std::vector<ByteRange>{{0, 30}});
}

}  // namespace
}  // namespace holdfast::storage
