// IQ1_S and IQ1_M: groups of eight ternary values on a grid of 2048 points, all shifted by an
// eighth. Scalar side, which is the specification; the kernels are in iq1_kernel.cc.
#include "quantize/internal/iq1.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "quantize/internal/families.h"
#include "quantize/internal/numbers.h"
#include "quantize/internal/search.h"

namespace holdfast::quantize {
namespace {

constexpr std::size_t kGroup = 8;
constexpr std::size_t kSValues = 32, kMValues = 16;
constexpr float kLargest = std::numeric_limits<float>::max();

void sort_order(const float* x, std::size_t count, std::uint8_t* order) {
  for (std::size_t i = 0; i < count; ++i) order[i] = static_cast<std::uint8_t>(i);
  // Equal values keep their places, as in glibc's qsort: the sums depend on it.
  std::stable_sort(order, order + count, [x](auto a, auto b) { return x[a] < x[b]; });
}

float largest_magnitude(const float* x, std::size_t count) {
  float largest = 0;
  for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(x[i]));
  return largest;
}

struct Sums {
  float qx = 0, qq = 0;

  void add(float weight, float level, float x) {
    qx += weight * level * x;
    qq += weight * level * level;
  }
};

struct Best {
  Iq1Split split;
  float score = -kLargest;

  void offer(const Sums& sums, std::size_t low, std::size_t high, std::uint32_t shifts) {
    if (!(sums.qq > 0 && sums.qx * sums.qx > score * sums.qq)) return;
    split = {sums.qx / sums.qq, static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(high),
             shifts, true};
    score = split.scale * sums.qx;
  }
};

// All splits, with sums over the sorted values.
Iq1Split split_s(const Iq1Sub& sub) {
  float x[kSValues + 1] = {}, w[kSValues + 1] = {};
  for (std::size_t j = 0; j < kSValues; ++j) {
    const std::size_t i = sub.order[j];
    x[j + 1] = x[j] + sub.weights[i] * sub.x[i];
    w[j + 1] = w[j] + sub.weights[i];
  }
  Best best;
  for (std::size_t low = 0; low <= kSValues; ++low) {
    for (std::size_t high = low; high <= kSValues; ++high) {
      for (std::uint32_t shift = 0; shift < 2; ++shift) {
        const float* q = kIq1Levels[shift];
        const Sums sums{
            (x[low] - x[0]) * q[0] + (x[high] - x[low]) * q[1] + (x[kSValues] - x[high]) * q[2],
            (w[low] - w[0]) * q[0] * q[0] + (w[high] - w[low]) * q[1] * q[1] +
                (w[kSValues] - w[high]) * q[2] * q[2]};
        best.offer(sums, low, high, shift);
      }
    }
  }
  return best.split;
}

// One group of eight in the sorted order: sums of weight * x and of weight over its values.
struct HalfSums {
  float x[kMValues + 1] = {}, w[kMValues + 1] = {};

