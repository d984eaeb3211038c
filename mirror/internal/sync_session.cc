#include "mirror/internal/sync_session.h"

#include <utility>

#include "mirror/hub_upstream.h"
#include "mirror/url.h"
#include "storage/spool.h"

namespace holdfast::mirror {
namespace {

HubOptions hub_options(const UpstreamConfig& config, const storage::Store& store,
                       const std::stop_token& stop, Reporter& reporter) {
  HubOptions options;
  options.http = {.endpoint = parse_url(config.endpoint),
                  .token = config.token,
                  .proxy = config.proxy,
                  .ca_file = config.ca_file,
                  .redirect_hosts = config.redirect_hosts,
                  .allow_private = config.allow_private,
                  .bandwidth = config.bandwidth,
                  .offline = config.offline,
                  .outbound = config.outbound,
                  .upstream = config.name,
                  .slots = config.slots,
                  .connect_timeout = config.tuning.connect_timeout,
                  .stall_window = config.tuning.stall_window};
  options.retry = config.tuning.retry;
  options.pauser = config.tuning.pauser;
  options.governor = config.governor;
  options.stop = stop;
  options.spool = storage::spool_directory(store);
  options.note = [&reporter](std::string_view text) { reporter.note(text); };
  return options;
}

std::vector<Rivals::Rival> rivals_of(std::span<const UpstreamConfig> others,
                                     const storage::Store& store, const std::stop_token& stop,
                                     Reporter& reporter) {
  std::vector<Rivals::Rival> rivals;
  for (const UpstreamConfig& other : others) {
    rivals.push_back({.name = other.name, .connect = [config = other, &store, stop, &reporter] {
                        return make_hub_upstream(hub_options(config, store, stop, reporter));
                      }});
  }
  return rivals;
}

}  // namespace

void Reporter::phase(std::string_view name) {
  progress_ = {};
  progress_.phase = name;
  send();
}

void Reporter::report(const storage::Progress& progress) {
  progress_ = progress;
  send();
}

void Reporter::note(std::string_view text) {
  const bool is_new = std::exchange(*note_.lock(), std::string(text)) != text;
  // Only the sync's own thread reports; the workers' notes go out with its next report.
  if (is_new && std::this_thread::get_id() == owner_) send();
}

void Reporter::send() {
  progress_.note = *note_.lock();
  context_.report(progress_);
  if (!progress_.note.empty() && progress_.note != logged_) context_.log(progress_.note);
  logged_ = progress_.note;
}

SyncSession::SyncSession(UpstreamConfig config, std::span<const UpstreamConfig> others,
                         storage::Store& store, storage::JobContext& context)
    : config_(std::move(config)),
      store_(store),
      context_(context),
      on_stop_(context.stop(), [this] { stop_.request_stop(); }),
      reporter_(context),
      upstream_(make_hub_upstream(hub_options(config_, store_, stop_.get_token(), reporter_))),
      rivals_(rivals_of(others, store_, stop_.get_token(), reporter_),
              [this](const std::string& name) {
                reporter_.note(config_.name + " stalls, asking " + name + " too");
              }) {}

void SyncSession::start_evidence(bool same_repository) {
  upstream_->start_evidence(same_repository);
  rivals_.start_evidence(same_repository);
}

Json::Object SyncSession::evidence() {
  Json::Object evidence = upstream_->evidence();
  Json::Array raced = rivals_.evidence();
  if (!raced.empty()) evidence.set("raced", std::move(raced));
  return evidence;
}

std::uint64_t SyncSession::requests() { return upstream_->requests() + rivals_.requests(); }

}  // namespace holdfast::mirror
