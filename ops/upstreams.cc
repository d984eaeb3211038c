#include "ops/upstreams.h"

#include <utility>

namespace holdfast::ops {

Upstreams::Upstreams(const Config& config, const Environment& environment,
                     std::shared_ptr<mirror::Outbound> outbound)
    : config_(config), environment_(environment), outbound_(std::move(outbound)) {}

mirror::UpstreamConfig Upstreams::make(const UpstreamSettings& settings) {
  mirror::UpstreamConfig upstream{.name = settings.name,
                                  .endpoint = settings.endpoint,
                                  .token = read_token(settings, environment_),
                                  .proxy = settings.proxy,
                                  .ca_file = settings.ca_file.string(),
                                  .redirect_hosts = settings.redirect_hosts,
                                  .allow_private = settings.allow_private,
                                  .offline = config_.offline,
                                  .outbound = outbound_,
                                  .staging = staging_};
  upstream.tuning.workers = settings.concurrency;
  upstream.tuning.repositories = settings.repositories;
  auto shared = shared_.lock();
  Shared& own = (*shared)[settings.name + " " + settings.endpoint];
  if (!own.governor) {
    own.governor = std::make_shared<mirror::Governor>();
    own.bandwidth = std::make_shared<mirror::Bandwidth>(settings.bandwidth);
  }
  upstream.governor = own.governor;
  upstream.bandwidth = own.bandwidth;
  return upstream;
}

mirror::UpstreamConfig Upstreams::named(std::string_view name) {
  return make(choose_upstream(config_, name, environment_));
}

mirror::UpstreamConfig Upstreams::at(const std::string& endpoint) {
  return make(upstream_at(config_, endpoint));
}

std::vector<mirror::UpstreamConfig> Upstreams::of(const mirror::MirrorRule& rule) {
  if (rule.upstreams.empty()) return {named("")};
  std::vector<mirror::UpstreamConfig> upstreams;
  for (const std::string& name : rule.upstreams) upstreams.push_back(named(name));
  return upstreams;
}

std::vector<mirror::UpstreamConfig> Upstreams::pulling() {
  std::vector<mirror::UpstreamConfig> upstreams;
  for (const UpstreamSettings& settings : config_.upstreams) {
    if (settings.pull_through) upstreams.push_back(make(settings));
  }
  return upstreams;
}

std::map<std::string, std::shared_ptr<mirror::Governor>> Upstreams::governors() {
  std::map<std::string, std::shared_ptr<mirror::Governor>> all;
  auto shared = shared_.lock();
  for (const auto& [endpoint, own] : *shared) all.emplace(endpoint, own.governor);
  return all;
}

}  // namespace holdfast::ops
