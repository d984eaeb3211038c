#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "ops/api_client.h"
#include "ops/metrics.h"
#include "ops/oidc_loader.h"
#include "ops/scrubber.h"
#include "ops/service_manager.h"
#include "ops/verbs/verbs.h"
#include "ops/version.h"
#include "ops/workers.h"
#include "storage/base/sync.h"
#include "storage/store.h"
#include "web/server.h"

namespace holdfast::ops {
namespace {

using namespace std::chrono_literals;

// How long a stop waits for downloads that are under way.
constexpr auto kDrain = 10s;

struct ServeOptions {
  std::string listen;
  bool insecure = false;
};

void announce(const Invocation& invocation, const std::string& url) {
  const std::string line =
      invocation.json ? to_text(Json(Json::Object{{"event", "listening"}, {"url", url}})) : url;
  std::fprintf(stdout, "%s\n", line.c_str());
  std::fflush(stdout);
}

// SIGHUP does something for as long as it lives.
class HangupHandler {
 public:
  HangupHandler(const Invocation& invocation, std::function<void()> handler)
      : invocation_(invocation) {
    if (invocation_.on_hangup) invocation_.on_hangup(std::move(handler));
  }

  HangupHandler(const HangupHandler&) = delete;
  HangupHandler& operator=(const HangupHandler&) = delete;

  ~HangupHandler() {
    if (invocation_.on_hangup) invocation_.on_hangup({});
  }

 private:
  const Invocation& invocation_;
};

void wait_for_stop(const std::stop_token& stop) {
  Sync<bool> stopped{false};
  const std::stop_callback wake(stop, [&stopped] {
    *stopped.lock() = true;
    stopped.notify_all();
  });
  stopped.lock().wait([](bool value) { return value; });
}

int run_serve(const ServeOptions& options, const Invocation& invocation, Output& output) {
  spdlog::set_level(spdlog::level::info);
  Config config = invocation.config();
  if (!options.listen.empty()) config.listen = options.listen;
  const auto store = open_store(config, StoreUse::Create);
  Mirroring mirroring(*store, config, invocation.environment);
  Metrics metrics(*store, kVersion);
  OidcLoader oidc(config);
  config.guards.oidc_keys = &oidc.keys();
  web::Server server(
      {.listen = config.listen,
       .external_url = config.external_url,
       .threads = config.threads,
       .xet = config.xet,
       .insecure = options.insecure,
       .guards = config.guards,
       .tls = config.tls,
       .socket_path = config.data / "holdfast.sock",
       .access_log = config.access_log,
       .version = kVersion,
       .pull = mirroring.pulls_through() ? &mirroring.pulls() : nullptr,
       .mirrors = [&mirroring] { return mirroring.status(); },
       .more_metrics = [&] { return metrics.to_text() + mirroring.metrics(); },
       .webhook_secret = config.hub_secret_file.empty() ? "" : read_secret(config.hub_secret_file)},
      *store);
  server.start();
  const std::string url =
      (config.tls.certificate.empty() ? "http://" : "https://") + server.address();
  const Workers workers(*store, config, mirroring, metrics);
  const Scrubber scrubber(*store, {.bytes_per_second = config.scrub_bytes_per_second,
                                   .period = config.scrub_period,
                                   .offline = config.offline});
  mirroring.start_daemon();
  announce(invocation, url);
  tell_service_manager(ServiceState::Ready);
  const HangupHandler reload(invocation, [&] {
    server.reload();
    oidc.reload();
  });
  wait_for_stop(invocation.stop);
  tell_service_manager(ServiceState::Stopping);
  server.drain(kDrain);
  if (invocation.json) output.done({{"url", url}}, "");
  return kExitDone;
}

}  // namespace

void add_serve(CLI::App& app, Run& run) {
  CLI::App* serve = app.add_subcommand("serve", "Serve the hub API and pages, and run jobs");
  auto options = std::make_shared<ServeOptions>();
  serve->add_option("--listen", options->listen,
                    "ADDR:PORT; port 0 takes any (default 127.0.0.1:8080)");
  serve->add_flag("--insecure", options->insecure,
                  "Allow a non-loopback address without a token: everyone reads everything");
  serve->callback([&run, options] {
    run = [options](const Invocation& invocation, Output& output) {
      return run_serve(*options, invocation, output);
    };
  });
}

}  // namespace holdfast::ops
