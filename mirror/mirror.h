// Mirrors what the configuration lists: repository by repository, with fail-over between upstreams,
// holes instead of gaps, events for what changed upstream, and retention.
//
// A repository is passed only when everything that its rule selects is stored and verified, is left
// out by the rule (too large, another licence), or is recorded as an open hole of the catalog. So a
// caller may move a cursor behind whatever mirror_repository() returned for. Only Cancelled, and
// errors of our own store (Io, Corrupt catalog), are thrown.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mirror/events.h"
#include "mirror/plan_mirrors.h"
#include "mirror/sync.h"
#include "storage/base/json.h"
#include "storage/jobs.h"
#include "storage/store.h"

namespace holdfast::mirror {

struct MirrorRequest {
  MirrorRule rule;
  std::vector<UpstreamConfig> upstreams;  // in fail-over order; at least one
  bool dry_run = false;                   // fetches and records nothing
  bool force = false;                     // as SyncRequest
  EventSink* events = &no_events();       // borrowed
};

// One repository of the rule: one request when nothing changed upstream.
// Result: {repo, revisions: [result of sync()], skipped: [{revision, commit, reason}],
// holes: [{revision, commit?, reason}], bytes_fetched, bytes_to_fetch?, requests}.
Json::Object mirror_repository(const MirrorRequest& request, const storage::RepoId& repo,
                               storage::Store& store, storage::JobContext& context);

// All repositories of the rule that changed since (`since` nothing: all of them), and those of them
// with open holes. A listing that fails is thrown: then nothing has passed.
// Result: {pattern, listed, repositories: [result of mirror_repository()], holes: count,
// bytes_fetched, bytes_to_fetch?, changed}: `changed` is the newest change that the listing told,
// for the caller's watermark, or null.
Json::Object mirror_rule(const MirrorRequest& request, std::optional<Time> since,
                         storage::Store& store, storage::JobContext& context);

}  // namespace holdfast::mirror
