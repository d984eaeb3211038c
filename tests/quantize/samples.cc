#include "tests/quantize/samples.h"

#include <bit>

namespace holdfast::tests {
namespace {

float power_of_two(int exponent) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(127 + exponent) << 23);
}

float clamp_finite(float value) {
  constexpr float kLargest = 3.4028235e38f;
  if (value > kLargest) return kLargest;
  return value < -kLargest ? -kLargest : value;
}

constexpr Distribution kDistributions[] = {
    {"gaussian", [](Random& r, std::uint64_t) { return r.gaussian() * 0.02f; }},
    {"bf16 gaussian",
     [](Random& r, std::uint64_t) {
       const auto bits = std::bit_cast<std::uint32_t>(r.gaussian() * 0.02f);
       return std::bit_cast<float>(bits & 0xffff0000u);
     }},
    {"heavy-tailed",
     [](Random& r, std::uint64_t) { return r.gaussian() * 0.01f / (r.uniform() + 0.001f); }},
    {"per-channel",
     [](Random& r, std::uint64_t column) {
       return r.gaussian() * power_of_two(static_cast<int>(column * 7 % 17) - 12);
     }},
    {"per-block",
     [](Random& r, std::uint64_t column) {
       return r.gaussian() * power_of_two(static_cast<int>(column / 16 * 5 % 13) - 9);
     }},
    {"equal", [](Random&, std::uint64_t) { return 0.5f; }},
    {"equal negative", [](Random&, std::uint64_t) { return -0.3f; }},
    {"zeros", [](Random&, std::uint64_t) { return 0.0f; }},
    {"negative zeros", [](Random&, std::uint64_t) { return -0.0f; }},
    {"zeros of both signs",
     [](Random& r, std::uint64_t) { return r.bits() % 2 == 0 ? 0.0f : -0.0f; }},
    {"denormal", [](Random& r, std::uint64_t) { return r.gaussian() * 1e-39f; }},
    {"reciprocal overflows", [](Random& r, std::uint64_t) { return r.gaussian() * 1e-37f; }},
    {"squares underflow", [](Random& r, std::uint64_t) { return r.gaussian() * 1e-21f; }},
    {"below epsilon", [](Random& r, std::uint64_t) { return r.gaussian() * 3e-16f; }},
    {"half subnormal scales", [](Random& r, std::uint64_t) { return r.gaussian() * 3e-7f; }},
    {"half zero scales", [](Random& r, std::uint64_t) { return r.gaussian() * 2e-8f; }},
    {"near half overflow", [](Random& r, std::uint64_t) { return r.gaussian() * 150000.0f; }},
    {"beyond half", [](Random& r, std::uint64_t) { return r.gaussian() * 1e8f; }},
    {"squares overflow", [](Random& r, std::uint64_t) { return r.gaussian() * 1e19f; }},
    {"huge", [](Random& r, std::uint64_t) { return clamp_finite(r.gaussian() * 1.2e38f); }},
    {"ties",
     [](Random& r, std::uint64_t column) {
       const float grid = static_cast<float>(static_cast<int>(r.bits() % 65) - 32) * 0.25f;
       return column % 32 == 3 ? -8.0f : grid;
     }},
    {"few levels",
     [](Random& r, std::uint64_t) {
       return static_cast<float>(static_cast<int>(r.bits() % 7) - 3) * 0.125f;
     }},
    {"ternary",
     [](Random& r, std::uint64_t) {
       return static_cast<float>(static_cast<int>(r.bits() % 3) - 1);
     }},
    {"alternating", [](Random&, std::uint64_t column) { return column % 2 == 0 ? 1.0f : -1.0f; }},
    {"single outlier",
     [](Random& r, std::uint64_t column) {
       const float noise = r.gaussian() * 1e-6f;
       return column % 256 == 77 ? 100.0f : noise;
     }},
    {"outliers",
     [](Random& r, std::uint64_t) {
       const float value = r.gaussian() * 0.02f;
       return r.bits() % 100 == 0 ? value * 16 : value;
     }},
    {"positive", [](Random& r, std::uint64_t) { return r.uniform() + 0.01f; }},
    {"negative", [](Random& r, std::uint64_t) { return -r.uniform() - 0.01f; }},
    {"far from zero", [](Random& r, std::uint64_t) { return 1.0f + r.gaussian() * 1e-4f; }},
    {"sparse",
     [](Random& r, std::uint64_t) {
       const float value = r.gaussian();
       return r.bits() % 16 == 0 ? value : 0.0f;
     }},
    {"half empty",
     [](Random& r, std::uint64_t column) {
       const float value = r.gaussian();
       return column % 64 < 32 ? 0.0f : value;
     }},
    {"every magnitude",
     [](Random& r, std::uint64_t column) {
       const int exponent = static_cast<int>((column / 256 * 37 + r.bits() % 9) % 250) - 125;
       return r.gaussian() * power_of_two(exponent) * 0.15f;
     }},
    {"below powers of two",
     [](Random& r, std::uint64_t column) {
       // Down to subnormal numbers, whose logarithms round up as well.
       const int part = static_cast<int>(column / 32 % 24);
       const float close = 1.0f - static_cast<float>(r.bits() % 64) * 0x1p-24f;
       const float value = r.bits() % 8 == 0 ? close : r.uniform() * 0.9f;
       const float scaled = value * power_of_two(part * part / 3 - 90) * power_of_two(-40);
       return r.bits() % 2 == 0 ? scaled : -scaled;
     }},
};

}  // namespace

std::uint64_t Random::bits() {
  state_ += 0x9e3779b97f4a7c15u;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

float Random::uniform() { return static_cast<float>(bits() >> 40) * 0x1p-24f; }

float Random::gaussian() {
  // Six draws of two 24-bit uniforms each; every partial sum is exact in 32-bit integers.
  std::int64_t sum = 0;
  for (int i = 0; i < 6; ++i) {
    const std::uint64_t draw = bits();
    sum += static_cast<std::int64_t>((draw >> 40) + (draw & 0xffffffu));
  }
  return static_cast<float>(sum - 6 * (std::int64_t{1} << 24)) * 0x1p-24f;
}

std::span<const Distribution> distributions() { return kDistributions; }

std::vector<float> sample(const Distribution& distribution, std::uint64_t rows,
                          std::uint64_t row_values, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> values(rows * row_values);
  for (std::uint64_t i = 0; i < values.size(); ++i) {
    values[i] = distribution.value(random, i % row_values);
  }
  return values;
}

std::vector<float> sample_importance(std::uint64_t row_values, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> weights(row_values);
  for (float& weight : weights) {
    const int exponent = static_cast<int>(random.bits() % 14) - 8;
    weight = random.bits() % 50 == 0 ? 0.0f : (random.uniform() + 0.5f) * power_of_two(exponent);
  }
  return weights;
}

}  // namespace holdfast::tests
