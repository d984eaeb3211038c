// Keeps all requests to one upstream account within its rate limit (hub-protocol 6.4): every sync,
// poll and pull of a process that speaks to it shares one governor. Thread-safe.
//
// A window's first request goes alone; its answer says how many may follow. From then on a request
// goes only when one is left for it and for the redirect that it may draw, whatever is under way
// counting as spent likewise; when none is left, all wait for the window's end. So the account
// never sees more than the answers that tell it off first, at most one a window. An upstream that
// sends no RateLimit is not slowed down.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "mirror/http_headers.h"
#include "mirror/retry.h"
#include "storage/base/sync.h"

namespace holdfast::mirror {

// The hub counts API calls and downloads apart.
enum class Bucket { Api, Resolvers };

class Governor {
 public:
  // Nothing: go, and call ended() afterwards. Else when to ask again; SteadyTime::max() means when
  // an answer to someone else's request has come, for which wait_for_answer() waits.
  std::optional<SteadyTime> admit(Bucket bucket, SteadyTime now);

  // Every answer on the way, redirects too, as far as it came from the account's own endpoint.
  void heed(Bucket bucket, const Headers& headers, SteadyTime now);
  // Refused with a wait of its own: nobody goes before `until`.
  void close(Bucket bucket, SteadyTime until);

  // A request that was admitted is over, with whatever outcome.
  void ended(Bucket bucket, bool answered);

  // Returns after `patience`, or when something changed in the bucket.
  void wait_for_answer(Milliseconds patience);

  struct View {
    std::optional<std::uint64_t> remaining;  // as far as upstream says
    std::uint64_t waits = 0;                 // requests that had to wait for a window's end
  };

  View view(Bucket bucket);

 private:
  struct Window {
    bool known = false;          // an answer came since the window began
    bool unlimited = false;      // and it said nothing of limits
    std::uint64_t reported = 0;  // left over, in the answer that left the least
    SteadyTime reset{};
    std::uint64_t in_flight = 0;
    std::uint64_t waits = 0;
  };

  using Windows = std::array<Window, 2>;

  static std::uint64_t left_in(const Window& window) noexcept;

  Sync<Windows> windows_{};
};

}  // namespace holdfast::mirror