  // Neighbouring levels are one apart, so a split is a total less two prefixes.
  Sums split(std::size_t low, std::size_t high, const float* q) const {
    return {x[kMValues] * q[2] - (x[low] + x[high]), w[kMValues] * q[2] * q[2] +
                                                         w[low] * (q[0] * q[0] - q[1] * q[1]) +
                                                         w[high] * (q[1] * q[1] - q[2] * q[2])};
  }
};

Iq1Split split_m(const Iq1Sub& sub) {
  HalfSums halves[2];
  for (std::size_t j = 0; j < kMValues; ++j) {
    const std::size_t i = sub.order[j];
    for (std::size_t h = 0; h < 2; ++h) {
      const bool here = i / kGroup == h;
      halves[h].x[j + 1] = here ? halves[h].x[j] + sub.weights[i] * sub.x[i] : halves[h].x[j];
      halves[h].w[j + 1] = here ? halves[h].w[j] + sub.weights[i] : halves[h].w[j];
    }
  }
  Best best;
  for (std::size_t low = 0; low <= kMValues; ++low) {
    for (std::size_t high = low; high <= kMValues; ++high) {
      for (std::uint32_t shifts = 0; shifts < 4; ++shifts) {
        const Sums first = halves[0].split(low, high, kIq1Levels[iq1_m_shift(shifts, 0)]);
        const Sums second = halves[1].split(low, high, kIq1Levels[iq1_m_shift(shifts, 1)]);
        best.offer({first.qx + second.qx, first.qq + second.qq}, low, high, shifts);
      }
    }
  }
  return best.split;
}

// A group's code as the split has it; mirrored when the scale came out negative.
std::uint32_t code_of(const std::uint8_t* levels) {
  std::uint32_t code = 0;
  for (std::size_t i = 0; i < kGroup; ++i) code |= static_cast<std::uint32_t>(levels[i]) << (2 * i);
  return code;
}

// The nearest point, or 65535 when none has a finite distance.
std::uint16_t nearest_point(const Grid& grid, std::uint32_t code, const float* x,
                            const float* weights, float scale, const float* levels) {
  float best = kLargest;
  std::uint16_t point = 0xffff;
  for (const std::uint16_t candidate : grid.neighbours(code)) {
    float distance = 0;
    for (std::size_t i = 0; i < kGroup; ++i) {
      const float difference = scale * levels[level_of(candidate, i, kGroup)] - x[i];
      distance += weights[i] * difference * difference;
    }
    if (distance < best) {
      best = distance;
      point = candidate;
    }
  }
  return point;
}

template <std::size_t kValues>
Iq1Fit fit_split(const Grid& grid, const Iq1Sub& sub, Iq1Split split) {
  Iq1Fit fit{.scale = 0};
  if (!split.found) return fit;
  std::uint8_t levels[kValues];
  for (std::size_t j = 0; j < kValues; ++j) {
    levels[sub.order[j]] = j < split.low ? 0 : j < split.high ? 1 : 2;
  }
  fit.shifts = split.shifts;
  if (split.scale < 0) {
    for (std::uint8_t& level : levels) level = static_cast<std::uint8_t>(2 - level);
    split.scale = -split.scale;
    fit.shifts ^= kValues == kMValues ? 3u : 1u;
  }
  fit.empty = false;
  fit.scale = split.scale;
  const auto levels_of = [&fit](std::size_t group) {
    return kIq1Levels[kValues == kMValues ? iq1_m_shift(fit.shifts, group) : fit.shifts];
  };
  bool all_on_grid = true;
  for (std::size_t k = 0; k < kValues / kGroup; ++k) {
    const std::uint32_t code = code_of(levels + k * kGroup);
    fit.codes[k] = static_cast<std::uint16_t>(code);
    if (grid.contains(code)) continue;
    all_on_grid = false;
    fit.codes[k] = nearest_point(grid, code, sub.x + k * kGroup, sub.weights + k * kGroup,
                                 split.scale, levels_of(k));
    if (fit.codes[k] == 0xffff) {
      fit.scale = kNoFit;
      return fit;
    }
  }
  if (all_on_grid) return fit;
  Sums sums;
  for (std::size_t i = 0; i < kValues; ++i) {
    const std::uint32_t level = level_of(fit.codes[i / kGroup], i % kGroup, kGroup);
    sums.add(sub.weights[i], levels_of(i / kGroup)[level], sub.x[i]);
  }
  if (sums.qx > 0 && sums.qq > 0) fit.scale = sums.qx / sums.qq;
  return fit;
}

// Largest scale, or not a number when a sub-block has no fit.
float largest_scale(const Iq1Fit* fits, std::size_t count) {
  float largest = 0;
  for (std::size_t s = 0; s < count; ++s) {
    if (!(fits[s].scale >= 0)) return kNoFit;
    largest = std::max(largest, fits[s].scale);
  }
  return largest;
}

std::uint32_t scale_code(float inverse, float scale) {
  return static_cast<std::uint32_t>(clamp(nearest(0.5f * (inverse * scale - 1)), 0, 7));
}

void put_half(std::uint16_t half, IQ1_MBlock& block) {
  for (std::size_t i = 0; i < 4; ++i) {
    const unsigned nibble = half >> (4 * i) & 15u;
    block.scales[i] = static_cast<std::uint16_t>(block.scales[i] | nibble << 12);
  }
}

// The scale of an IQ1_M block that suits all its codes, or `otherwise`.
float refit_m(const Grid& grid, const Iq1Fit* fits, const std::uint32_t* scales, const float* x,
              const float* weights, float otherwise) {
  Sums sums;
  for (std::size_t i = 0; i < kGridSuper; ++i) {
    const Iq1Fit& fit = fits[i / kMValues];
    const std::size_t group = i / kGroup % 2;
    const std::uint32_t code = fit.empty ? grid.points()[0] : fit.codes[group];
    const float level =
        kIq1Levels[iq1_m_shift(fit.shifts, group)][level_of(code, i % kGroup, kGroup)];
    sums.add(weights[i], level * static_cast<float>(2 * scales[i / kMValues] + 1), x[i]);
  }
  return sums.qq > 0 ? sums.qx / sums.qq : otherwise;
}

}  // namespace

