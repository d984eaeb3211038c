// The effective configuration: flags over environment over holdfast.toml over defaults.
// Grammar and precedence: docs/cli.md. Unknown keys are errors that name file and line; secrets are
// given by file only, and never printed.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mirror/bandwidth.h"
#include "mirror/events.h"
#include "mirror/limits.h"
#include "mirror/plan_mirrors.h"
#include "web/guards.h"
#include "web/tls.h"
#include "web/xet.h"

namespace holdfast::ops {

struct UpstreamSettings {
  std::string name;
  std::string endpoint;
  std::filesystem::path token_file;
  std::string proxy;
  std::filesystem::path ca_file;
  std::vector<std::string> redirect_hosts = {"huggingface.co", "hf.co"};
  std::vector<std::string>
      allow_private;  // address ranges that a redirect may lead to all the same
  unsigned concurrency = mirror::kWorkers;              // files of a repository fetched at once
  unsigned repositories = mirror::kRepositoriesAtOnce;  // of a [[mirror]], side by side
  mirror::BandwidthPlan bandwidth;
  bool pull_through = false;  // fetch what clients ask for and is not here
};

// Where events go ([[webhook]]).
struct WebhookSettings {
  std::string name;
  std::string url;
  std::filesystem::path secret_file;      // empty: not signed
  std::vector<mirror::EventKind> events;  // empty: all
};

struct Config {
  std::filesystem::path source;  // the file that was read; empty when none was
  bool offline = false;
  std::filesystem::path data;                                       // the data directory
  std::uint64_t scrub_bytes_per_second = 20'000'000;                // 0: a server scrubs nothing
  std::chrono::seconds scrub_period = std::chrono::hours(24 * 30);  // from cycle to cycle
  std::string listen = "127.0.0.1:8080";
  std::string external_url;          // empty: as the request's Host says
  std::filesystem::path access_log;  // empty: none
  unsigned threads = 0;              // 0: one per CPU
  web::GuardOptions guards;          // who gets in
  web::TlsOptions tls;               // without a certificate: none
  web::XetMode xet = web::XetMode::Large;
  std::vector<UpstreamSettings> upstreams;
  std::vector<mirror::MirrorRule> mirrors;
  std::vector<WebhookSettings> webhooks;
  std::filesystem::path hub_secret_file;  // of the hub's own webhooks; empty: they are refused
};

// Looks a variable up; nothing when unset or empty. Tests pass their own.
using Environment = std::function<std::optional<std::string>(const char* name)>;

Environment process_environment();

struct ConfigFlags {
  std::optional<std::filesystem::path> data;
  std::optional<std::filesystem::path> config;
};

// Reads one file. Error(Invalid) "PATH:LINE: …" for syntax, unknown keys, wrong types and values
// out of range; Error(NotFound) when it is absent.
Config read_config(const std::filesystem::path& path);

// Finds the file (--config, HOLDFAST_CONFIG, DATA/holdfast.toml, /etc/holdfast/holdfast.toml),
// reads it, and settles the data directory (--data, HOLDFAST_DATA, [store] path,
// XDG_DATA_HOME/holdfast).
Config load_config(const ConfigFlags& flags, const Environment& environment);

// The effective configuration as TOML; a token file shows as its path, never its content.
std::string to_text(const Config& config);

// The upstream that a sync without --from uses: the named one, else the first, else HF_ENDPOINT,
// else huggingface.co. Error(Invalid) for a name that is not configured.
UpstreamSettings choose_upstream(const Config& config, std::string_view name,
                                 const Environment& environment);

// The settings for an address given by hand (--from): those of the configured upstream of the same
// scheme, host and port, else the bare address. Error(Invalid) for what is no hub address, or holds
// a user name or password.
UpstreamSettings upstream_at(const Config& config, const std::string& endpoint);

// The one line of a file with a secret. Error(NotFound|Invalid) naming the file.
std::string read_secret(const std::filesystem::path& file);

// The token for an upstream: its token file's content; without a file HF_TOKEN, but only for the
// hub that HF_TOKEN belongs to (HF_ENDPOINT, or huggingface.co). Empty when there is none.
// Error(NotFound|Invalid) naming the file.
std::string read_token(const UpstreamSettings& upstream, const Environment& environment);

}  // namespace holdfast::ops
