#include "mirror/bandwidth.h"

#include <algorithm>
#include <ctime>
#include <utility>

namespace holdfast::mirror {
namespace {

bool holds(const BandwidthWindow& window, std::chrono::minutes time) noexcept {
  if (window.from <= window.to) return window.from <= time && time < window.to;
  return time >= window.from || time < window.to;
}

}  // namespace

std::uint64_t rate_at(const BandwidthPlan& plan, std::chrono::minutes time_of_day) noexcept {
  const auto window = std::ranges::find_if(
      plan.windows, [&](const BandwidthWindow& w) { return holds(w, time_of_day); });
  return window == plan.windows.end() ? plan.bytes_per_second : window->bytes_per_second;
}

std::chrono::minutes local_time_of_day() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm local{};
  ::localtime_r(&now, &local);
  return std::chrono::minutes(local.tm_hour * 60 + local.tm_min);
}

Bandwidth::Bandwidth(BandwidthPlan plan, Pauser& pauser, TimeOfDay time_of_day)
    : plan_(std::move(plan)), pauser_(pauser), time_of_day_(std::move(time_of_day)) {}

bool Bandwidth::limits() const noexcept {
  return plan_.bytes_per_second != 0 || !plan_.windows.empty();
}

void Bandwidth::took(std::uint64_t bytes, const std::stop_token& stop) {
  const std::uint64_t rate = rate_at(plan_, time_of_day_());
  if (rate == 0) return;
  const auto cost = std::chrono::duration_cast<SteadyTime::duration>(
      std::chrono::duration<double>(static_cast<double>(bytes) / static_cast<double>(rate)));
  SteadyTime until;
  {
    auto free_at = free_at_.lock();
    *free_at = std::max(*free_at, pauser_.now()) + cost;
    until = *free_at;
  }
  pauser_.pause(until, stop);
}

}  // namespace holdfast::mirror
