#include "ops/mirroring.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "convert/model_facts.h"
#include "mirror/url.h"

namespace holdfast::ops {
namespace {

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

void add_metric(std::string& text, std::string_view name, std::string_view type,
                std::string_view help) {
  text += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

// A label's value as the exposition format wants it.
std::string label(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

void add_rate_limits(std::string& text,
                     const std::map<std::string, std::shared_ptr<mirror::Governor>>& governors) {
  struct Row {
    mirror::Bucket bucket;
    std::string_view name;
  };

  constexpr std::array kBuckets{Row{mirror::Bucket::Api, "api"},
                                Row{mirror::Bucket::Resolvers, "resolvers"}};
  std::string remaining, waits;
  for (const auto& [endpoint, governor] : governors) {
    for (const Row& row : kBuckets) {
      const auto view = governor->view(row.bucket);
      const std::string labels =
          fmt::format(R"({{upstream="{}",bucket="{}"}})", label(endpoint), row.name);
      if (view.remaining) {
        remaining +=
            fmt::format("holdfast_upstream_requests_remaining{} {}\n", labels, *view.remaining);
      }
      waits += fmt::format("holdfast_upstream_rate_limit_waits_total{} {}\n", labels, view.waits);
    }
  }
  add_metric(text, "holdfast_upstream_requests_remaining", "gauge",
             "Requests left in upstream's rate limit window, as far as it said");
  text += remaining;
  add_metric(text, "holdfast_upstream_rate_limit_waits_total", "counter",
             "Requests that waited for the end of a rate limit window");
  text += waits;
}

void add_mirrors(std::string& text, const Json::Object& status) {
  struct Row {
    std::string_view name, key, help;
  };

  constexpr std::array kRows{
      Row{"holdfast_mirror_failures", "failures", "Runs that failed since the last complete one"},
      Row{"holdfast_mirror_open_holes", "holes", "Holes that the last complete run left open"}};
  const Json::Array& mirrors = status.find("mirrors")->as_array("mirrors");
  for (const Row& row : kRows) {
    add_metric(text, row.name, "gauge", row.help);
    for (const Json& mirror : mirrors) {
      text += fmt::format("{}{{repo=\"{}\"}} {}\n", row.name,
                          label(mirror.find("repo")->as_string("repo")),
                          mirror.find(row.key)->as_uint(row.key));
    }
  }
  constexpr std::string_view kSuccess = "holdfast_mirror_last_success_timestamp_seconds";
  add_metric(text, kSuccess, "gauge", "End of the last complete run");
  for (const Json& mirror : mirrors) {
    const Json* const done = mirror.find("done_at");
    const auto time = done == nullptr ? std::nullopt : parse_time(done->as_string("done_at"));
    if (!time) continue;
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time->time_since_epoch());
    text += fmt::format("{}{{repo=\"{}\"}} {}\n", kSuccess,
                        label(mirror.find("repo")->as_string("repo")), seconds.count());
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

  std::string metrics() const {
    constexpr std::string_view kName = "holdfast_mirror_events_total";
    std::string text;
    add_metric(text, kName, "counter", "Events of the mirror, by kind");
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      text += fmt::format("{}{{kind=\"{}\"}} {}\n", kName,
                          to_text(static_cast<mirror::EventKind>(i)), counts_.at(i).load());
    }
    return text;
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
  std::string text = sinks_->metrics();
  add_mirrors(text, daemon_.status());
  add_rate_limits(text, upstreams_.governors());

  struct Row {
    std::string_view name, help;
    std::uint64_t value;
  };

  const std::array rows{
      Row{"holdfast_outbound_requests_total", "Requests sent to the outside, redirects included",
          outbound_->requests},
      Row{"holdfast_outbound_received_bytes_total", "Body bytes received from the outside",
          outbound_->received_bytes},
      Row{"holdfast_outbound_rate_limited_total", "Answers with status 429",
          outbound_->rate_limited},
      Row{"holdfast_outbound_refused_total", "Requests not sent because of offline = true",
          outbound_->refused_offline}};
  for (const Row& row : rows) {
    add_metric(text, row.name, "counter", row.help);
    text += fmt::format("{} {}\n", row.name, row.value);
  }
  constexpr std::string_view kHoles = "holdfast_holes";
  add_metric(text, kHoles, "gauge", "Holes that are open now");
  return text + fmt::format("{} {}\n", kHoles, store_.catalog().holes().size());
}

}  // namespace holdfast::ops
