#include "storage/internal/range_set.h"

#include <algorithm>
#include <iterator>

namespace holdfast::storage {

void RangeSet::add(ByteRange range) {
  if (range.length == 0) return;
  std::uint64_t start = range.offset, end = range.offset + range.length;
  // Swallow every range that overlaps or touches.
  auto at = ends_.upper_bound(start);
  if (at != ends_.begin() && std::prev(at)->second >= start) --at;
  while (at != ends_.end() && at->first <= end) {
    start = std::min(start, at->first);
    end = std::max(end, at->second);
    at = ends_.erase(at);
  }
  ends_.emplace_hint(at, start, end);
}

void RangeSet::remove(ByteRange range) {
  if (range.length == 0) return;
  const std::uint64_t start = range.offset, end = range.offset + range.length;
  auto at = ends_.upper_bound(start);
  if (at != ends_.begin() && std::prev(at)->second > start) --at;
  while (at != ends_.end() && at->first < end) {
    const auto [old_start, old_end] = *at;
    at = ends_.erase(at);
    if (old_start < start) ends_.emplace(old_start, start);
    if (old_end > end) ends_.emplace(end, old_end);
  }
}

bool RangeSet::intersects(ByteRange range) const noexcept {
  const auto next = ends_.upper_bound(range.offset);
  if (next != ends_.begin() && std::prev(next)->second > range.offset) return range.length > 0;
  return next != ends_.end() && next->first < range.offset + range.length;
}

std::uint64_t RangeSet::run_end(std::uint64_t offset) const noexcept {
  const auto next = ends_.upper_bound(offset);
  if (next == ends_.begin()) return offset;
  return std::max(offset, std::prev(next)->second);
}

std::vector<ByteRange> RangeSet::ranges() const {
  std::vector<ByteRange> all;
  all.reserve(ends_.size());
  for (const auto& [start, end] : ends_) all.push_back({.offset = start, .length = end - start});
  return all;
}

std::vector<ByteRange> RangeSet::missing(std::uint64_t size_bytes) const {
  std::vector<ByteRange> gaps;
  std::uint64_t at = 0;
  for (const auto& [start, end] : ends_) {
    if (start > at) gaps.push_back({.offset = at, .length = start - at});
    at = end;
  }
  if (at < size_bytes) gaps.push_back({.offset = at, .length = size_bytes - at});
  return gaps;
}

}  // namespace holdfast::storage
