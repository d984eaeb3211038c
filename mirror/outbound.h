// What a process does towards the outside, counted in one place: every request that mirror/ makes,
// for whatever purpose, passes HttpClient, which counts here. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <semaphore>
#include <string_view>
#include <utility>

#include "mirror/limits.h"

namespace holdfast::mirror {

// The right to have a request under way, shared by the clients that keep to one limit together.
using RequestSlots = std::counting_semaphore<kRequestsMax>;

class Outbound {
 public:
  // `on_refused` is called with each address that offline = true kept us from asking; any thread.
  using OnRefused = std::function<void(std::string_view url)>;

  explicit Outbound(OnRefused on_refused = {}) : on_refused_(std::move(on_refused)) {}

  void refuse(std::string_view url) {
    ++refused_offline;
    if (on_refused_) on_refused_(url);
  }

  std::atomic<std::uint64_t> requests = 0;  // sent, redirects included
  std::atomic<std::uint64_t> received_bytes = 0;
  std::atomic<std::uint64_t> rate_limited = 0;     // answers with 429
  std::atomic<std::uint64_t> refused_offline = 0;  // not sent, as offline = true wants it

 private:
  OnRefused on_refused_;
};

}  // namespace holdfast::mirror
