// How many requests a token, or an address without one, may make in five minutes, in the hub's own
// three buckets and with the hub's own headers (hub-protocol 6.4). Fixed windows, each from the
// first request in it.
//
// Thread-safe. The clock is borrowed.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "storage/base/clock.h"
#include "storage/base/sync.h"

namespace holdfast::web {

enum class Bucket : std::size_t { Api, Resolvers, Pages };
inline constexpr std::size_t kBuckets = 3;

// "api", "resolvers", "pages".
std::string_view bucket_name(Bucket bucket) noexcept;

// What a target counts as; nothing for health checks and the pages' own files.
std::optional<Bucket> bucket_of(std::string_view target) noexcept;

// Requests in a window by bucket; 0: any number.
using Quota = std::array<std::uint32_t, kBuckets>;

struct RateLimits {
  Quota anonymous{};  // of one address
  Quota token{};      // of one token, from wherever
};

class RateLimiter {
 public:
  explicit RateLimiter(RateLimits limits, const Clock& clock = system_clock());

  struct Taken {
    bool allowed = true;
    Bucket bucket = Bucket::Api;
    std::uint32_t quota = 0;
    std::uint32_t left = 0;
    std::chrono::seconds resets_in{0};

    std::string header() const;  // RateLimit
    std::string policy() const;  // RateLimit-Policy
  };

  // Counts a request; nothing when there is no limit for it. `token` is the token's id, "" for
  // none: then `address` counts.
  std::optional<Taken> take(std::string_view token, std::string_view address, Bucket bucket);

 private:
  struct Row {
    Time since;
    Quota used{};
  };

  RateLimits limits_;
  const Clock& clock_;
  Sync<std::unordered_map<std::string, Row>> rows_;
};

}  // namespace holdfast::web
