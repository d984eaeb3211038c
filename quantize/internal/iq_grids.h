// Grids: the sets of points that a group of four or eight values may be quantized to. A point, and
// any other combination of levels, is written as a code: the level of value i in bits
// [bits * i, bits * (i + 1)), at most sixteen bits in all.
//
// A combination that is no point of the grid is replaced by one of its neighbours: the points of
// its nearest one, two or three shells (sets of equal Euclidean distance), near ones first, in the
// order of the grid within a shell. That order decides ties and is part of the formats.
//
// Immutable. The accessors below build their grid on first use (tens of milliseconds, thread-safe)
// and keep it for the life of the process.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace holdfast::quantize {

struct GridShape {
  std::span<const std::uint16_t> points;
  std::uint32_t dimensions;  // values per group
  std::uint32_t bits;        // per level
  std::uint32_t levels;      // used: 3 of 4, or 8 of 8
  std::uint32_t shells;      // of neighbours
};

class Grid {
 public:
  // Neighbour lists can be read in steps of this many codes; the first code fills up the last step,
  // where it can neither win a tie nor lose one.
  static constexpr std::size_t kNeighbourStep = 16;

  // More than the longest list, in whole steps.
  static constexpr std::size_t kNeighboursMax = 512;

  explicit Grid(const GridShape& shape);

  // The position of a code that is a point.
  std::uint32_t position(std::uint32_t code) const noexcept {
    return static_cast<std::uint32_t>(entries_[code].position);
  }

  bool contains(std::uint32_t code) const noexcept { return entries_[code].position >= 0; }

  // Of a code with levels in use that is no point: never empty.
  std::span<const std::uint16_t> neighbours(std::uint32_t code) const noexcept {
    return {neighbours_.data() + entries_[code].start, entries_[code].count};
  }

  std::span<const std::uint16_t> points() const noexcept { return shape_.points; }

  const GridShape& shape() const noexcept { return shape_; }

 private:
  struct Entry {
    std::int16_t position = -1;
    std::uint16_t count = 0;
    std::uint32_t start = 0;
  };

  void list_neighbours(std::uint32_t code);

  GridShape shape_;
  std::vector<Entry> entries_;  // by code
  std::vector<std::uint16_t> neighbours_;
};

const Grid& iq1_grid() noexcept;  // both formats
const Grid& iq2_xxs_grid() noexcept;
const Grid& iq2_xs_grid() noexcept;
const Grid& iq2_s_grid() noexcept;
const Grid& iq3_xxs_grid() noexcept;
const Grid& iq3_s_grid() noexcept;

// The points as a decoder wants them: byte i of a word is what value i reads as, before its scale
// and sign. IQ1: eight times the level, before the shift.
extern const std::array<std::uint64_t, 2048> kIq1Words;
extern const std::array<std::uint64_t, 256> kIq2XxsWords;
extern const std::array<std::uint64_t, 512> kIq2XsWords;
extern const std::array<std::uint64_t, 1024> kIq2SWords;
extern const std::array<std::uint32_t, 256> kIq3XxsWords;
extern const std::array<std::uint32_t, 512> kIq3SWords;

}  // namespace holdfast::quantize
