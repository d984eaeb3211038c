#include "ops/mirroring.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "convert/model_facts.h"
#include "mirror/url.h"
#include "web/exposition.h"

namespace holdfast::ops {
namespace {

using web::Exposition;
using Type = Exposition::Type;

constexpr auto kLastEvent = mirror::EventKind::RevisionExpired;
constexpr std::size_t kEventKinds = static_cast<std::size_t>(kLastEvent) + 1;

std::shared_ptr<mirror::Outbound> make_outbound() {
  return std::make_shared<mirror::Outbound>([](std::string_view url) {
    spdlog::warn("outbound_refused url={} reason=\"offline = true\"", url);
  });
}

// Without their secrets, which only a delivery needs.
std::vector<mirror::Webhook> webhooks_of(const Config& config) {
  std::vector<mirror::Webhook> hooks;
  for (const WebhookSettings& settings : config.webhooks) {
    hooks.push_back(
        {.name = settings.name, .url = settings.url, .secret = "", .events = settings.events});
  }
  return hooks;
}

std::vector<mirror::Webhook> read_webhooks(const Config& config) {
  std::vector<mirror::Webhook> hooks = webhooks_of(config);
  for (std::size_t i = 0; i < hooks.size(); ++i) {
    const auto& file = config.webhooks[i].secret_file;
    if (!file.empty()) hooks[i].secret = read_secret(file);
  }
  return hooks;
}

Json window_json(const mirror::Governor::View& view) {
  return Json::Object{{"remaining", view.remaining ? Json(*view.remaining) : Json()},
                      {"waits", view.waits}};
}

struct RateLimits {
  std::optional<std::uint64_t> remaining;  // the least, where two addresses have one name
  std::uint64_t waits = 0;
};

void put_rate_limits(Exposition& out,
                     const std::map<std::string, std::shared_ptr<mirror::Governor>>& governors) {
  struct Bucket {
    mirror::Bucket bucket;
    std::string_view name;
  };

  constexpr std::array kBuckets{Bucket{mirror::Bucket::Api, "api"},
                                Bucket{mirror::Bucket::Resolvers, "resolvers"}};
  std::map<std::pair<std::string_view, std::string_view>, RateLimits> rows;
  for (const auto& [key, governor] : governors) {
    for (const Bucket& bucket : kBuckets) {
      const std::string_view name = std::string_view(key).substr(0, key.find(' '));
      const auto view = governor->view(bucket.bucket);
      RateLimits& row = rows[{name, bucket.name}];
      row.waits += view.waits;
      if (view.remaining) {
        row.remaining = std::min(row.remaining.value_or(*view.remaining), *view.remaining);
      }
    }
  }
  out.family("holdfast_upstream_rate_limit_remaining", Type::Gauge,
             "Requests left in upstream's rate limit window, as far as it said");
  for (const auto& [labels, row] : rows) {
    if (!row.remaining) continue;
    out.sample({{"upstream", labels.first}, {"bucket", labels.second}}, *row.remaining);
  }
  out.family("holdfast_upstream_rate_limit_waits_total", Type::Counter,
             "Requests that waited for the end of a rate limit window");
  for (const auto& [labels, row] : rows) {
    out.sample({{"upstream", labels.first}, {"bucket", labels.second}}, row.waits);
  }
}

void put_upstreams(Exposition& out, const mirror::Outbound::Upstreams& upstreams) {
  constexpr auto& kCodes = mirror::UpstreamCounts::kCodes;
  out.family("holdfast_upstream_requests_total", Type::Counter,
             "Requests sent to the outside, redirects included");
  for (const auto& [name, counts] : upstreams) {
    for (std::size_t i = 0; i < kCodes.size(); ++i) {
      const std::uint64_t value = counts->requests(i);
      if (value > 0) out.sample({{"upstream", name}, {"code", kCodes.at(i)}}, value);
    }
  }
  out.family("holdfast_upstream_request_duration_seconds", Type::Summary,
             "From a request to the outside to the end of its answer");
  for (const auto& [name, counts] : upstreams) {
    out.summary({{"upstream", name}}, counts->requests(),
                std::chrono::duration<double>(counts->took()).count());
  }
  out.family("holdfast_upstream_bytes_total", Type::Counter,
             "Body bytes received from the outside");
  for (const auto& [name, counts] : upstreams) {
    out.sample({{"upstream", name}}, counts->received_bytes.load());
  }
}

// Of all [[mirror]] that name the same repositories.
struct MirrorRow {
  std::uint64_t failures = 0, holes = 0;
  std::optional<std::uint64_t> done_at;  // the one that waits the longest
};

std::map<std::string_view, MirrorRow> mirror_rows(const Json::Object& status) {
  std::map<std::string_view, MirrorRow> rows;
  for (const Json& mirror : status.find("mirrors")->as_array("mirrors")) {
    MirrorRow& row = rows[mirror.find("repo")->as_string("repo")];
    row.failures = std::max(row.failures, mirror.find("failures")->as_uint("failures"));
    row.holes += mirror.find("holes")->as_uint("holes");
    const Json* const done = mirror.find("done_at");
    const auto time = done == nullptr ? std::nullopt : parse_time(done->as_string("done_at"));
    if (!time) continue;
    const auto at = static_cast<std::uint64_t>(
        std::chrono::floor<std::chrono::seconds>(time->time_since_epoch()).count());
    row.done_at = std::min(row.done_at.value_or(at), at);
  }
  return rows;
}

void put_mirrors(Exposition& out, const Json::Object& status) {
  const auto rows = mirror_rows(status);
  out.family("holdfast_sync_failures", Type::Gauge, "Runs that failed since the last complete one");
  for (const auto& [mirror, row] : rows) out.sample({{"mirror", mirror}}, row.failures);
  out.family("holdfast_sync_holes", Type::Gauge, "Holes that the last complete run left open");
  for (const auto& [mirror, row] : rows) out.sample({{"mirror", mirror}}, row.holes);
  out.family("holdfast_sync_last_success_timestamp_seconds", Type::Gauge,
             "End of the last complete run");
  for (const auto& [mirror, row] : rows) {
    if (row.done_at) out.sample({{"mirror", mirror}}, *row.done_at);
  }
}

}  // namespace

// Every event goes to the log, to the counters and to the hooks.
class Mirroring::Sinks final : public mirror::EventSink {
 public:
  Sinks(storage::JobQueue& queue, const Config& config)
      : webhooks_(queue, webhooks_of(config), [](std::string_view what) {
          spdlog::error("webhook_not_queued error={:?}", what);
        }) {}

