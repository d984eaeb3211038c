#include "quantize/internal/iq_grids.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

using namespace holdfast::quantize;

namespace {

struct Case {
  const char* name;
  const Grid& grid;
  std::size_t points;
};

std::vector<Case> cases() {
  return {{"iq1", iq1_grid(), 2048},        {"iq2_xxs", iq2_xxs_grid(), 256},
          {"iq2_xs", iq2_xs_grid(), 512},   {"iq2_s", iq2_s_grid(), 1024},
          {"iq3_xxs", iq3_xxs_grid(), 256}, {"iq3_s", iq3_s_grid(), 512}};
}

std::uint32_t level(const GridShape& shape, std::uint32_t code, std::uint32_t i) {
  return code >> (shape.bits * i) & ((1u << shape.bits) - 1);
}

bool in_use(const GridShape& shape, std::uint32_t code) {
  for (std::uint32_t i = 0; i < shape.dimensions; ++i) {
    if (level(shape, code, i) >= shape.levels) return false;
  }
  return true;
}

int distance(const GridShape& shape, std::uint32_t a, std::uint32_t b) {
  int sum = 0;
  for (std::uint32_t i = 0; i < shape.dimensions; ++i) {
    const int step = static_cast<int>(level(shape, a, i)) - static_cast<int>(level(shape, b, i));
    sum += step * step;
  }
  return sum;
}

// By definition: all points by distance and position, cut after the last shell.
std::vector<std::uint16_t> nearest_shells(const Grid& grid, std::uint32_t code) {
  const GridShape& shape = grid.shape();
  std::vector<std::pair<int, std::uint16_t>> all;
  for (const std::uint16_t point : grid.points()) {
    all.emplace_back(distance(shape, code, point), point);
  }
  std::ranges::stable_sort(all, {}, &std::pair<int, std::uint16_t>::first);
  std::vector<std::uint16_t> result;
  std::uint32_t shells = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i == 0 || all[i].first != all[i - 1].first) ++shells;
    if (shells > shape.shells) break;
    result.push_back(all[i].second);
  }
  return result;
}

}  // namespace

TEST_CASE("quantize/iq_grids: a point is found at its position and nothing else is") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    const auto points = c.grid.points();
    REQUIRE(points.size() == c.points);
    for (std::size_t i = 0; i < points.size(); ++i) {
      REQUIRE(in_use(c.grid.shape(), points[i]));
      REQUIRE(c.grid.contains(points[i]));
      REQUIRE(c.grid.position(points[i]) == i);
    }
    const std::uint32_t codes = 1u << (c.grid.shape().bits * c.grid.shape().dimensions);
    std::size_t contained = 0;
    for (std::uint32_t code = 0; code < codes; ++code) contained += c.grid.contains(code);
    CHECK(contained == c.points);
  }
}

TEST_CASE("quantize/iq_grids: neighbours are the nearest shells, in order, and fill their steps") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    const GridShape& shape = c.grid.shape();
    const std::uint32_t codes = 1u << (shape.bits * shape.dimensions);
    for (std::uint32_t code = 0; code < codes; code += 7) {
      if (!in_use(shape, code) || c.grid.contains(code)) continue;
      CAPTURE(code);
      const auto listed = c.grid.neighbours(code);
      REQUIRE(std::ranges::equal(listed, nearest_shells(c.grid, code)));
      for (std::size_t i = listed.size(); i % Grid::kNeighbourStep != 0; ++i) {
        REQUIRE(listed.data()[i] == listed.front());
      }
    }
  }
}

TEST_CASE("quantize/iq_grids: decoders' words hold the points") {
  for (std::size_t i = 0; i < 8; ++i) {
    const auto byte = [i](std::uint64_t word) { return static_cast<std::int8_t>(word >> (8 * i)); };
    CHECK(byte(kIq1Words[1027]) ==
          8 * static_cast<int>(level(iq1_grid().shape(), iq1_grid().points()[1027],
                                     static_cast<std::uint32_t>(i))) -
              8);
    const int magnitudes[] = {8, 25, 43};
    CHECK(byte(kIq2SWords[771]) ==
          magnitudes[level(iq2_s_grid().shape(), iq2_s_grid().points()[771],
                           static_cast<std::uint32_t>(i))]);
  }
}
