#include "mirror/internal/part_size.h"

#include <algorithm>

namespace holdfast::mirror {

void PartSize::measured(std::uint64_t bytes, Milliseconds time) noexcept {
  if (time.count() <= 0) return;  // too fast to tell
  const std::uint64_t now = bytes * 1000 / static_cast<std::uint64_t>(time.count());
  const std::uint64_t before = bytes_per_second_;
  bytes_per_second_ = before == 0 ? now : (3 * before + now) / 4;
}

std::uint64_t PartSize::next(std::uint64_t left_bytes) const noexcept {
  const std::uint64_t bytes_min = std::min(kPartBytesMin, limits_.bytes_max);
  const std::uint64_t rate = bytes_per_second_;
  std::uint64_t goal = limits_.bytes_max;
  if (rate != 0) goal = std::clamp(rate * kPartSeconds, bytes_min, limits_.bytes_max);
  const std::uint64_t shares = 2ULL * std::max(1U, limits_.connections);
  return std::min(left_bytes, std::clamp(left_bytes / shares, bytes_min, goal));
}

}  // namespace holdfast::mirror
