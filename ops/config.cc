#include "ops/config.h"

#include <cstdlib>
#include <span>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "mirror/url.h"
#include "storage/base/error.h"
#include "storage/base/file.h"

namespace holdfast::ops {
namespace {

constexpr std::uint64_t kConfigMaxBytes = 1 << 20;
constexpr std::uint64_t kTokenMaxBytes = 4096;
constexpr char kHub[] = "https://huggingface.co";

// Where a value stands, for error texts.
struct Place {
  const std::filesystem::path& file;
  std::string key;
};

[[noreturn]] void reject(const Place& place, const toml::node& node, std::string_view problem) {
  fail(ErrorKind::Invalid, fmt::format("{}:{}: {}: {}", place.file.string(),
                                       node.source().begin.line, place.key, problem));
}

std::string read_string(const Place& place, const toml::node& node) {
  if (!node.is_string()) reject(place, node, "expected a string");
  return node.as_string()->get();
}

std::vector<std::string> read_strings(const Place& place, const toml::node& node) {
  if (!node.is_array()) reject(place, node, "expected an array of strings");
  std::vector<std::string> values;
  for (const toml::node& element : *node.as_array()) values.push_back(read_string(place, element));
  return values;
}

bool read_bool(const Place& place, const toml::node& node) {
  if (!node.is_boolean()) reject(place, node, "expected true or false");
  return node.as_boolean()->get();
}

unsigned read_unsigned(const Place& place, const toml::node& node, unsigned max) {
  if (!node.is_integer()) reject(place, node, "expected an integer");
  const auto value = node.as_integer()->get();
  if (value < 0 || value > static_cast<std::int64_t>(max)) {
    reject(place, node, fmt::format("{} is outside 0 … {}", value, max));
  }
  return static_cast<unsigned>(value);
}

// One key of a table: its name and what it sets.
template <class Target>
struct Key {
  std::string_view name;
  void (*set)(const Place& place, const toml::node& node, Target& target);
};

template <class Target>
void read_table(const std::filesystem::path& file, std::string_view prefix,
                const toml::table& table, std::span<const Key<Target>> keys, Target& target) {
  for (const auto& [name, node] : table) {
    const std::string_view key_name = name.str();
    const Place place{
        file, prefix.empty() ? std::string(key_name) : fmt::format("{}.{}", prefix, key_name)};
    const Key<Target>* found = nullptr;
    for (const auto& key : keys) {
      if (key.name == key_name) found = &key;
    }
    if (found == nullptr) reject(place, node, "unknown key");
    found->set(place, node, target);
  }
}

const toml::table& as_table(const Place& place, const toml::node& node) {
  if (!node.is_table()) reject(place, node, "expected a table");
  return *node.as_table();
}

// Every element of an array of tables ([[name]]) becomes one Target.
template <class Target>
std::vector<Target> read_tables(const Place& place, const toml::node& node,
                                std::span<const Key<Target>> keys) {
  if (!node.is_array()) reject(place, node, fmt::format("expected [[{}]]", place.key));
  std::vector<Target> targets;
  for (const toml::node& element : *node.as_array()) {
    read_table<Target>(place.file, place.key, as_table(place, element), keys,
                       targets.emplace_back());
  }
  return targets;
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
};

constexpr Key<MirrorSettings> kMirrorKeys[] = {
    {"repo",
     [](const Place& p, const toml::node& n, MirrorSettings& m) { m.repo = read_string(p, n); }},
    {"upstream", [](const Place& p, const toml::node& n,
                    MirrorSettings& m) { m.upstream = read_string(p, n); }},
    {"revisions", [](const Place& p, const toml::node& n,
                     MirrorSettings& m) { m.revisions = read_strings(p, n); }},
    {"include", [](const Place& p, const toml::node& n,
                   MirrorSettings& m) { m.include = read_strings(p, n); }},
    {"exclude", [](const Place& p, const toml::node& n,
                   MirrorSettings& m) { m.exclude = read_strings(p, n); }},
};

constexpr Key<Config> kStoreKeys[] = {
    {"path", [](const Place& p, const toml::node& n, Config& c) { c.data = read_string(p, n); }},
};

constexpr Key<Config> kWebKeys[] = {
    {"listen",
     [](const Place& p, const toml::node& n, Config& c) { c.listen = read_string(p, n); }},
    {"external_url",
     [](const Place& p, const toml::node& n, Config& c) { c.external_url = read_string(p, n); }},
    {"access_log",
     [](const Place& p, const toml::node& n, Config& c) { c.access_log = read_string(p, n); }},
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
    {"upstream",
     [](const Place& p, const toml::node& n, Config& c) {
       c.upstreams = read_tables<UpstreamSettings>(p, n, kUpstreamKeys);
     }},
    {"mirror", [](const Place& p, const toml::node& n,
                  Config& c) { c.mirrors = read_tables<MirrorSettings>(p, n, kMirrorKeys); }},
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
  for (const MirrorSettings& mirror : config.mirrors) {
    if (mirror.repo.empty()) {
      fail(ErrorKind::Invalid, config.source.string() + ": mirror: repo is missing");
    }
    if (mirror.repo.find_first_of("*?[") != std::string::npos) {
      fail(ErrorKind::Unsupported,
           fmt::format("{}: mirror.repo: \"{}\" is a pattern; this version mirrors exact names",
                       config.source.string(), mirror.repo));
    }
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
  if (flags.config) return *flags.config;
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

// HF_TOKEN is the user's secret with one hub; another address must not see it.
bool owns_hub_token(const std::string& endpoint, const Environment& environment) {
  const mirror::Url address = mirror::parse_url(endpoint);
  return mirror::same_origin(address, mirror::parse_url(kHub)) ||
         mirror::same_origin(address, mirror::parse_url(environment("HF_ENDPOINT").value_or(kHub)));
}

toml::array to_array(const std::vector<std::string>& values) {
  toml::array array;
  for (const std::string& value : values) array.push_back(value);
  return array;
}

toml::table to_table(const UpstreamSettings& upstream) {
  toml::table table{{"name", upstream.name},
                    {"endpoint", upstream.endpoint},
                    {"redirect_hosts", to_array(upstream.redirect_hosts)}};
  if (!upstream.token_file.empty()) table.insert("token_file", upstream.token_file.string());
  if (!upstream.proxy.empty()) table.insert("proxy", upstream.proxy);
  if (!upstream.ca_file.empty()) table.insert("ca_file", upstream.ca_file.string());
  return table;
}

toml::table to_table(const MirrorSettings& mirror) {
  toml::table table{{"repo", mirror.repo}, {"revisions", to_array(mirror.revisions)}};
  if (!mirror.upstream.empty()) table.insert("upstream", mirror.upstream);
  if (!mirror.include.empty()) table.insert("include", to_array(mirror.include));
  if (!mirror.exclude.empty()) table.insert("exclude", to_array(mirror.exclude));
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
  toml::table root{{"offline", config.offline},
                   {"store", toml::table{{"path", config.data.string()}}},
                   {"web", toml::table{{"listen", config.listen},
                                       {"external_url", config.external_url},
                                       {"access_log", config.access_log.string()},
                                       {"threads", static_cast<std::int64_t>(config.threads)}}}};
  toml::array upstreams, mirrors;
  for (const UpstreamSettings& upstream : config.upstreams) upstreams.push_back(to_table(upstream));
  for (const MirrorSettings& mirror : config.mirrors) mirrors.push_back(to_table(mirror));
  if (!upstreams.empty()) root.insert("upstream", std::move(upstreams));
  if (!mirrors.empty()) root.insert("mirror", std::move(mirrors));
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

std::string read_token(const UpstreamSettings& upstream, const Environment& environment) {
  std::string token;
  if (upstream.token_file.empty()) {
    if (owns_hub_token(upstream.endpoint, environment)) {
      token = environment("HF_TOKEN").value_or("");
    }
  } else {
    token = read_file(upstream.token_file, kTokenMaxBytes);
  }
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) {
    token.pop_back();
  }
  for (const char c : token) {
    if (c <= ' ' || c > '~') {
      fail(ErrorKind::Invalid,
           fmt::format("{}: the token has a character that no header may carry",
                       upstream.token_file.empty() ? "HF_TOKEN" : upstream.token_file.string()));
    }
  }
  return token;
}

}  // namespace holdfast::ops
