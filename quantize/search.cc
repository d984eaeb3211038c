#include "quantize/internal/search.h"

#include <cmath>
#include <cstring>

namespace holdfast::quantize {
namespace {

// The value of the largest magnitude; the first of equals.
float first_extreme(const float* x, std::size_t n) noexcept {
  float magnitude = 0, extreme = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (std::fabs(x[i]) > magnitude) {
      magnitude = std::fabs(x[i]);
      extreme = x[i];
    }
  }
  return extreme;
}

// Weighted sums of x·l and l·l: the best scale for codes l is xl / ll, and then the squared error
// falls by xl² / ll.
struct Fit {
  float xl = 0, ll = 0;

  void add(float weight, float x, int code) noexcept {
    const auto l = static_cast<float>(code);
    xl += weight * x * l;
    ll += weight * l * l;
  }

  void remove(float weight, float x, int code) noexcept {
    const auto l = static_cast<float>(code);
    xl -= weight * x * l;
    ll -= weight * l * l;
  }

  float scale() const noexcept { return xl / ll; }
};

Fit fit_symmetric(const SubBlock& block, int levels, float inverse) noexcept {
  Fit fit;
  for (std::size_t i = 0; i < block.n; ++i) {
    fit.add(block.weights[i], block.x[i],
            clamp(nearest(inverse * block.x[i]), -levels, levels - 1));
  }
  return fit;
}

}  // namespace

float search_symmetric(const SubBlock& block, int levels) noexcept {
  const float extreme = first_extreme(block.x, block.n);
  if (std::fabs(extreme) < kGroupEpsilon) {
    std::memset(block.codes, 0, block.n);
    return 0;
  }
  float chosen = static_cast<float>(-levels) / extreme;
  Fit fit = fit_symmetric(block, levels, chosen);
  float scale = fit.ll != 0 ? fit.scale() : 0.0f;
  float best = scale * fit.xl;
  for (int step = -9; step <= 9; ++step) {
    if (step == 0) continue;
    const float inverse = -(static_cast<float>(levels) + 0.1f * static_cast<float>(step)) / extreme;
    fit = fit_symmetric(block, levels, inverse);
    if (fit.ll > 0 && fit.xl * fit.xl > best * fit.ll) {
      chosen = inverse;
      scale = fit.scale();
      best = scale * fit.xl;
    }
  }
  for (std::size_t i = 0; i < block.n; ++i) {
    const int code = clamp(nearest(chosen * block.x[i]), -levels, levels - 1);
    block.codes[i] = static_cast<std::uint8_t>(code + levels);
  }
  return scale;
}