  void emit(const mirror::Event& event) noexcept override {
    ++counts_.at(static_cast<std::size_t>(event.kind));
    webhooks_.emit(event);
    try {
      spdlog::info("mirror_event kind={} repo={} details={}", to_text(event.kind),
                   to_text(event.repo), to_text(Json(event.details)));
    } catch (const std::exception&) {
      return;  // out of memory: the counter has it
    }
  }

  void put_metrics(Exposition& out) const {
    out.family("holdfast_sync_events_total", Type::Counter, "Events of the mirror");
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      out.sample({{"kind", to_text(static_cast<mirror::EventKind>(i))}}, counts_.at(i).load());
    }
  }

 private:
  std::array<std::atomic<std::uint64_t>, kEventKinds> counts_{};
  mirror::WebhookSink webhooks_;
};

Mirroring::Mirroring(storage::Store& store, const Config& config, const Environment& environment)
    : store_(store),
      config_(config),
      outbound_(make_outbound()),
      upstreams_(config, environment, outbound_),
      sinks_(std::make_unique<Sinks>(store.jobs(), config)),
      pulls_(store, [this](const storage::RepoId& repo) { return pull_source(repo); }),
      daemon_(store, {.rules = config.mirrors,
                      .state_file = store.directory() / "mirrors.json",
                      .make_request =
                          [this](const mirror::MirrorRule& rule) { return mirror_request(rule); },
                      .events = sinks_.get()}) {}

Mirroring::~Mirroring() = default;

void Mirroring::start_daemon() {
  if (!daemon_.damage().empty()) {
    spdlog::warn("mirror_cursors_lost error={:?}", daemon_.damage());
  }
  daemon_.start();
}

bool Mirroring::pulls_through() const noexcept {
  return !config_.offline &&
         std::ranges::any_of(config_.upstreams, &UpstreamSettings::pull_through);
}

mirror::EventSink& Mirroring::events() noexcept { return *sinks_; }

// What a rule says about a repository holds for pulling it, too; what came from one upstream is not
// asked for at another, which may have a namesake.
mirror::PullSource Mirroring::pull_source(const storage::RepoId& repo) {
  mirror::PullSource source{.upstreams = upstreams_.pulling(), .events = sinks_.get()};
  if (const auto known = store_.catalog().find_repository(repo)) {
    std::erase_if(source.upstreams, [&](const mirror::UpstreamConfig& upstream) {
      return mirror::origin(mirror::parse_url(upstream.endpoint)) != known->origin;
    });
  }
  const mirror::MirrorRule* const rule = mirror::find_rule(config_.mirrors, repo);
  if (rule == nullptr) return source;
  source.selection = mirror::selection_of(*rule);
  source.limits = {.size_bytes_max = rule->size_bytes_max, .licenses = rule->licenses};
  std::erase_if(source.upstreams, [&](const mirror::UpstreamConfig& upstream) {
    return !rule->upstreams.empty() &&
           std::ranges::find(rule->upstreams, upstream.name) == rule->upstreams.end();
  });
  return source;
}

mirror::MirrorRequest Mirroring::mirror_request(const mirror::MirrorRule& rule) {
  return {.rule = rule,
          .rules = config_.mirrors,
          .upstreams = upstreams_.of(rule),
          .events = sinks_.get(),
          .card_facts = convert::facts_of_card};
}

Json::Object Mirroring::deliver_webhook(const Json::Object& parameters,
                                        storage::JobContext& context) {
  return mirror::deliver_webhook(parameters,
                                 {.hooks = read_webhooks(config_),
                                  .offline = config_.offline,
                                  .outbound = outbound_,
                                  .health = &webhook_health_},
                                 context);
}

Json::Object Mirroring::status() {
  Json::Object out = daemon_.status();
  Json::Array upstreams;
  for (const auto& [endpoint, governor] : upstreams_.governors()) {
    upstreams.emplace_back(
        Json::Object{{"endpoint", endpoint},
                     {"api", window_json(governor->view(mirror::Bucket::Api))},
                     {"resolvers", window_json(governor->view(mirror::Bucket::Resolvers))}});
  }
  out.set("upstreams", std::move(upstreams));
  out.set("offline", config_.offline);
  return out;
}

std::string Mirroring::metrics() {
  Exposition out;
  sinks_->put_metrics(out);
  put_mirrors(out, daemon_.status());
  put_upstreams(out, outbound_->upstreams());
  put_rate_limits(out, upstreams_.governors());
  out.single("holdfast_outbound_denied_total", Type::Counter,
             "Requests not sent because of offline = true", outbound_->refused_offline);
  out.single("holdfast_holes", Type::Gauge, "Holes that are open now",
             store_.catalog().holes().size());
  return out.take();
}

}  // namespace holdfast::ops
