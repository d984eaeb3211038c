// Test values for the quantizers: named distributions, the same on every CPU and in every libm
// (only exact operations and the four IEEE ones are used).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace holdfast::tests {

// splitmix64: small, seedable, and the same everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t bits();
  float uniform();   // [0, 1), a multiple of 2^-24
  float gaussian();  // mean 0, variance 1: the sum of twelve uniforms less six

 private:
  std::uint64_t state_;
};

struct Distribution {
  std::string_view name;
  // The value in `column` of a row.
  float (*value)(Random& random, std::uint64_t column);
};

std::span<const Distribution> distributions();

std::vector<float> sample(const Distribution& distribution, std::uint64_t rows,
                          std::uint64_t row_values, std::uint64_t seed);

// Importance weights as a calibration run gives them: positive, spread over four decades, with a
// few exact zeros.
std::vector<float> sample_importance(std::uint64_t row_values, std::uint64_t seed);

}  // namespace holdfast::tests
