// One upstream after another, until one is not down.
#pragma once

#include <cstddef>
#include <span>

#include "mirror/sync.h"
#include "storage/base/error.h"
#include "storage/base/json.h"

namespace holdfast::mirror {

// Calls `attempt` with the index of an upstream, and with the next one's as long as it throws
// Unavailable or Timeout and there is a next one. `changed` gets the details of FailedOver.
template <class Attempt, class Changed>
auto with_failover(std::span<const UpstreamConfig> upstreams, const Attempt& attempt,
                   const Changed& changed) {
  for (std::size_t i = 0;; ++i) {
    try {
      return attempt(i);
    } catch (const Error& error) {
      if (!is_retryable(error.kind()) || i + 1 == upstreams.size()) throw;
      changed(Json::Object{
          {"from", upstreams[i].name}, {"to", upstreams[i + 1].name}, {"reason", error.what()}});
    }
  }
}

}  // namespace holdfast::mirror
