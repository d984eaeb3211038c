#include "quantize/internal/iq_search.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "quantize/internal/search.h"

namespace holdfast::quantize {
namespace {

// One point has been chosen for each group.
struct Choice {
  std::uint16_t codes[kGridGroupsMax] = {};
  bool on_grid[kGridGroupsMax] = {};
};

struct Sums {
  float qx = 0, qq = 0;
};

class GridSearch {
 public:
  GridSearch(const Grid& grid, const GridSearchShape& shape, const GridSub& sub)
      : grid_(grid), shape_(shape), sub_(sub), groups_(shape.values / shape.dimension) {}

  // False when no point has a finite distance.
  bool choose(std::size_t group, float inverse, float scale, Choice& choice) const {
    const std::uint32_t rounded = round_group(group, inverse);
    choice.on_grid[group] = grid_.contains(rounded);
    choice.codes[group] = static_cast<std::uint16_t>(rounded);
    if (choice.on_grid[group]) return true;
    float best = std::numeric_limits<float>::max();
    bool found = false;
    for (const std::uint16_t code : grid_.neighbours(rounded)) {
      const float distance = distance_to(code, group, scale);
      if (distance < best) {
        best = distance;
        choice.codes[group] = code;
        found = true;
      }
    }
    return found;
  }

  Sums sums(const Choice& choice) const {
    Sums result;
    for (std::size_t i = 0; i < shape_.values; ++i) {
      const float w = sub_.weights[i];
      const std::size_t d = shape_.dimension;
      const auto q = static_cast<float>(2 * level_of(choice.codes[i / d], i % d, d) + 1);
      result.qx += w * sub_.x[i] * q;
      result.qq += w * q * q;
    }
    return result;
  }

  std::size_t groups() const { return groups_; }

 private:
  std::uint32_t round_group(std::size_t group, float inverse) const {
    const std::size_t bits = shape_.dimension == 8 ? 2 : 3;
    std::uint32_t code = 0;
    for (std::size_t i = 0; i < shape_.dimension; ++i) {
      const float x = sub_.x[group * shape_.dimension + i];
      const int level = clamp(nearest(0.5f * (inverse * x - 1)), 0, shape_.levels - 1);
      code |= static_cast<std::uint32_t>(level) << (bits * i);
    }
    return code;
  }

  float distance_to(std::uint32_t code, std::size_t group, float scale) const {
    float sum = 0;
    for (std::size_t i = 0; i < shape_.dimension; ++i) {
      const std::size_t at = group * shape_.dimension + i;
      const auto q = static_cast<float>(2 * level_of(code, i, shape_.dimension) + 1);
      const float difference = scale * q - sub_.x[at];
      sum += sub_.roots[at] * difference * difference;
    }
    return sum;
  }

  const Grid& grid_;
  const GridSearchShape& shape_;
  const GridSub& sub_;
  std::size_t groups_;
};

bool needs_refit(const GridSearchShape& shape, const Choice& best, std::size_t groups) {
  return shape.refit == Refit::Always ||
         std::find(best.on_grid, best.on_grid + groups, false) != best.on_grid + groups;
}

}  // namespace

void split_signs(const GridSearchShape& shape, const float* x, GridSub& sub) noexcept {
  for (std::size_t k = 0; k < shape.values / 8; ++k) {
    unsigned signs = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      const float value = x[8 * k + i];
      sub.x[8 * k + i] = value >= 0 ? value : -value;
      signs |= value >= 0 ? 0u : 1u << i;
    }
    if (shape.even_signs && std::popcount(signs) % 2 != 0) {
      // The value that costs least gets the wrong sign.
      std::size_t cheapest = 0;
      float least = sub.weights[8 * k] * x[8 * k] * x[8 * k];
      for (std::size_t i = 1; i < 8; ++i) {
        const float cost = sub.weights[8 * k + i] * x[8 * k + i] * x[8 * k + i];
        if (cost < least) {
          least = cost;
          cheapest = i;
        }
      }
      sub.x[8 * k + cheapest] = -sub.x[8 * k + cheapest];
      signs ^= 1u << cheapest;
    }
    sub.signs[k] = static_cast<std::uint8_t>(signs & (shape.even_signs ? 127u : 255u));
  }
}

void grid_weights(const float* x, const float* importance, float variance, std::size_t count,
                  float* weights) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    const float square = x[i] * x[i];
    weights[i] = importance == nullptr ? square : importance[i] * std::sqrt(variance + square);
  }
}

float grid_variance(const float* x, float factor) noexcept {
  float sum = 0;
  for (std::size_t i = 0; i < kGridSuper; ++i) sum += x[i] * x[i];
  return factor * sum / kGridSuper;
}

SubFit search_grid(const Grid& grid, const GridSearchShape& shape, const GridSub& sub, float reach,
                   float scale) noexcept {
  const GridSearch search(grid, shape, sub);
  const auto top = static_cast<float>(2 * shape.levels - 1);
  SubFit fit{.scale = kNoFit, .empty = false};
  std::memcpy(fit.signs, sub.signs, sizeof fit.signs);
  Choice best;
  std::fill(best.on_grid, best.on_grid + kGridGroupsMax, shape.refit == Refit::OffGrid);
  float best_score = 0;
  for (int step = -shape.trials; step <= shape.trials; ++step) {
    const float inverse = (top + static_cast<float>(step) * shape.step) / reach;
    Choice trial;
    for (std::size_t k = 0; k < search.groups(); ++k) {
      if (!search.choose(k, inverse, 1 / inverse, trial)) return fit;
    }
    const Sums sums = search.sums(trial);
    if (sums.qq > 0 && sums.qx * sums.qx > best_score * sums.qq) {
      scale = sums.qx / sums.qq;
      best_score = scale * sums.qx;
      best = trial;
    }
  }
  if (needs_refit(shape, best, search.groups()) && scale > 0) {
    for (std::size_t k = 0; k < search.groups(); ++k) {
      if (shape.refit == Refit::OffGrid && best.on_grid[k]) continue;
      if (!search.choose(k, 1 / scale, scale, best)) return fit;
    }
    const Sums sums = search.sums(best);
    if (sums.qq > 0) scale = sums.qx / sums.qq;
  }
  if (scale < 0) {
    scale = -scale;
    for (std::uint8_t& signs : fit.signs) {
      signs = static_cast<std::uint8_t>(~signs & (shape.even_signs ? 127 : 255));
    }
  }
  fit.scale = scale;
  std::memcpy(fit.codes, best.codes, sizeof fit.codes);
  return fit;
}

}  // namespace holdfast::quantize
