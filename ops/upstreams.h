// The configured upstreams as mirror/ wants them. What all requests to one upstream share (its
// rate limit and its bandwidth) is made here once, so a process has one of these. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mirror/bandwidth.h"
#include "mirror/governor.h"
#include "mirror/outbound.h"
#include "mirror/plan_mirrors.h"
#include "mirror/staging.h"
#include "mirror/sync.h"
#include "ops/config.h"
#include "storage/base/sync.h"

namespace holdfast::ops {

class Upstreams {
 public:
  // Borrows both. `outbound` counts the requests to all of them, if there is one.
  Upstreams(const Config& config, const Environment& environment,
            std::shared_ptr<mirror::Outbound> outbound = nullptr);

  // By name; "" is the default (choose_upstream). Reads the token anew each time. Errors as
  // choose_upstream() and read_token().
  mirror::UpstreamConfig named(std::string_view name);
  // By address (upstream_at).
  mirror::UpstreamConfig at(const std::string& endpoint);
  // A rule's, in fail-over order.
  std::vector<mirror::UpstreamConfig> of(const mirror::MirrorRule& rule);
  // Those with pull_through = true, in the order of the configuration.
  std::vector<mirror::UpstreamConfig> pulling();

  // The governors of those that were asked for so far, by name and endpoint.
  std::map<std::string, std::shared_ptr<mirror::Governor>> governors();

 private:
  struct Shared {
    std::shared_ptr<mirror::Governor> governor;
    std::shared_ptr<mirror::Bandwidth> bandwidth;
  };

  mirror::UpstreamConfig make(const UpstreamSettings& settings);

  const Config& config_;
  const Environment& environment_;
  std::shared_ptr<mirror::Outbound> outbound_;  // shared with what was made
  std::shared_ptr<mirror::Staging> staging_ = std::make_shared<mirror::Staging>();  // likewise
  Sync<std::map<std::string, Shared>> shared_;  // by name and endpoint
};

}  // namespace holdfast::ops