Iq1Fit iq1_s_fit(const Grid& grid, const Iq1Sub& sub, Iq1Split split) noexcept {
  return fit_split<kSValues>(grid, sub, split);
}

Iq1Fit iq1_m_fit(const Grid& grid, const Iq1Sub& sub, Iq1Split split) noexcept {
  return fit_split<kMValues>(grid, sub, split);
}

void write_iq1_s(const Grid& grid, const Iq1Fit* fits, IQ1_SBlock& block) noexcept {
  constexpr std::size_t kSubs = kGridSuper / kSValues;
  std::memset(&block, 0, sizeof block);
  const float largest = largest_scale(fits, kSubs);
  if (!(largest >= 0)) {
    block.scale = float_to_half(kNoFit);
    return;
  }
  const float scale = largest / 15;
  if (largest > 0) block.scale = float_to_half(scale * 1.125f);
  for (std::size_t s = 0; s < kSubs; ++s) {
    std::uint32_t high = 0;
    for (std::size_t k = 0; k < 4 && !fits[s].empty; ++k) {
      const std::uint32_t position = grid.position(fits[s].codes[k]);
      block.points[4 * s + k] = static_cast<std::uint8_t>(position);
      high |= position >> 8 << (3 * k);
    }
    if (largest > 0) high |= (scale_code(1 / scale, fits[s].scale) | fits[s].shifts << 3) << 12;
    block.high[s] = static_cast<std::uint16_t>(high);
  }
}

void write_iq1_m(const Grid& grid, const Iq1Fit* fits, const float* x, const float* weights,
                 IQ1_MBlock& block) noexcept {
  constexpr std::size_t kSubs = kGridSuper / kMValues;
  std::memset(&block, 0, sizeof block);
  const float largest = largest_scale(fits, kSubs);
  if (!(largest >= 0)) {
    put_half(float_to_half(kNoFit), block);
    return;
  }
  const float scale = largest / 15;
  std::uint32_t codes[kSubs] = {};
  for (std::size_t s = 0; s < kSubs; ++s) {
    unsigned high = 0;
    for (std::size_t k = 0; k < 2 && !fits[s].empty; ++k) {
      const std::uint32_t position = grid.position(fits[s].codes[k]);
      block.points[2 * s + k] = static_cast<std::uint8_t>(position);
      high |= position >> 8 << (4 * k);
    }
    if (largest > 0) {
      codes[s] = scale_code(1 / scale, fits[s].scale);
      block.scales[s / 4] =
          static_cast<std::uint16_t>(block.scales[s / 4] | codes[s] << (3 * (s % 4)));
      high |= iq1_m_shift(fits[s].shifts, 0) << 3 | iq1_m_shift(fits[s].shifts, 1) << 7;
    }
    block.high[s] = static_cast<std::uint8_t>(high);
  }
  if (!(largest > 0)) return;
  const float refitted = refit_m(grid, fits, codes, x, weights, scale);
  put_half(float_to_half(refitted * 1.1125f), block);
}

