#include "ops/config.h"

#include <algorithm>
#include <cstdlib>
#include <span>

#include <fmt/format.h>

#include "mirror/limits.h"
#include "mirror/redirect_policy.h"
#include "mirror/url.h"
#include "ops/internal/access_settings.h"
#include "ops/internal/toml_values.h"
#include "storage/base/error.h"
#include "storage/base/file.h"

namespace holdfast::ops {
namespace {

constexpr std::uint64_t kConfigMaxBytes = 1 << 20;
constexpr char kHub[] = "https://huggingface.co";

constexpr unsigned kKeepMax = 1'000'000;

constexpr Key<mirror::BandwidthWindow> kWindowKeys[] = {
    {"from", [](const Place& p, const toml::node& n,
                mirror::BandwidthWindow& w) { w.from = read_time_of_day(p, n); }},
    {"to", [](const Place& p, const toml::node& n,
              mirror::BandwidthWindow& w) { w.to = read_time_of_day(p, n); }},
    {"limit", [](const Place& p, const toml::node& n,
                 mirror::BandwidthWindow& w) { w.bytes_per_second = read_size(p, n, true); }},
};

unsigned read_at_once(const Place& place, const toml::node& node) {
  const unsigned value = read_unsigned(place, node, mirror::kRequestsMax);
  if (value == 0) reject(place, node, "0 at once are none");
  return value;
}

std::vector<std::string> read_address_ranges(const Place& place, const toml::node& node) {
  std::vector<std::string> ranges = read_strings(place, node);
  for (const std::string& range : ranges) {
    if (mirror::parse_address_range(range)) continue;
    reject(
        place, node,
        fmt::format(R"(expected an address or a range such as "10.0.0.0/8", found "{}")", range));
  }
  return ranges;
}

constexpr Key<UpstreamSettings> kUpstreamKeys[] = {
    {"name",
     [](const Place& p, const toml::node& n, UpstreamSettings& u) { u.name = read_string(p, n); }},
    {"endpoint", [](const Place& p, const toml::node& n,
                    UpstreamSettings& u) { u.endpoint = read_string(p, n); }},
    {"token_file", [](const Place& p, const toml::node& n,
                      UpstreamSettings& u) { u.token_file = read_string(p, n); }},
    {"proxy",
     [](const Place& p, const toml::node& n, UpstreamSettings& u) { u.proxy = read_string(p, n); }},
    {"ca_file", [](const Place& p, const toml::node& n,
                   UpstreamSettings& u) { u.ca_file = read_string(p, n); }},
    {"redirect_hosts", [](const Place& p, const toml::node& n,
                          UpstreamSettings& u) { u.redirect_hosts = read_strings(p, n); }},
    {"allow_private", [](const Place& p, const toml::node& n,
                         UpstreamSettings& u) { u.allow_private = read_address_ranges(p, n); }},
    {"concurrency", [](const Place& p, const toml::node& n,
                       UpstreamSettings& u) { u.concurrency = read_at_once(p, n); }},
    {"repositories", [](const Place& p, const toml::node& n,
                        UpstreamSettings& u) { u.repositories = read_at_once(p, n); }},
    {"bandwidth",
     [](const Place& p, const toml::node& n, UpstreamSettings& u) {
       u.bandwidth.bytes_per_second = read_size(p, n, true);
     }},
    {"bandwidth_windows",
     [](const Place& p, const toml::node& n, UpstreamSettings& u) {
       u.bandwidth.windows = read_tables<mirror::BandwidthWindow>(p, n, kWindowKeys);
     }},
    {"pull_through", [](const Place& p, const toml::node& n,
                        UpstreamSettings& u) { u.pull_through = read_bool(p, n); }},
};

std::vector<mirror::EventKind> read_events(const Place& place, const toml::node& node) {
  std::vector<mirror::EventKind> kinds;
  for (const std::string& name : read_strings(place, node)) {
    const auto kind = mirror::parse_event_kind(name);
    if (!kind) reject(place, node, fmt::format("\"{}\" is no kind of event", name));
    kinds.push_back(*kind);
  }
  return kinds;
}

std::string read_hub_url(const Place& place, const toml::node& node) {
  std::string url = read_string(place, node);
  try {
    mirror::parse_url(url);
  } catch (const Error& error) {
    reject(place, node, error.what());
  }
  return url;
}

constexpr Key<WebhookSettings> kWebhookKeys[] = {
    {"name",
     [](const Place& p, const toml::node& n, WebhookSettings& w) { w.name = read_string(p, n); }},
    {"url",
     [](const Place& p, const toml::node& n, WebhookSettings& w) { w.url = read_hub_url(p, n); }},
    {"secret_file", [](const Place& p, const toml::node& n,
                       WebhookSettings& w) { w.secret_file = read_string(p, n); }},
    {"events",
     [](const Place& p, const toml::node& n, WebhookSettings& w) { w.events = read_events(p, n); }},
};

std::string read_repo_pattern(const Place& place, const toml::node& node) {
  std::string pattern = read_string(place, node);
  try {
    mirror::parse_repo_pattern(pattern);
  } catch (const Error& error) {
    reject(place, node, error.what());
  }
  return pattern;
}

bool read_is_full(const Place& place, const toml::node& node) {
  const std::string depth = read_string(place, node);
  if (depth != "full" && depth != "tip") reject(place, node, R"(expected "tip" or "full")");
  return depth == "full";
}

web::XetMode read_xet_mode(const Place& place, const toml::node& node) {
  const auto mode = web::find_xet_mode(read_string(place, node));
  if (!mode) reject(place, node, R"(expected "off", "large" or "always")");
  return *mode;
}

using mirror::MirrorRule;

constexpr Key<MirrorRule> kMirrorKeys[] = {
    {"repo",
     [](const Place& p, const toml::node& n, MirrorRule& m) { m.repo = read_repo_pattern(p, n); }},
    {"upstream", [](const Place& p, const toml::node& n,
                    MirrorRule& m) { m.upstreams = read_string_or_strings(p, n); }},
    {"revisions",
     [](const Place& p, const toml::node& n, MirrorRule& m) { m.revisions = read_strings(p, n); }},
    {"include",
     [](const Place& p, const toml::node& n, MirrorRule& m) { m.include = read_strings(p, n); }},
    {"exclude",
     [](const Place& p, const toml::node& n, MirrorRule& m) { m.exclude = read_strings(p, n); }},
    {"max_size", [](const Place& p, const toml::node& n,
                    MirrorRule& m) { m.size_bytes_max = read_size(p, n); }},
    {"licenses",
     [](const Place& p, const toml::node& n, MirrorRule& m) { m.licenses = read_strings(p, n); }},
    {"cards_only",
     [](const Place& p, const toml::node& n, MirrorRule& m) { m.cards_only = read_bool(p, n); }},
    {"history", [](const Place& p, const toml::node& n,
                   MirrorRule& m) { m.full_history = read_is_full(p, n); }},
    {"every",
     [](const Place& p, const toml::node& n, MirrorRule& m) { m.every = read_duration(p, n); }},
    {"keep", [](const Place& p, const toml::node& n,
                MirrorRule& m) { m.keep = read_unsigned(p, n, kKeepMax); }},
};

constexpr Key<Config> kStoreKeys[] = {
    {"path", [](const Place& p, const toml::node& n, Config& c) { c.data = read_string(p, n); }},
    {"scrub_rate", [](const Place& p, const toml::node& n,
                      Config& c) { c.scrub_bytes_per_second = read_size(p, n, true); }},
    {"scrub_period",
     [](const Place& p, const toml::node& n, Config& c) { c.scrub_period = read_duration(p, n); }},
};

constexpr Key<Config> kWebKeys[] = {
    {"listen",
     [](const Place& p, const toml::node& n, Config& c) { c.listen = read_string(p, n); }},
    {"external_url",
     [](const Place& p, const toml::node& n, Config& c) { c.external_url = read_string(p, n); }},
    {"access_log",
     [](const Place& p, const toml::node& n, Config& c) { c.access_log = read_string(p, n); }},
    {"hub_webhook_secret_file",
     [](const Place& p, const toml::node& n, Config& c) { c.hub_secret_file = read_string(p, n); }},
    {"tls_certificate",
     [](const Place& p, const toml::node& n, Config& c) { c.tls.certificate = read_string(p, n); }},
    {"tls_key",
     [](const Place& p, const toml::node& n, Config& c) { c.tls.key = read_string(p, n); }},
    {"tls_client_ca",
     [](const Place& p, const toml::node& n, Config& c) { c.tls.client_ca = read_string(p, n); }},
    {"xet", [](const Place& p, const toml::node& n, Config& c) { c.xet = read_xet_mode(p, n); }},
    {"threads",
     [](const Place& p, const toml::node& n, Config& c) { c.threads = read_unsigned(p, n, 1024); }},
};

constexpr Key<Config> kRootKeys[] = {
    {"offline",
     [](const Place& p, const toml::node& n, Config& c) { c.offline = read_bool(p, n); }},
    {"store", [](const Place& p, const toml::node& n,
                 Config& c) { read_table<Config>(p.file, p.key, as_table(p, n), kStoreKeys, c); }},
    {"web", [](const Place& p, const toml::node& n,
               Config& c) { read_table<Config>(p.file, p.key, as_table(p, n), kWebKeys, c); }},
    {"access", [](const Place& p, const toml::node& n, Config& c) { read_access(p, n, c.guards); }},
    {"upstream",
     [](const Place& p, const toml::node& n, Config& c) {
       c.upstreams = read_tables<UpstreamSettings>(p, n, kUpstreamKeys);
     }},
    {"mirror", [](const Place& p, const toml::node& n,
                  Config& c) { c.mirrors = read_tables<MirrorRule>(p, n, kMirrorKeys); }},
    {"webhook", [](const Place& p, const toml::node& n,
                   Config& c) { c.webhooks = read_tables<WebhookSettings>(p, n, kWebhookKeys); }},
};

void check_upstreams(const Config& config) {
  for (std::size_t i = 0; i < config.upstreams.size(); ++i) {
    const UpstreamSettings& upstream = config.upstreams[i];
    const std::string where = fmt::format("{}: upstream {}", config.source.string(), i + 1);
    if (upstream.name.empty()) fail(ErrorKind::Invalid, where + ": name is missing");
    if (!upstream.endpoint.starts_with("http://") && !upstream.endpoint.starts_with("https://")) {
      fail(ErrorKind::Invalid,
           fmt::format("{}: endpoint: expected an http:// or https:// URL, found \"{}\"", where,
                       upstream.endpoint));
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (config.upstreams[j].name == upstream.name) {
        fail(ErrorKind::Invalid, fmt::format("{}: name \"{}\" is taken", where, upstream.name));
      }
    }
  }
}

void check_mirrors(const Config& config) {
  for (std::size_t i = 0; i < config.mirrors.size(); ++i) {
    const MirrorRule& rule = config.mirrors[i];
    const std::string where = fmt::format("{}: mirror {}", config.source.string(), i + 1);
    if (rule.repo.empty()) fail(ErrorKind::Invalid, where + ": repo is missing");
    for (const std::string& name : rule.upstreams) {
      if (std::ranges::find(config.upstreams, name, &UpstreamSettings::name) !=
          config.upstreams.end()) {
        continue;
      }
      fail(ErrorKind::Invalid, fmt::format("{}: upstream \"{}\" is not configured", where, name));
    }
    if (rule.cards_only && !(rule.include.empty() && rule.exclude.empty())) {
      fail(ErrorKind::Invalid, where + ": cards_only = true leaves nothing to include or exclude");
    }
  }
}

void check_tls(const Config& config) {
  if (config.tls.certificate.empty() == config.tls.key.empty() &&
      (config.tls.client_ca.empty() || !config.tls.key.empty())) {
    return;
  }
  fail(ErrorKind::Invalid, config.source.string() +
                               ": web: tls_certificate and tls_key belong together, and "
                               "tls_client_ca needs both");
}

void check_webhooks(const Config& config) {
  for (std::size_t i = 0; i < config.webhooks.size(); ++i) {
    const WebhookSettings& hook = config.webhooks[i];
    const std::string where = fmt::format("{}: webhook {}", config.source.string(), i + 1);
    if (hook.name.empty()) fail(ErrorKind::Invalid, where + ": name is missing");
    if (hook.url.empty()) fail(ErrorKind::Invalid, where + ": url is missing");
    const auto same = std::ranges::count(config.webhooks, hook.name, &WebhookSettings::name);
    if (same > 1)
      fail(ErrorKind::Invalid, fmt::format("{}: name \"{}\" is taken", where, hook.name));
  }
}

std::filesystem::path default_data(const Environment& environment) {
  if (const auto xdg = environment("XDG_DATA_HOME")) {
    return std::filesystem::path(*xdg) / "holdfast";
  }
  if (const auto home = environment("HOME")) {
    return std::filesystem::path(*home) / ".local" / "share" / "holdfast";
  }
  return "/var/lib/holdfast";
}

std::optional<std::filesystem::path> find_config_file(const ConfigFlags& flags,
                                                      const Environment& environment,
                                                      const std::filesystem::path& data) {
  if (flags.config) return flags.config;
  if (const auto path = environment("HOLDFAST_CONFIG")) return *path;
  for (const std::filesystem::path& path :
       {data / "holdfast.toml", std::filesystem::path("/etc/holdfast/holdfast.toml")}) {
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) return path;
  }
  return std::nullopt;
}

// Whether a URL is the address that this configuration serves at: users set HF_ENDPOINT to us, and
// we must not mirror from ourselves.
bool is_ourselves(const Config& config, std::string_view endpoint) {
  while (endpoint.ends_with('/')) endpoint.remove_suffix(1);
  const std::string port = config.listen.substr(config.listen.rfind(':') + 1);
  std::string_view external = config.external_url;
  while (external.ends_with('/')) external.remove_suffix(1);
  return endpoint == "http://" + config.listen || endpoint == "http://localhost:" + port ||
         (!external.empty() && endpoint == external);
}

toml::array to_array(const std::vector<std::string>& values) {
  toml::array array;
  for (const std::string& value : values) array.push_back(value);
  return array;
}

toml::array to_array(const std::vector<mirror::BandwidthWindow>& windows) {
  toml::array array;
  for (const mirror::BandwidthWindow& window : windows) {
    array.push_back(toml::table{{"from", time_of_day_text(window.from)},
                                {"to", time_of_day_text(window.to)},
                                {"limit", size_text(window.bytes_per_second, true)}});
  }
  return array;
}

toml::table to_table(const UpstreamSettings& upstream) {
  toml::table table{{"name", upstream.name},
                    {"endpoint", upstream.endpoint},
                    {"redirect_hosts", to_array(upstream.redirect_hosts)}};
  const mirror::BandwidthPlan& bandwidth = upstream.bandwidth;
  if (!upstream.token_file.empty()) table.insert("token_file", upstream.token_file.string());
  if (!upstream.proxy.empty()) table.insert("proxy", upstream.proxy);
  if (!upstream.ca_file.empty()) table.insert("ca_file", upstream.ca_file.string());
  if (!upstream.allow_private.empty()) {
    table.insert("allow_private", to_array(upstream.allow_private));
  }
  table.insert("concurrency", static_cast<std::int64_t>(upstream.concurrency));
  table.insert("repositories", static_cast<std::int64_t>(upstream.repositories));
  if (bandwidth.bytes_per_second != 0) {
    table.insert("bandwidth", size_text(bandwidth.bytes_per_second, true));
  }
  if (!bandwidth.windows.empty()) {
    table.insert("bandwidth_windows", to_array(bandwidth.windows));
  }
  table.insert("pull_through", upstream.pull_through);
  return table;
}

// The address may be a secret in itself: the host is enough to know it by.
toml::table to_table(const WebhookSettings& hook) {
  toml::table table{{"name", hook.name},
                    {"url", mirror::origin(mirror::parse_url(hook.url)) + "/…"}};
  if (!hook.secret_file.empty()) table.insert("secret_file", hook.secret_file.string());
  toml::array events;
  for (const mirror::EventKind kind : hook.events) events.push_back(mirror::to_text(kind));
  if (!events.empty()) table.insert("events", std::move(events));
  return table;
}

toml::table to_table(const MirrorRule& rule) {
  toml::table table{{"repo", rule.repo}};
  const auto add = [&](std::string_view key, const std::vector<std::string>& values) {
    if (!values.empty()) table.insert(key, to_array(values));
  };
  add("upstream", rule.upstreams);
  add("revisions", rule.revisions);
  add("include", rule.include);
  add("exclude", rule.exclude);
  add("licenses", rule.licenses);
  if (rule.size_bytes_max != 0) table.insert("max_size", size_text(rule.size_bytes_max));
  if (rule.cards_only) table.insert("cards_only", true);
  if (rule.full_history) table.insert("history", "full");
  if (rule.every.count() != 0) table.insert("every", duration_text(rule.every));
  if (rule.keep != 0) table.insert("keep", static_cast<std::int64_t>(rule.keep));
  return table;
}

}  // namespace

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    // Read once at start-up, before any thread exists.
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
    if (value == nullptr || *value == '\0') return std::nullopt;
    return std::string(value);
  };
}

