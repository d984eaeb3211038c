// Mirrors what the configuration lists: repository by repository, several side by side, with
// fail-over between upstreams, holes instead of gaps, events for what changed upstream, and
// retention.
//
// A repository is passed only when everything that its rule selects is stored and verified, is left
// out by the rule (too large, another licence), or is recorded as an open hole of the catalog. So a
// caller may move a cursor behind whatever mirror_repository() returned for. Thrown are only
// Cancelled and Io (our own disk), and what makes a listing of repositories fail: then nothing has
// passed.
#pragma once

#include <optional>
#include <span>
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
  std::vector<MirrorRule> rules;          // all that are configured: another may decide about a
                                          // repository (find_rule)
  std::vector<UpstreamConfig> upstreams;  // in fail-over order; at least one
  bool dry_run = false;                   // fetches and records nothing
  bool force = false;                     // as SyncRequest
  EventSink* events = &no_events();       // borrowed
};

// One repository of the rule: one request when nothing changed upstream.
// Result: {repo, revisions: [result of sync()], skipped: [{revision, commit, reason}],
// holes: [{revision, commit, reason}], gone: reason or null, expired: [commit], bytes_fetched,
// bytes_to_fetch, requests}.
Json::Object mirror_repository(const MirrorRequest& request, const storage::RepoId& repo,
                               storage::Store& store, storage::JobContext& context);

// All repositories of the rule, SyncTuning::repositories of the first upstream at once and within
// one upstream's kRequestsMax together, that changed since (`since` nothing: all of them, and those
// held here that upstream does not list any more), and those with open holes. Result: {pattern,
// listed, current, repositories: [result of mirror_repository() where there is news], holes,
// bytes_fetched, bytes_to_fetch, requests, changed}, in the order of the listing. `changed` is the
// newest change that the listing told, for the caller's watermark, or null.
Json::Object mirror_rule(const MirrorRequest& request, std::optional<Time> since,
                         storage::Store& store, storage::JobContext& context);

// Closes the holes of repositories that no rule means any more.
void close_stale_holes(std::span<const MirrorRule> rules, storage::Store& store, EventSink& events);

}  // namespace holdfast::mirror
