// What the syncs from one upstream share: its connections, where progress goes, how they stop.
// Used by one thread; notes may come from any.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "mirror/internal/rivals.h"
#include "mirror/sync.h"
#include "mirror/upstream.h"
#include "storage/base/sync.h"

namespace holdfast::mirror {

// Progress of a sync: phases come from its own thread, notes from any.
class Reporter {
 public:
  explicit Reporter(storage::JobContext& context)
      : context_(context), owner_(std::this_thread::get_id()) {}

  void phase(std::string_view name);
  void report(const storage::Progress& progress);
  void note(std::string_view text);

 private:
  void send();

  storage::JobContext& context_;
  std::thread::id owner_;
  storage::Progress progress_;  // owner's thread only
  std::string logged_;          // owner's thread only
  Sync<std::string> note_;
};

class SyncSession {
 public:
  // Borrows store and context. `others` stand behind this one in fail-over order, and are asked for
  // files while this one stalls.
  SyncSession(UpstreamConfig config, std::span<const UpstreamConfig> others, storage::Store& store,
              storage::JobContext& context);
  SyncSession(const SyncSession&) = delete;
  SyncSession& operator=(const SyncSession&) = delete;

  const UpstreamConfig& config() const noexcept { return config_; }

  storage::Store& store() noexcept { return store_; }

  storage::JobContext& context() noexcept { return context_; }

  Reporter& reporter() noexcept { return reporter_; }

  Upstream& upstream() noexcept { return *upstream_; }

  Rivals& rivals() noexcept { return rivals_; }

  // The next revision begins, as Upstream::start_evidence().
  void start_evidence(bool same_repository);
  // Upstream::evidence(), with what rivals said as `raced`.
  Json::Object evidence();
  // Of the upstream and its rivals.
  std::uint64_t requests();

  // Ends every request of the session, for good: a download that failed asks for it too.
  const std::stop_source& stop() const noexcept { return stop_; }

  bool is_spent() const noexcept { return stop_.stop_requested(); }

 private:
  UpstreamConfig config_;
  storage::Store& store_;
  storage::JobContext& context_;
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> on_stop_;
  Reporter reporter_;
  std::unique_ptr<Upstream> upstream_;
  Rivals rivals_;
};

}  // namespace holdfast::mirror