Config read_config(const std::filesystem::path& path) {
  const std::string text = read_file(path, kConfigMaxBytes);
  Config config;
  config.source = path;
  try {
    const toml::table table = toml::parse(text, path.string());
    read_table<Config>(path, "", table, kRootKeys, config);
  } catch (const toml::parse_error& error) {
    fail(ErrorKind::Invalid,
         fmt::format("{}:{}: {}", path.string(), error.source().begin.line, error.description()));
  }
  check_upstreams(config);
  check_mirrors(config);
  check_webhooks(config);
  check_tls(config);
  return config;
}

Config load_config(const ConfigFlags& flags, const Environment& environment) {
  std::optional<std::filesystem::path> data = flags.data;
  if (!data) {
    if (const auto path = environment("HOLDFAST_DATA")) data = *path;
  }
  const std::filesystem::path fallback = default_data(environment);
  const auto file = find_config_file(flags, environment, data.value_or(fallback));
  Config config = file ? read_config(*file) : Config{};
  if (data) config.data = *data;
  if (config.data.empty()) config.data = fallback;
  config.data = std::filesystem::absolute(config.data).lexically_normal();
  return config;
}

std::string to_text(const Config& config) {
  toml::table root{
      {"offline", config.offline},
      {"store", toml::table{{"path", config.data.string()},
                            {"scrub_rate", size_text(config.scrub_bytes_per_second, true)},
                            {"scrub_period", duration_text(config.scrub_period)}}},
      {"web", toml::table{{"listen", config.listen},
                          {"external_url", config.external_url},
                          {"access_log", config.access_log.string()},
                          {"hub_webhook_secret_file", config.hub_secret_file.string()},
                          {"tls_certificate", config.tls.certificate.string()},
                          {"tls_key", config.tls.key.string()},
                          {"tls_client_ca", config.tls.client_ca.string()},
                          {"xet", web::to_text(config.xet)},
                          {"threads", static_cast<std::int64_t>(config.threads)}}},
      {"access", access_table(config.guards)}};
  toml::array upstreams, mirrors;
  for (const UpstreamSettings& upstream : config.upstreams) upstreams.push_back(to_table(upstream));
  for (const MirrorRule& rule : config.mirrors) mirrors.push_back(to_table(rule));
  if (!upstreams.empty()) root.insert("upstream", std::move(upstreams));
  if (!mirrors.empty()) root.insert("mirror", std::move(mirrors));
  toml::array webhooks;
  for (const WebhookSettings& hook : config.webhooks) webhooks.push_back(to_table(hook));
  if (!webhooks.empty()) root.insert("webhook", std::move(webhooks));
  std::ostringstream out;
  out << root << "\n";
  return out.str();
}

UpstreamSettings choose_upstream(const Config& config, std::string_view name,
                                 const Environment& environment) {
  for (const UpstreamSettings& upstream : config.upstreams) {
    if (name.empty() || upstream.name == name) return upstream;
  }
  if (!name.empty()) {
    fail(ErrorKind::Invalid, fmt::format("upstream \"{}\" is not configured", name));
  }
  UpstreamSettings fallback;
  fallback.name = "default";
  fallback.endpoint = kHub;
  if (const auto endpoint = environment("HF_ENDPOINT");
      endpoint && !is_ourselves(config, *endpoint)) {
    fallback.endpoint = *endpoint;
  }
  return fallback;
}

UpstreamSettings upstream_at(const Config& config, const std::string& endpoint) {
  const mirror::Url address = mirror::parse_url(endpoint);
  UpstreamSettings settings{.name = "from", .endpoint = endpoint};
  for (const UpstreamSettings& upstream : config.upstreams) {
    if (!mirror::same_origin(mirror::parse_url(upstream.endpoint), address)) continue;
    settings = upstream;
    settings.endpoint = endpoint;
    break;
  }
  return settings;
}

}  // namespace holdfast::ops
