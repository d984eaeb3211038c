// Everything of mirror/ that a process has once: upstreams with their rate limits, the daemon,
// pull-through, where events go, and what is counted. The job kinds in workers.cc run by it, and a
// server shows it. Thread-safe; borrows what it is given.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "mirror/daemon.h"
#include "mirror/events.h"
#include "mirror/outbound.h"
#include "mirror/pull_through.h"
#include "mirror/webhooks.h"
#include "ops/config.h"
#include "ops/upstreams.h"
#include "storage/store.h"

namespace holdfast::ops {

class Mirroring {
 public:
  Mirroring(storage::Store& store, const Config& config, const Environment& environment);
  Mirroring(const Mirroring&) = delete;
  Mirroring& operator=(const Mirroring&) = delete;
  ~Mirroring();

  Upstreams& upstreams() noexcept { return upstreams_; }

  mirror::Daemon& daemon() noexcept { return daemon_; }

  mirror::PullThrough& pulls() noexcept { return pulls_; }

  // Whether any upstream is configured for it, and may be asked at all.
  bool pulls_through() const noexcept;

  void start_daemon();

  // Log lines, counters and webhooks; event history is mirror's own.
  mirror::EventSink& events() noexcept;

  // May throw: a token file that cannot be read.
  mirror::MirrorRequest mirror_request(const mirror::MirrorRule& rule);

  Json::Object deliver_webhook(const Json::Object& parameters, storage::JobContext& context);

  // Daemon::status(), and {offline, upstreams: [{endpoint, api: {remaining, waits}, resolvers}]}.
  Json::Object status();
  // Prometheus' exposition format.
  std::string metrics();

 private:
  class Sinks;

  mirror::PullSource pull_source(const storage::RepoId& repo);

  storage::Store& store_;
  const Config& config_;
  std::shared_ptr<mirror::Outbound> outbound_;  // shared with all clients of upstreams
  Upstreams upstreams_;
  std::unique_ptr<Sinks> sinks_;
  mirror::WebhookHealth webhook_health_;
  mirror::PullThrough pulls_;
  mirror::Daemon daemon_;
};

}  // namespace holdfast::ops
