// What a process does towards the outside, counted in one place: every request that mirror/ makes,
// for whatever purpose, passes HttpClient, which counts here. Thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <semaphore>
#include <string>
#include <string_view>
#include <utility>

#include "mirror/limits.h"
#include "storage/base/sync.h"

namespace holdfast::mirror {

// The right to have a request under way, shared by the clients that keep to one limit together.
using RequestSlots = std::counting_semaphore<kRequestsMax>;

// The requests to one upstream, redirects included.
class UpstreamCounts {
 public:
  // What an answer was, as the label of a metric: a status of these, another one, or no answer.
  static constexpr std::array<std::string_view, 20> kCodes{
      "200", "206", "301", "302", "303", "304", "307", "308", "400",   "401",
      "403", "404", "410", "416", "429", "500", "502", "503", "other", "none"};

  // `status` 0: there was no answer.
  void add(int status, std::chrono::nanoseconds took) noexcept {
    requests_.at(index_of(status)).fetch_add(1, std::memory_order_relaxed);
    nanoseconds_.fetch_add(static_cast<std::uint64_t>(took.count()), std::memory_order_relaxed);
  }

  // By index into kCodes.
  std::uint64_t requests(std::size_t code) const { return requests_.at(code).load(); }

  std::uint64_t requests() const {
    std::uint64_t sum = 0;
    for (const auto& count : requests_) sum += count.load();
    return sum;
  }

  std::chrono::nanoseconds took() const { return std::chrono::nanoseconds(nanoseconds_.load()); }

  std::atomic<std::uint64_t> received_bytes = 0;

 private:
  static std::size_t index_of(int status) noexcept {
    constexpr std::size_t kNone = kCodes.size() - 1;
    if (status == 0) return kNone;
    const auto* const at = std::ranges::find(kCodes, std::to_string(status));
    return at == kCodes.end() ? kNone - 1 : static_cast<std::size_t>(at - kCodes.begin());
  }

  std::array<std::atomic<std::uint64_t>, kCodes.size()> requests_{};
  std::atomic<std::uint64_t> nanoseconds_ = 0;
};

class Outbound {
 public:
  // `on_refused` is called with each address that offline = true kept us from asking; any thread.
  using OnRefused = std::function<void(std::string_view url)>;

  explicit Outbound(OnRefused on_refused = {}) : on_refused_(std::move(on_refused)) {}

  void refuse(std::string_view url) {
    ++refused_offline;
    if (on_refused_) on_refused_(url);
  }

  using Upstreams = std::map<std::string, std::shared_ptr<UpstreamCounts>>;

  // Of the upstream that is configured by this name; shared by its clients.
  std::shared_ptr<UpstreamCounts> upstream(const std::string& name) {
    auto upstreams = upstreams_.lock();
    auto& counts = (*upstreams)[name];
    if (!counts) counts = std::make_shared<UpstreamCounts>();
    return counts;
  }

  // Of all that were asked for so far.
  Upstreams upstreams() { return *upstreams_.lock(); }

  std::atomic<std::uint64_t> refused_offline = 0;  // not sent, as offline = true wants it

 private:
  OnRefused on_refused_;
  Sync<Upstreams> upstreams_{};
};

}  // namespace holdfast::mirror
