#include "convert/bytes.h"

#include <cstddef>
#include <set>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

namespace holdfast::convert {
namespace {

TEST_CASE("convert/bytes: what was given is taken again where it is large enough") {
  BytePool pool;
  Bytes first = pool.take(1000);
  const std::byte* const place = first.data();
  pool.give(std::move(first));
  Bytes larger = pool.take(5000);
  CHECK(larger.size() == 5000);
  CHECK(larger.data() != place);
  Bytes smaller = pool.take(10);
  CHECK(smaller.size() == 10);
  CHECK(smaller.data() == place);
  CHECK(pool.take(10).data() != place);
}

TEST_CASE("convert/bytes: what is in use is nobody else's") {
  BytePool pool;
  std::vector<Bytes> taken;
  for (int i = 0; i < 100; ++i) {
    if (i % 3 == 2) {
      pool.give(std::move(taken.front()));
      taken.erase(taken.begin());
    }
    taken.push_back(pool.take(4096));
  }
  std::set<const std::byte*> places;
  for (const Bytes& bytes : taken) places.insert(bytes.data());
  CHECK(places.size() == taken.size());
}

TEST_CASE("convert/bytes: neither large pieces nor many are kept") {
  struct Case {
    const char* name;
    std::size_t size, pieces, kept;
  };

  constexpr std::size_t kMiB = 1 << 20;
  constexpr Case kCases[] = {{"nothing", 0, 3, 0},
                             {"a few", kMiB / 2, 4, 2 * kMiB},
                             {"too many", kMiB, 40, 32 * kMiB},
                             {"too large", 3 * kMiB, 2, 0}};
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    BytePool pool;
    std::vector<Bytes> taken;
    for (std::size_t i = 0; i < c.pieces; ++i) taken.push_back(pool.take(c.size));
    for (Bytes& bytes : taken) pool.give(std::move(bytes));
    CHECK(pool.spare_bytes() == c.kept);
    for (Bytes& bytes : taken) bytes = pool.take(c.size);
    CHECK(pool.spare_bytes() == 0);
  }
}

}  // namespace
}  // namespace holdfast::convert