float refine_symmetric(const float* x, std::uint8_t* codes, std::size_t n, int levels) noexcept {
  const float extreme = first_extreme(x, n);
  if (std::fabs(extreme) < kGroupEpsilon) {
    std::memset(codes, 0, n);
    return 0;
  }
  const float inverse = static_cast<float>(-levels) / extreme;
  Fit fit;
  int l[32];
  for (std::size_t i = 0; i < n; ++i) {
    l[i] = clamp(nearest(inverse * x[i]), -levels, levels - 1);
    fit.add(x[i] * x[i], x[i], l[i]);
  }
  bool changed = true;
  for (int sweep = 0; sweep < 5 && changed; ++sweep) {
    changed = false;
    for (std::size_t i = 0; i < n; ++i) {
      const float weight = x[i] * x[i];
      Fit other = fit;
      other.remove(weight, x[i], l[i]);
      if (!(other.xl > 0)) continue;
      const int code = clamp(nearest(x[i] * other.ll / other.xl), -levels, levels - 1);
      if (code == l[i]) continue;
      other.add(weight, x[i], code);
      if (other.ll > 0 && other.xl * other.xl * fit.ll > fit.xl * fit.xl * other.ll) {
        l[i] = code;
        fit = other;
        changed = true;
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) codes[i] = static_cast<std::uint8_t>(l[i] + levels);
  return fit.ll > 0 ? fit.scale() : 0.0f;
}

namespace {

// State of the affine search: the best fit so far. `low` moves with it, and with `low` the scales
// that later steps try.
struct AffineSearch {
  const SubBlock& block;
  const AffineSchedule& schedule;
  float low, high;
  float sum_w, sum_x;
  float scale = 0, best = 0;

  AffineSearch(const SubBlock& sub_block, const AffineSchedule& steps) noexcept
      : block(sub_block), schedule(steps) {
    low = high = block.x[0];
    sum_w = block.weights[0];
    sum_x = sum_w * block.x[0];
    for (std::size_t i = 1; i < block.n; ++i) {
      const float x = block.x[i];
      if (x < low) low = x;
      if (x > high) high = x;
      sum_w += block.weights[i];
      sum_x += block.weights[i] * x;
    }
    if (low > 0) low = 0;
  }

  int code(float inverse, float x) const noexcept {
    return clamp(nearest(inverse * (x - low)), 0, schedule.levels);
  }

  float error(const std::uint8_t* codes, float with_scale, float with_low) const noexcept {
    float sum = 0;
    for (std::size_t i = 0; i < block.n; ++i) {
      float difference = with_scale * static_cast<float>(codes[i]) + with_low - block.x[i];
      difference = schedule.absolute_error ? std::fabs(difference) : difference * difference;
      sum += block.weights[i] * difference;
    }
    return sum;
  }

  void start() noexcept {
    const float inverse = static_cast<float>(schedule.levels) / (high - low);
    scale = 1 / inverse;
    for (std::size_t i = 0; i < block.n; ++i) {
      block.codes[i] = static_cast<std::uint8_t>(code(inverse, block.x[i]));
    }
    best = error(block.codes, scale, low);
  }

  void try_step(int step) noexcept {
    const float inverse = (schedule.start + schedule.step * static_cast<float>(step) +
                           static_cast<float>(schedule.levels)) /
                          (high - low);
    std::uint8_t codes[32];
    float sum_l = 0, sum_l2 = 0, sum_xl = 0;
    for (std::size_t i = 0; i < block.n; ++i) {
      const int l = code(inverse, block.x[i]);
      codes[i] = static_cast<std::uint8_t>(l);
      const float wl = block.weights[i] * static_cast<float>(l);
      sum_l += wl;
      sum_l2 += wl * static_cast<float>(l);
      sum_xl += wl * block.x[i];
    }
    const float determinant = sum_w * sum_l2 - sum_l * sum_l;
    if (!(determinant > 0)) return;
    float new_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
    float new_low = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
    if (new_low > 0) {
      new_low = 0;
      new_scale = sum_xl / sum_l2;
    }
    const float new_error = error(codes, new_scale, new_low);
    if (new_error < best) {
      std::memcpy(block.codes, codes, block.n);
      best = new_error;
      scale = new_scale;
      low = new_low;
    }
  }
};

}  // namespace

ScaleAndOffset search_affine(const SubBlock& block, const AffineSchedule& schedule) noexcept {
  AffineSearch search(block, schedule);
  if (search.high <= search.low) {
    std::memset(block.codes, 0, block.n);
    return {0, -search.low};
  }
  search.start();
  for (int step = 0; step <= schedule.steps; ++step) search.try_step(step);
  return {search.scale, -search.low};
}

namespace {

float positive_error(const SubBlock& block, const std::uint8_t* codes, float scale) noexcept {
  float sum = 0;
  for (std::size_t i = 0; i < block.n; ++i) {
    const float difference = block.x[i] - scale * static_cast<float>(codes[i]);
    sum += block.weights[i] * difference * difference;
  }
  return sum;
}

// At most five sweeps that re-round one code at a time, given all others.
float refine_positive(const SubBlock& block, int levels, Fit fit) noexcept {
  bool changed = true;
  for (int sweep = 0; sweep < 5 && changed; ++sweep) {
    changed = false;
    for (std::size_t i = 0; i < block.n; ++i) {
      Fit other = fit;
      other.remove(block.weights[i], block.x[i], block.codes[i]);
      if (!(other.xl > 0 && other.ll > 0)) continue;
      int code = nearest(block.x[i] * other.ll / other.xl);
      if (code > levels) code = levels;
      if (code == block.codes[i]) continue;
      other.add(block.weights[i], block.x[i], code);
      if (other.xl * other.xl * fit.ll > fit.xl * fit.xl * other.ll) {
        block.codes[i] = static_cast<std::uint8_t>(code);
        fit = other;
        changed = true;
      }
    }
  }
  return fit.ll > 0 ? fit.scale() : 0.0f;
}

}  // namespace

float search_positive(const SubBlock& block, int levels) noexcept {
  float high = 0;
  for (std::size_t i = 0; i < block.n; ++i) high = high > block.x[i] ? high : block.x[i];
  if (high < kGroupEpsilon) {
    std::memset(block.codes, 0, block.n);
    return 0;
  }
  float inverse = static_cast<float>(levels) / high;
  for (std::size_t i = 0; i < block.n; ++i) {
    block.codes[i] = static_cast<std::uint8_t>(nearest(inverse * block.x[i]));
  }
  float best = positive_error(block, block.codes, 1 / inverse);
  for (int step = -4; step <= 4; ++step) {
    if (step == 0) continue;
    const float trial = (0.1f * static_cast<float>(step) + static_cast<float>(levels)) / high;
    const float scale = 1 / trial;
    float error = 0;
    for (std::size_t i = 0; i < block.n; ++i) {
      int code = nearest(trial * block.x[i]);
      if (code > levels) code = levels;
      const float difference = block.x[i] - scale * static_cast<float>(code);
      error += block.weights[i] * difference * difference;
    }
    if (error < best) {
      best = error;
      inverse = trial;
    }
  }
  Fit fit;
  for (std::size_t i = 0; i < block.n; ++i) {
    int code = nearest(inverse * block.x[i]);
    if (code > levels) code = levels;
    block.codes[i] = static_cast<std::uint8_t>(code);
    fit.add(block.weights[i], block.x[i], code);
  }
  return refine_positive(block, levels, fit);
}

}  // namespace holdfast::quantize