void iq1_s_encode_reference(const Strip& strip, std::byte* out) noexcept {
  const Grid& grid = iq1_grid();
  auto* to = reinterpret_cast<IQ1_SBlock*>(out);
  for (std::size_t at = 0; at < strip.count; at += kGridSuper, ++to) {
    const float variance = grid_variance(strip.values + at, 2);
    Iq1Fit fits[kGridSuper / kSValues];
    for (std::size_t s = 0; s < kGridSuper / kSValues; ++s) {
      const float* x = strip.values + at + s * kSValues;
      if (largest_magnitude(x, kSValues) < 1e-12f) continue;
      float weights[kSValues];
      std::uint8_t order[kSValues];
      grid_weights(x, strip.importance + at + s * kSValues, variance, kSValues, weights);
      sort_order(x, kSValues, order);
      const Iq1Sub sub{x, weights, order};
      fits[s] = iq1_s_fit(grid, sub, split_s(sub));
    }
    write_iq1_s(grid, fits, *to);
  }
}

void iq1_m_encode_reference(const Strip& strip, std::byte* out) noexcept {
  const Grid& grid = iq1_grid();
  auto* to = reinterpret_cast<IQ1_MBlock*>(out);
  for (std::size_t at = 0; at < strip.count; at += kGridSuper, ++to) {
    const float* values = strip.values + at;
    const float* importance = strip.importance == nullptr ? nullptr : strip.importance + at;
    float weights[kGridSuper];
    grid_weights(values, importance, grid_variance(values, 2), kGridSuper, weights);
    Iq1Fit fits[kGridSuper / kMValues];
    for (std::size_t s = 0; s < kGridSuper / kMValues; ++s) {
      const float* x = values + s * kMValues;
      if (largest_magnitude(x, kMValues) < 1e-7f) continue;
      std::uint8_t order[kMValues];
      sort_order(x, kMValues, order);
      const Iq1Sub sub{x, weights + s * kMValues, order};
      fits[s] = iq1_m_fit(grid, sub, split_m(sub));
    }
    write_iq1_m(grid, fits, values, weights, *to);
  }
}

std::uint16_t iq1_m_half(const IQ1_MBlock& block) noexcept {
  unsigned half = 0;
  for (std::size_t i = 0; i < 4; ++i) half |= (block.scales[i] >> 12 & 15u) << (4 * i);
  return static_cast<std::uint16_t>(half);
}

bool iq1_m_overflows(const std::byte* block) noexcept {
  return (iq1_m_half(*reinterpret_cast<const IQ1_MBlock*>(block)) & 0x7c00u) == 0x7c00u;
}

void iq1_s_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto points = iq1_grid().points();
  const auto* block = reinterpret_cast<const IQ1_SBlock*>(blocks);
  for (const float* end = y + count; y != end; ++block) {
    for (std::size_t g = 0; g < 32; ++g, y += kGroup) {
      const unsigned high = block->high[g / 4];
      const std::uint32_t code = points[block->points[g] | (high >> (3 * (g % 4)) & 7u) << 8];
      const float scale =
          half_to_float(block->scale) * static_cast<float>(2 * (high >> 12 & 7u) + 1);
      const float* levels = kIq1Levels[high >> 15];
      for (std::size_t i = 0; i < kGroup; ++i) y[i] = scale * levels[level_of(code, i, kGroup)];
    }
  }
}

void iq1_m_decode_reference(const std::byte* blocks, std::size_t count, float* y) noexcept {
  const auto points = iq1_grid().points();
  const auto* block = reinterpret_cast<const IQ1_MBlock*>(blocks);
  for (const float* end = y + count; y != end; ++block) {
    unsigned half = 0;
    for (std::size_t i = 0; i < 4; ++i)
      half |= static_cast<unsigned>(block->scales[i] >> 12) << (4 * i);
    for (std::size_t g = 0; g < 32; ++g, y += kGroup) {
      const unsigned high = block->high[g / 2] >> (g % 2 * 4) & 15u;
      const std::uint32_t code = points[block->points[g] | (high & 7u) << 8];
      const unsigned scale_bits = block->scales[g / 8] >> (g / 2 % 4 * 3) & 7u;
      const float scale =
          half_to_float(iq1_m_half(*block)) * static_cast<float>(2 * scale_bits + 1);
      const float* levels = kIq1Levels[high >> 3];
      for (std::size_t i = 0; i < kGroup; ++i) y[i] = scale * levels[level_of(code, i, kGroup)];
    }
  }
}

}  // namespace holdfast::quantize
