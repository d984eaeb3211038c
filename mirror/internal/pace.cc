#include "mirror/internal/pace.h"

namespace holdfast::mirror {
namespace {

double seconds(SteadyTime::duration time) noexcept {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

Pace::Pace(const Limits& limits, SteadyTime start)
    : limits_(limits), start_{.time = start}, samples_{start_} {}

void Pace::saw(SteadyTime now, std::uint64_t bytes) {
  samples_.push_back({.time = now, .bytes = bytes});
  while (samples_.size() > 1 && samples_[1].time <= now - limits_.patience) samples_.pop_front();
}

double Pace::earlier_rate() const noexcept {
  const Sample& before = samples_.front();
  if (before.bytes == 0 || before.time == start_.time) {
    return static_cast<double>(limits_.earlier_bytes_per_second);
  }
  return static_cast<double>(before.bytes) / seconds(before.time - start_.time);
}

bool Pace::is_stalled() const noexcept {
  constexpr double kCrawl = 0.1;
  const Sample& before = samples_.front();
  const Sample& now = samples_.back();
  if (now.time - before.time < limits_.patience) return false;
  if (now.bytes == before.bytes) return true;
  const double rate =
      static_cast<double>(now.bytes - before.bytes) / seconds(now.time - before.time);
  return limits_.judges_rate && rate < kCrawl * earlier_rate();
}

}  // namespace holdfast::mirror
