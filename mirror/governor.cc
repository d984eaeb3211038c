#include "mirror/governor.h"

#include <algorithm>

namespace holdfast::mirror {
namespace {

// Requests to the endpoint that one of the bucket may cost: a file of git is redirected once.
constexpr std::array<std::uint64_t, 2> kCost = {1, 2};

std::size_t index_of(Bucket bucket) noexcept { return static_cast<std::size_t>(bucket); }

}  // namespace

std::optional<SteadyTime> Governor::admit(Bucket bucket, SteadyTime now) {
  auto windows = windows_.lock();
  Window& window = (*windows)[index_of(bucket)];
  if (window.known && !window.unlimited && now >= window.reset) window.known = false;
  if (!window.known && window.in_flight > 0) return SteadyTime::max();
  if (window.known && !window.unlimited) {
    const std::uint64_t cost = kCost[index_of(bucket)];
    if (window.remaining < cost) {
      ++window.waits;
      return window.reset;
    }
    window.remaining -= cost;
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
  // What is under way may or may not be counted in yet: it counts as spent, but for the request
  // that this answers.
  const std::uint64_t others =
      window.in_flight > 1 ? (window.in_flight - 1) * kCost[index_of(bucket)] : 0;
  const std::uint64_t left = limit->remaining - std::min(others, limit->remaining);
  const bool same_window = window.known && !window.unlimited && now < window.reset;
  window.remaining = same_window ? std::min(window.remaining, left) : left;
  window.reset = now + limit->reset + std::chrono::seconds(1);
  window.known = true;
  window.unlimited = false;
}

void Governor::close(Bucket bucket, SteadyTime until) {
  auto windows = windows_.lock();
  Window& window = (*windows)[index_of(bucket)];
  window.known = true;
  window.unlimited = false;
  window.remaining = 0;
  window.reset = std::max(window.reset, until);
}

void Governor::ended(Bucket bucket, bool answered) {
  {
    auto windows = windows_.lock();
    Window& window = (*windows)[index_of(bucket)];
    --window.in_flight;
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
  if (window.known && !window.unlimited) out.remaining = window.remaining;
  return out;
}

}  // namespace holdfast::mirror
