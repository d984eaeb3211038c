#include "mirror/governor.h"

#include <algorithm>

namespace holdfast::mirror {
namespace {

// Requests to the endpoint that one may cost: a file of git is redirected once, and so is an API
// call for a repository that was renamed.
constexpr std::uint64_t kCost = 2;

std::size_t index_of(Bucket bucket) noexcept { return static_cast<std::size_t>(bucket); }

}  // namespace

// What is under way may be counted in already or not: it counts as spent.
std::uint64_t Governor::left_in(const Window& window) noexcept {
  return window.reported - std::min(window.reported, window.in_flight * kCost);
}

std::optional<SteadyTime> Governor::admit(Bucket bucket, SteadyTime now) {
  auto windows = windows_.lock();
  Window& window = (*windows)[index_of(bucket)];
  if (window.known && !window.unlimited && now >= window.reset) window.known = false;
  if (!window.known && window.in_flight > 0) return SteadyTime::max();
  if (window.known && !window.unlimited && left_in(window) < kCost) {
    ++window.waits;
    return window.reset;
  }
  ++window.in_flight;
  return std::nullopt;
}

void Governor::heed(Bucket bucket, const Headers& headers, SteadyTime now) {
  const auto text = headers.find("ratelimit");
  const auto limit = text ? parse_rate_limit(*text) : std::nullopt;
  auto windows = windows_.lock();
  Window& window = (*windows)[index_of(bucket)];
  if (!limit) {
    if (!window.known) window.unlimited = true;
    return;
  }
  const bool same_window = window.known && !window.unlimited && now < window.reset;
  window.reported = same_window ? std::min(window.reported, limit->remaining) : limit->remaining;
  window.reset = now + limit->reset + std::chrono::seconds(1);
  window.known = true;
  window.unlimited = false;
}

void Governor::close(Bucket bucket, SteadyTime until) {
  auto windows = windows_.lock();
  Window& window = (*windows)[index_of(bucket)];
  window.known = true;
  window.unlimited = false;
  window.reported = 0;
  window.reset = std::max(window.reset, until);
}

void Governor::ended(Bucket bucket, bool answered) {
  {
    auto windows = windows_.lock();
    Window& window = (*windows)[index_of(bucket)];
    --window.in_flight;
    // It may have been counted, and nobody said so.
    if (!answered) window.reported -= std::min(window.reported, kCost);
    if (answered && !window.known) window.known = window.unlimited = true;
  }
  windows_.notify_all();
}

void Governor::wait_for_answer(Milliseconds patience) {
  auto windows = windows_.lock();
  windows.wait_for(patience, [](const Windows& all) {
    return std::ranges::all_of(
        all, [](const Window& window) { return window.known || window.in_flight == 0; });
  });
}

Governor::View Governor::view(Bucket bucket) {
  auto windows = windows_.lock();
  const Window& window = (*windows)[index_of(bucket)];
  View out{.waits = window.waits};
  if (window.known && !window.unlimited) out.remaining = left_in(window);
  return out;
}

}  // namespace holdfast::mirror
